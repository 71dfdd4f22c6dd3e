"""Answers of the small market's server, changed on the way: what the tests of answers share."""

import json
from collections import deque
from typing import Any

import pytest

from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    SUSPENSIONS,
)
from marketdata_sandbox.faults import Fault
from marketdata_sandbox.server import TushareServer

DAY_TABLES = [DAILY_KLINE, PRICE_LIMITS, DAILY_BASIC, ADJ_FACTOR, SUSPENSIONS]
HUGE = 6_100

each_day_table = pytest.mark.parametrize("table", DAY_TABLES, ids=lambda table: table.name)


def data_of(answer: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    return answer["data"]["fields"], answer["data"]["items"]


def column_set(name: str, *values: object) -> Fault:
    """The answer with the first rows' `name` replaced by `values`."""

    def act(handler: Any, answer: bytes) -> None:
        changed = json.loads(answer)
        fields, items = data_of(changed)
        for row, value in zip(items, values, strict=False):
            row[fields.index(name)] = value
        handler.reply(200, json.dumps(changed).encode())

    return act


def spoil(server: TushareServer, call: str, fault: Fault, times: int = 50) -> None:
    server.faults[call] = deque([fault] * times)


def params_of(server: TushareServer, call: str) -> list[dict[str, object]]:
    return [request.params for request in server.requests if request.call == call]
