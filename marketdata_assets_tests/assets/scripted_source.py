"""A source of histories that a test writes itself: what it has, and what it was asked."""

import datetime as dt

import pyarrow as pa

from marketdata_assets.instruments import Instrument
from marketdata_assets.resources.sources.history import BARS, History, HistorySource, SourceFailed
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.trading_calendar import sessions_between

FIRST = dt.date(2025, 1, 2)


def days(count: int) -> list[dt.date]:
    """The first sessions of mainland China; no other market is closed for longer meanwhile."""
    return sessions_between(FIRST, FIRST + dt.timedelta(2 * count + 20))[:count]


class ScriptedSource(HistorySource):
    """Has `closes`; a bar's other prices are its close."""

    host = "nowhere"

    def __init__(self, name: str, count: int = 0, whole: bool = False) -> None:
        self.name = name
        self.closes = {day: 10.0 + n for n, day in enumerate(days(count))}
        self.whole = whole
        self.fault = ""
        self.unit = "shares"
        self.asked: list[tuple[dt.date, dt.date]] = []

    def serves(self, instrument: Instrument) -> bool:
        return True

    def whole_only(self, instrument: Instrument) -> bool:
        return self.whole

    def history(self, instrument: Instrument, first: dt.date, last: dt.date) -> History:
        self.asked.append((first, last))
        if self.fault:
            raise SourceFailed(self.name, instrument.code, self.fault)
        rows = [
            {
                "date": day,
                **dict.fromkeys(("open", "high", "low", "close"), close),
                "volume": 1000.0,
                "turnover": None,
            }
            for day, close in sorted(self.closes.items())
            if first <= day <= last
        ]
        if not rows:
            raise SourceFailed(self.name, instrument.code, "no bar")
        return History(pa.Table.from_pylist(rows, schema=BARS), self.name, self.unit)


# Dagster rebuilds a resource from its settings, so that a setting must lead to the sources.
_SCRIPTS: dict[str, list[ScriptedSource]] = {}


class ScriptedSources(InstrumentSources):
    """The sources of `script` are asked in their order, whatever the instrument."""

    script: str

    def for_instrument(self, instrument: Instrument) -> list[ScriptedSource]:
        return _SCRIPTS[self.script]


def asking(*sources: ScriptedSource, first_day: dt.date = FIRST) -> ScriptedSources:
    script = str(len(_SCRIPTS))
    _SCRIPTS[script] = list(sources)
    return ScriptedSources(script=script, first_day=first_day.isoformat())
