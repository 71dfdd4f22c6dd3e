"""The calls of a client: how questions may be written, and in which frames answers come.

Here belongs what is the same for a folder and a server, and what is said of that which lacks. Where
the rows come from is a `Source`.
"""

import datetime as dt
import json
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import pandas as pd
import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.trading_calendar import day_written

Day: TypeAlias = str | int | dt.date | None
Words: TypeAlias = str | Iterable[str]
FrameName: TypeAlias = Literal["pandas", "polars", "arrow"]
# What an answer may have at once, of a former moment less: its day files are read one by one.
CODES_AT_ONCE, CODES_AT_ONCE_AS_OF = 500, 50
DEFAULT_DAYS = 90
PREMIUM_COLUMNS = ("close", "unit_nav", "premium", "no_premium")
PERIODS = {"W": "W-SUN", "M": "M"}
NAMED = 5
# Starting threads takes as long as a frame of fewer rows.
WORTH_THREADS = 200_000


class BadQuestion(MarketdataError, is_final=True, status=400):
    """A question that can't be asked like this."""


class NoRows(MarketdataError, is_final=True, status=404):
    """None of the codes that were asked for has a row; `missing` says of each why."""

    def __init__(self, missing: Mapping[str, str]) -> None:
        self.missing = dict(missing)
        super().__init__(f"There are no rows: {_listed(self.missing)}")


class NotInstalled(MarketdataError, is_final=True):
    """A package that an answer was wanted in is not there."""


class Incomplete(UserWarning):
    """An answer lacks something: `missing` codes, and why; `missing_sessions` by code.

    `warnings.simplefilter("error", Incomplete)` makes it an error.
    """

    def __init__(
        self, missing: Mapping[str, str], missing_sessions: Mapping[str, Sequence[str]]
    ) -> None:
        self.missing, self.missing_sessions = dict(missing), dict(missing_sessions)
        told = [f"no rows, or not all: {_listed(self.missing)}"] if self.missing else []
        if missing_sessions:
            days = sorted({day for days in missing_sessions.values() for day in days})
            codes = ", ".join([*missing_sessions][:NAMED]) + (
                " …" * (len(missing_sessions) > NAMED)
            )
            named = ", ".join(days[:NAMED]) + (" …" * (len(days) > NAMED))
            told.append(f"{len(days)} session(s) were never stored: {named}, of {codes}")
        super().__init__("; ".join(told))


class Prices(NamedTuple):
    """Rows of some codes, `code` and `date` first, those of a code together and by date.

    `missing` has the sessions that were never stored of each code that was answered, `unfinished`
    the dates of last bars with days to come, `stale` the last days of histories that end early,
    `failed` why codes have no answer, `empty` those with an answer and no row.
    """

    rows: pa.Table
    missing: Mapping[str, Sequence[str]]
    unfinished: Mapping[str, str]
    stale: Mapping[str, str]
    failed: Mapping[str, str]
    empty: Sequence[str]


class PriceQuestion(NamedTuple):
    """What prices are asked for; `columns` beside code and date, none for the usual."""

    codes: Sequence[str]
    start: dt.date | None
    end: dt.date | None
    columns: Sequence[str]
    adjust: str
    as_of: str | None
    frequency: str


class RowsQuestion(NamedTuple):
    """Which rows of a table: all of a `day`, or without one those of a `code` by their days."""

    name: str
    day: dt.date | None
    start: dt.date
    end: dt.date
    code: str
    fields: Sequence[str]


class Source(Protocol):
    """Where rows come from. Sessions that a table lacks are told beside its rows."""

    @property
    def origin(self) -> str: ...
    def prices(self, asked: PriceQuestion) -> Prices: ...
    def cross_section(self, day: dt.date, fields: Sequence[str], kind: str) -> pa.Table: ...
    def table(self, asked: RowsQuestion) -> tuple[pa.Table, Sequence[str]]: ...
    def instruments(self, search: str, limit: int) -> list[dict[str, Any]]: ...
    def coverage(self, table: str, start: dt.date, end: dt.date) -> list[dict[str, Any]]: ...
    def findings(
        self, day: dt.date | None, since: dt.date | None, code: str, outcome: str
    ) -> list[dict[str, Any]]: ...
    def sql(self, query: str) -> pa.Table: ...


class MarketData:
    """Market data, by the same calls wherever they are.

    Codes are written as people do: `600000.SH`, `sh600000`, `HSI`; days as `2024-03-06`, `20240306`
    or dates; several codes or fields as a list, or with commas. Answers are pandas frames, or with
    `frame` those of Polars or Arrow tables. Whatever lacks is told: by an error where there is
    nothing, else by a warning, `Incomplete`, and in `attrs` of a pandas frame. Errors are
    `marketdata_assets.errors.MarketdataError`.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def __repr__(self) -> str:
        return f"MarketData({self._source!r}: {self.origin})"

    @property
    def origin(self) -> str:
        """Where the data come from; those of the sandbox are of no real market."""
        return self._source.origin

    def get_price(
        self,
        codes: Words,
        start: Day = None,
        end: Day = None,
        fields: Words = (),
        adjust: Literal["none", "qfq", "hfq"] = "none",
        as_of: str | dt.datetime | None = None,
        frequency: Literal["D", "W", "M"] = "D",
        wide: bool = False,
        frame: FrameName = "pandas",
    ) -> Any:
        """Prices of one code or many from `start` to `end`, both included, all where not given.

        `fields` are columns, by default open, high, low, close (in the instrument's currency),
        volume (in shares, contracts or coins) and turnover (in the currency). `adjust` is "qfq"
        (前复权, in the money of the last day) or "hfq" (后复权); `as_of` a moment with its time
        zone, at which it was known. Bars of weeks and months are made of adjusted days, their date
        is the last day with a row; the first bar is whole, the last one ends at `end`.

        Of one code as a text the frame is by date, a column a field; of several it has columns
        code, date and the fields, those of a code together. `wide` has a row a date and a column a
        code, below each field where there are several, and is what `.plot()` draws.

        `attrs` has missing (code: why), missing_sessions (code: days), stale (code: last day of a
        history that ends early) and unfinished (code: date of a last bar that is not over).

        Raises `NoRows`, with the reasons, where no code has a row, and `BadQuestion` for what can't
        be asked; warns `Incomplete` where some lack.
        """
        asked, named = _words(codes), _words(fields)
        if wide and frame != "pandas":
            raise BadQuestion(f"wide is a frame of pandas; ask without it for {frame}.")
        if not asked:
            raise BadQuestion("No code is asked for.")
        moment = as_of.isoformat() if isinstance(as_of, dt.datetime) else as_of
        at_once = CODES_AT_ONCE_AS_OF if moment else CODES_AT_ONCE
        columns = [name for name in named if name not in ("code", "date")]
        bars, how = frequency.upper(), adjust or "none"
        all_of_it = PriceQuestion(asked, _day(start), _day(end), columns, how, moment, bars)
        parts = (asked[first : first + at_once] for first in range(0, len(asked), at_once))
        prices = together([self._source.prices(all_of_it._replace(codes=part)) for part in parts])
        told = _told(prices)
        if wide:
            return _wide(_framed(prices.rows, "pandas", told), bars)
        found = _framed(prices.rows, frame, told)
        if frame == "pandas" and isinstance(codes, str) and len(asked) == 1:
            return found.drop(columns="code").set_index("date")
        return found

    def get_cross_section(
        self,
        date: Day,
        fields: Words = (),
        kind: Literal["a_share", "china_etf"] = "a_share",
        frame: FrameName = "pandas",
    ) -> Any:
        """All A-shares, or all funds, of one trading day: a row a code, in pandas its index.

        `fields` and units are as of `get_price`; there are more, like pe and industry, as
        `table("daily_prices")` has them. A day without trading, or not stored, is an error.
        """
        day = _day(date)
        if day is None:
            raise BadQuestion("Of which day? A cross-section is of one.")
        names = [name for name in _words(fields) if name != "code"]
        found = _framed(self._source.cross_section(day, names, kind), frame, {})
        return found.set_index("code") if frame == "pandas" else found

    def table(
        self,
        name: str,
        date: Day = None,
        start: Day = None,
        end: Day = None,
        code: str = "",
        fields: Words = (),
        frame: FrameName = "pandas",
    ) -> Any:
        """Rows of any table that is stored by day, as they are stored: a column a field.

        All of a `date`, or those of a `code` from `start` to `end`, by default the 90 days up to
        today. Names and units are the table's own (`GET /api/v1/tables`). Raises `NoSuchTable`,
        `NoSuchDay`; warns `Incomplete` of sessions that were never stored.
        """
        day, first, last = _day(date), _day(start), _day(end)
        if day and (first or last):
            raise BadQuestion("Ask for a date, or for a code from start to end, not for both.")
        if not day and not code:
            raise BadQuestion("Ask for a date, or for a code from start to end.")
        first, last = _range(first, last)
        asked = RowsQuestion(name, day, first, last, code, _words(fields))
        rows, absent = self._source.table(asked)
        told: dict[str, Any] = {"missing_sessions": {code: list(absent)} if absent else {}}
        warn_incomplete({}, told["missing_sessions"])
        return _framed(rows, frame, told)

    def instruments(self, search: str = "", limit: int = 1_000) -> pd.DataFrame:
        """Up to `limit` instruments whose code or name holds `search`, the closest first.

        Columns: code, name, asset_type and stored_in, the table that has its prices.
        """
        columns = ["code", "name", "asset_type", "stored_in"]
        return pd.DataFrame(self._source.instruments(search, limit), columns=columns)

    def trading_days(self, start: Day, end: Day = None) -> pd.DatetimeIndex:
        """The sessions of Shanghai and Shenzhen from `start` to `end`, by default today.

        The calendar has those from 2005 to the end of the published year; raises
        `CalendarExhausted` for days beyond.
        """
        from marketdata_assets.trading_calendar import sessions_between

        first, last = _range(_day(start), _day(end))
        return pd.DatetimeIndex(sessions_between(first, last), name="date")

    def premium(
        self, codes: Words, start: Day = None, end: Day = None, frame: FrameName = "pandas"
    ) -> Any:
        """Price, net asset value and premium of one fund or many, shaped as `get_price`.

        Columns: close and unit_nav in yuan, premium = close / unit_nav − 1 (0.05 is 5 %), and
        no_premium, why there is none: of the same date, never filled.
        """
        return self.get_price(codes, start, end, PREMIUM_COLUMNS, frame=frame)

    def coverage(self, table: str = "", start: Day = None, end: Day = None) -> pd.DataFrame:
        """What is stored of a table, or of all, by session; by default of the last 90 days.

        Columns: table, date, state (stored, flagged, held, unexplained, refused, damaged, missing),
        rows, and of them unexplained, held and flagged.
        """
        first, last = _range(_day(start), _day(end))
        columns = ["table", "date", "state", "rows", "unexplained", "held", "flagged"]
        rows = pd.DataFrame(self._source.coverage(table, first, last), columns=columns)
        # A session without a file has no number of rows.
        return rows.astype({"date": "datetime64[s]", "rows": "Int64"})

    def findings(
        self, date: Day = None, since: Day = None, code: str = "", outcome: str = ""
    ) -> pd.DataFrame:
        """What the checks found on a day, by default the last one, or from `since` on.

        Columns: table, check, code, outcome (refused, held, flagged or excused), since and last
        with the days in a row that have it, seen, expected and reason.
        """
        columns = ["table", "check", "code", "outcome", "since", "last", "days"]
        columns += ["seen", "expected", "reason"]
        rows = pd.DataFrame(
            self._source.findings(_day(date), _day(since), code, outcome), columns=columns
        )
        return rows.astype({"since": "datetime64[s]", "last": "datetime64[s]"})

    def sql(self, query: str, frame: FrameName = "pandas") -> Any:
        """The answer of DuckDB over the catalog of a folder, where each table is a view.

        Reading alone. Raises `BadQuestion` with what DuckDB says, and over HTTP.
        """
        return _framed(self._source.sql(query), frame, {})


def _words(text: Words) -> list[str]:
    if isinstance(text, str):
        text = text.split(",")
    words = list(text) if isinstance(text, Iterable) else [text]
    if not all(isinstance(one, str) for one in words):
        raise BadQuestion(f"{text!r}: write codes and names as text, like '600000.SH'.")
    return list(dict.fromkeys(filter(None, (one.strip() for one in words))))


def _day(written: Day) -> dt.date | None:
    if written is None:
        return None
    if isinstance(written, dt.datetime):
        return written.date()
    if isinstance(written, dt.date):
        return written
    text = str(written).strip()
    try:
        return day_written(text.replace("/", "-"))
    except ValueError as how:
        raise BadQuestion(f"{text!r} is no day: {how}.") from None


def _range(start: dt.date | None, end: dt.date | None) -> tuple[dt.date, dt.date]:
    last = end or dt.date.today()
    first = start or last - dt.timedelta(DEFAULT_DAYS)
    if first > last:
        raise BadQuestion(f"start {first} lies after end {last}.")
    return first, last


def together(parts: Sequence[Prices]) -> Prices:
    """The rows of some codes after those of others, and what is told of all of them."""
    if len(parts) == 1:
        return parts[0]
    told: dict[str, Any] = {
        name: {code: one for part in parts for code, one in getattr(part, name).items()}
        for name in ("missing", "unfinished", "stale", "failed")
    }
    # A part without any code that is one has no columns.
    rows = pa.concat_tables([part.rows for part in parts], promote_options="default")
    return Prices(rows, **told, empty=[code for part in parts for code in part.empty])


def _told(prices: Prices) -> dict[str, Any]:
    """What lacks, in words that any file takes. Raises `NoRows`, warns `Incomplete`."""
    missing = {**prices.failed, **dict.fromkeys(prices.empty, "no rows in the range")}
    if not prices.rows.num_rows:
        raise NoRows(missing)
    sessions = {code: list(days) for code, days in prices.missing.items() if days}
    early = {code: f"its history ends early, on {day}" for code, day in prices.stale.items()}
    warn_incomplete({**missing, **early}, sessions)
    return {
        "missing": missing,
        "missing_sessions": sessions,
        "stale": dict(prices.stale),
        "unfinished": dict(prices.unfinished),
    }


def warn_incomplete(
    missing: Mapping[str, str], sessions: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Warn whoever called the client, by whichever of its calls, where anything lacks."""
    if not missing and not sessions:
        return
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__package__") == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(Incomplete(missing, sessions or {}), stacklevel=level)


def _listed(missing: Mapping[str, str]) -> str:
    named = "; ".join(f"{code}: {why}" for code, why in [*missing.items()][:NAMED])
    return named + (f"; and {len(missing) - NAMED} more" if len(missing) > NAMED else "")


def _framed(rows: pa.Table, frame: FrameName, told: Mapping[str, Any]) -> Any:
    if frame == "pandas":
        found = rows.replace_schema_metadata().to_pandas(
            date_as_object=False, use_threads=rows.num_rows > WORTH_THREADS
        )
        found.attrs = dict(told)
        return found
    if frame == "arrow":
        return rows.replace_schema_metadata({"marketdata": json.dumps(told)} if told else None)
    if frame == "polars":
        try:
            import polars
        except ImportError:
            raise NotInstalled("frame='polars' needs it: pip install polars.") from None
        return polars.from_arrow(rows)
    raise BadQuestion(f"frame is {frame!r}: write pandas, polars or arrow.")


def _wide(rows: pd.DataFrame, frequency: str) -> pd.DataFrame:
    """A row a date. Bars of one week have one date, the last of any code."""
    told = rows.attrs
    if frequency in PERIODS:
        period = rows["date"].dt.to_period(PERIODS[frequency])
        rows = rows.assign(date=rows.groupby(period)["date"].transform("max"))
    fields = [name for name in rows.columns if name not in ("code", "date")]
    values: Any = fields[0] if len(fields) == 1 else fields
    codes = list(dict.fromkeys(rows["code"]))
    order = codes if len(fields) == 1 else [(name, code) for name in fields for code in codes]
    found = rows.pivot(index="date", columns="code", values=values)[order]
    found.attrs = told
    return found
