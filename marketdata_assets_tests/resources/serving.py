"""The platform's client pointed at a server that serves the small market.

Here belongs what every test of this folder needs. Faults are `marketdata_sandbox.faults`.
"""

import datetime as dt
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.tushare import MOST_CALLS_IN_FLIGHT, TushareResource
from marketdata_assets.resources.tushare_client import TushareClient
from marketdata_assets.trading_calendar import SHANGHAI
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

DAY = dt.date(2025, 4, 3)
DAY_BEFORE = dt.date(2025, 4, 2)
EVENING = dt.datetime.combine(DAY, dt.time(20, 0), SHANGHAI)
TOKEN = "5eC7e7" + "0123456789abcdef" * 3 + "fedcba98"
UNHURRIED = 60_000


def protocol_of(market: SmallMarket) -> TushareProtocol:
    """Tushare's protocol over `market` on the evening of `DAY`."""
    return TushareProtocol(market, now=lambda: EVENING)


@contextmanager
def serving(market: SmallMarket) -> Iterator[TushareServer]:
    with TushareServer(protocol_of(market)).running() as server:
        yield server


class WakefulTushare(TushareResource):
    """The real resource, but its client notes in `naps` how long it would sleep.

    Its allowance is wide and one for all tests, as making its file costs more than most of them;
    `calls_per_minute` only says how many calls are in flight. `test_rate_limit` has real ones.
    """

    call_bound_seconds: float = 30.0

    _naps: list[float] = PrivateAttr(default_factory=list)

    @property
    def naps(self) -> list[float]:
        return self._naps

    def client(self, attempts: int | None = None) -> TushareClient:
        assert self.state_folder
        return client_of(
            Allowance(UNHURRIED, Path(self.state_folder) / "allowance.sqlite"),
            self.url,
            self._naps.append,
            self.call_bound_seconds,
            self.token,
        )


def client_of(
    allowance: Allowance,
    url: str,
    sleep: Callable[[float], None],
    call_bound_seconds: float = 30.0,
    token: str = TOKEN,
) -> TushareClient:
    return TushareClient(
        token=token,
        url=url,
        allowance=allowance,
        connections=MOST_CALLS_IN_FLIGHT,
        sleep=sleep,
        call_bound_seconds=call_bound_seconds,
    )


@contextmanager
def tushare_at(
    server: TushareServer,
    folder: Path,
    calls_per_minute: int = 600,
    call_bound_seconds: float = 30.0,
) -> Iterator[WakefulTushare]:
    """The resource as an asset would get it, pointed at `server`."""
    resource = WakefulTushare(
        token=TOKEN,
        url=server.url,
        calls_per_minute=calls_per_minute,
        state_folder=str(folder),
        call_bound_seconds=call_bound_seconds,
    )
    with resource.yield_for_execution(any_context()) as tushare:
        assert isinstance(tushare, WakefulTushare)
        yield tushare


@functools.cache
def any_context() -> dg.InitResourceContext:
    """One for all tests: it costs an ephemeral instance, more than all the rest of a test."""
    return dg.build_init_resource_context()
