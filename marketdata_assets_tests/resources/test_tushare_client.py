"""The client as a client: the official one's manners, one connection, the protocol's body.

Here belongs what it sends. What it makes of answers is `test_tushare_faults`.
"""

import contextlib
import copy
import json
import pickle
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.resources.tushare_client import Answer, TushareClient
from marketdata_assets.tables import DAILY_KLINE
from marketdata_assets_tests.resources.serving import (
    DAY,
    EVENING,
    TOKEN,
    UNHURRIED,
    client_of,
    protocol_of,
    tushare_at,
)
from marketdata_assets_tests.small_market import CODES, SmallMarket
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer


class RecordingProtocol(TushareProtocol):
    """Keeps the bodies it was asked with."""

    def __init__(self, market: SmallMarket) -> None:
        super().__init__(market, now=lambda: EVENING)
        self.bodies: list[dict[str, object]] = []

    def answer(self, body: bytes) -> bytes:
        self.bodies.append(json.loads(body))
        return super().answer(body)


class CountingServer(TushareServer):
    """Counts the connections it accepts."""

    connections = 0

    def get_request(self) -> tuple[socket.socket, object]:
        self.connections += 1
        return super().get_request()


@pytest.fixture
def allowance(state: Path) -> Allowance:
    return Allowance(UNHURRIED, state / "allowance.sqlite")


@pytest.fixture
def client(server: TushareServer, allowance: Allowance) -> Iterator[TushareClient]:
    with contextlib.closing(client_of(allowance, server.url, lambda seconds: None)) as client:
        yield client


def test_calls_are_attributes_as_in_the_official_client(client: TushareClient) -> None:
    answer = client.daily(trade_date="20250403", fields="ts_code,close")
    assert answer == Answer(
        fields=["ts_code", "close"],
        items=[[code, 10.5 + n] for n, code in enumerate(CODES)],
        has_more=False,
    )
    assert answer == client.query("daily", fields="ts_code,close", trade_date="20250403")


@pytest.mark.parametrize("path", ["", "/", "/dataapi", "/dataapi/"])
def test_a_call_is_posted_to_its_name_below_the_url(
    server: TushareServer, allowance: Allowance, path: str
) -> None:
    seen: list[tuple[str, str, str]] = []

    def note(handler: Any, answer: bytes) -> None:
        seen.append((handler.command, handler.path, handler.headers["Content-Type"]))
        handler.reply(200, answer)

    server.faults["daily"] = deque([note])
    url = server.url + path
    with contextlib.closing(client_of(allowance, url, lambda seconds: None)) as client:
        client.daily(trade_date="20250403")
    assert seen == [("POST", f"{path.rstrip('/')}/daily", "application/json")]


def test_the_body_is_what_the_protocol_asks_for(allowance: Allowance) -> None:
    protocol = RecordingProtocol(SmallMarket())
    with (
        TushareServer(protocol).running() as server,
        contextlib.closing(client_of(allowance, server.url, lambda seconds: None)) as client,
    ):
        client.daily(trade_date="20250403", limit=2, fields="ts_code")
    assert protocol.bodies == [
        {
            "api_name": "daily",
            "token": TOKEN,
            "params": {"trade_date": "20250403", "limit": 2},
            "fields": "ts_code",
        }
    ]


def test_a_day_names_the_columns_it_wants(state: Path) -> None:
    protocol = RecordingProtocol(SmallMarket())
    with TushareServer(protocol).running() as server, tushare_at(server, state) as tushare:
        tushare.day(DAILY_KLINE, DAY)
    assert [body["fields"] for body in protocol.bodies] == [",".join(DAILY_KLINE.column_names)]


def test_copying_and_pickling_send_nothing(server: TushareServer, client: TushareClient) -> None:
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
            attempt(client)
    assert server.requests == []


def test_looking_at_the_client_sends_nothing(server: TushareServer, client: TushareClient) -> None:
    assert not hasattr(client, "__array__")
    assert not hasattr(client, "_repr_html_")
    assert TOKEN not in repr(client)
    assert server.requests == []


def test_one_connection_serves_many_calls(allowance: Allowance) -> None:
    with (
        CountingServer(protocol_of(SmallMarket())).running() as server,
        contextlib.closing(client_of(allowance, server.url, lambda seconds: None)) as client,
    ):
        for _ in range(5):
            client.daily(trade_date="20250403")
        assert len(server.requests) == 5
        assert isinstance(server, CountingServer)
        assert server.connections == 1


def test_the_resource_does_not_show_its_token(server: TushareServer, state: Path) -> None:
    with tushare_at(server, state) as tushare:
        assert TOKEN not in f"{tushare!r} {tushare}"


def test_an_asset_gets_the_resource_and_its_rows(server: TushareServer, state: Path) -> None:
    @dg.asset
    def rows(tushare: dg.ResourceParam[TushareResource]) -> int:
        return int(tushare.day(DAILY_KLINE, DAY).num_rows)

    tushare = TushareResource(token=TOKEN, url=server.url, state_folder=str(state))
    result = dg.materialize([rows], resources={"tushare": tushare})
    assert result.output_for_node("rows") == len(CODES)
