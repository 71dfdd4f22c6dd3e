"""Simulated histories of any code, for a profile without a network.

Here belongs the series of indices, funds, futures and coins, each a walk of its own: the same for
everybody and whatever range is asked for. A-shares come from the simulated exchange, so that their
histories and its daily tables tell the same story, and so do the futures of China, whose single
contracts are `futures_answers`.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import NamedTuple

import dagster as dg
import numpy as np
import numpy.typing as npt
from pydantic import PrivateAttr

from marketdata_assets.instruments import FUND_KINDS, Instrument, Kind
from marketdata_assets.instruments.futures import CRUDE_OIL
from marketdata_assets.resources.sources.history import Answered, HistorySource, Scale
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.resources.sources.tushare_history import TushareHistory
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    last_published_session,
    sessions_between,
)

CHINA = (Kind.CHINA_INDEX, Kind.INDUSTRY_INDEX, Kind.B_SHARE, Kind.CONVERTIBLE_BOND, *FUND_KINDS)
OF_THE_EXCHANGE = (Kind.A_SHARE, Kind.FUTURES, Kind.FUTURES_CONTRACT)


class _Manner(NamedTuple):
    """How a kind of instrument moves: first price, daily sd, decimals, usual volume."""

    price: float
    sd: float
    decimals: int
    volume: float


_MANNERS = {
    Kind.CHINA_INDEX: _Manner(2_500, 0.014, 4, 2e10),
    Kind.B_SHARE: _Manner(1.2, 0.020, 3, 1e6),
    Kind.CHINA_ETF: _Manner(1.5, 0.013, 3, 3e8),
    Kind.CLOSED_FUND: _Manner(1.0, 0.012, 3, 1e7),
    Kind.REIT: _Manner(4.0, 0.008, 3, 2e6),
    Kind.CONVERTIBLE_BOND: _Manner(110, 0.010, 3, 1e6),
    Kind.INDUSTRY_INDEX: _Manner(2_500, 0.015, 2, 2e9),
    Kind.HK_SHARE: _Manner(20, 0.020, 2, 1e7),
    Kind.US_SHARE: _Manner(50, 0.018, 2, 2e7),
    Kind.HK_INDEX: _Manner(14_000, 0.014, 2, 2e9),
    Kind.WORLD_INDEX: _Manner(4_000, 0.012, 2, 4e9),
    Kind.FUTURES: _Manner(300, 0.011, 2, 2e5),
    Kind.CRYPTO: _Manner(200, 0.035, 2, 2e4),
}


class SimulatedSource(HistorySource):
    """Everything but A-shares and single contracts; nothing is asked from outside."""

    name = "sandbox"
    host = "nowhere: simulated"

    def serves(self, instrument: Instrument) -> bool:
        return instrument.kind in _MANNERS

    def answer(self, instrument: Instrument, first: dt.date, last: dt.date) -> Answered:
        unit = f"{instrument.unit}, {instrument.currency}"
        return Answered(walk(instrument), Scale(volume=Decimal(1), turnover=Decimal(1)), unit)


class SandboxSources(InstrumentSources):
    """The simulated sources; `tushare` is the simulated exchange's."""

    tushare: TushareResource

    _open: ExitStack = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["SandboxSources"]:
        with ExitStack() as self._open:
            yield self

    def for_instrument(self, instrument: Instrument) -> Sequence[HistorySource]:
        if instrument.kind not in OF_THE_EXCHANGE or instrument == CRUDE_OIL:
            return [SimulatedSource()]
        client = self.tushare.client()
        self._open.callback(client.close)
        return [TushareHistory(self.tushare.url, lambda: client)]


def walk(instrument: Instrument) -> dict[str, list[object]]:
    """The whole series in canonical units.

    Every column is drawn from a stream of its own, so that more days never change earlier ones.
    """
    days = _days(instrument)
    manner = _MANNERS[instrument.kind]
    moves = _stream(instrument, "close").standard_t(4, len(days)) / np.sqrt(2) * manner.sd
    close = manner.price * np.exp(np.cumsum(moves - manner.sd**2 / 2))
    gap = _stream(instrument, "open").standard_normal(len(days)) * manner.sd / 3
    opened = np.concatenate([[manner.price], close[:-1]]) * np.exp(gap)
    up, down = (
        np.exp(np.abs(_stream(instrument, side).standard_normal(len(days))) * manner.sd / 3)
        for side in ("high", "low")
    )
    prices = {
        "open": opened,
        "high": np.maximum(opened, close) * up,
        "low": np.minimum(opened, close) / down,
        "close": close,
    }
    printed = {name: np.round(values, manner.decimals).tolist() for name, values in prices.items()}
    volume = np.round(
        manner.volume * np.exp(_stream(instrument, "volume").standard_normal(len(days)) * 0.4)
    )
    columns: dict[str, list[object]] = {"date": [*days], **printed, "volume": volume.tolist()}
    if instrument.kind in CHINA:
        mean = (prices["high"] + prices["low"] + 2 * prices["close"]) / 4
        columns["turnover"] = np.round(volume * mean, 2).tolist()
    return columns


def _days(instrument: Instrument) -> list[dt.date]:
    """Sessions in mainland China, weekdays abroad, every day for coins."""
    last = last_published_session()
    if instrument.market.timezone == "Asia/Shanghai":
        return sessions_between(FIRST_SESSION, last)
    count = (last - FIRST_SESSION).days + 1
    days = [FIRST_SESSION + dt.timedelta(n) for n in range(count)]
    return days if instrument.kind is Kind.CRYPTO else [day for day in days if day.weekday() < 5]


def _stream(instrument: Instrument, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{instrument.code} {purpose}".encode()).digest()
    words: npt.NDArray[np.uint32] = np.frombuffer(digest, np.uint32)
    return np.random.Generator(np.random.SFC64(words.tolist()))
