"""Slices as they were known at a moment, from the lake's files of that moment.

Here belongs the slow way, for few codes: day files are read one by one. Which version of a file
answers is `storage.as_of`, what adjusted means `adjusting`.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.instruments import FUND_KINDS, Instrument, Kind
from marketdata_assets.serving.adjusting import (
    Factors,
    NotAdjustable,
    adjusted,
    refuse_unadjustable,
    refuse_without_factors,
    rolled,
    session_of,
)
from marketdata_assets.serving.answers import Slice, span_of
from marketdata_assets.serving.caches import stale_since
from marketdata_assets.serving.gaps import Days
from marketdata_assets.serving.ohlcv_view import DAILY_VIEWS, HISTORY, View, between
from marketdata_assets.serving.queries import Adjust, Range
from marketdata_assets.storage.as_of import NotKnownThen, files_as_of
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.tables import ADJ_FACTOR, INSTRUMENT_HISTORY, Table
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_known,
    last_published_session,
    last_session_over,
    sessions_between,
)

Relation = duckdb.DuckDBPyRelation


def slices_at(
    lake: Lake,
    instruments: Sequence[Instrument],
    former: Mapping[str, str],
    asked: Range,
    moment: dt.datetime,
    keeps_days_of: Callable[[Instrument], bool],
) -> Iterator[Slice]:
    """A slice for every one of `instruments`, all of one kind, in their order.

    `former` has by its code the one that each had before, or an empty text; rows under that one are
    of days that the present one lacks, and are not adjusted.
    What `keeps_days_of` affirms has its rows in a daily table, or none in the range. Without an
    anchor qfq takes the last day that was known then; factors are those of the same moment. Raises
    `NotAdjustable`, `NoSuchColumn`, `MissingFactors`, and what `files_as_of` raises.
    """
    refuse_unadjustable(instruments[0], asked.adjust)
    if asked.adjust is not Adjust.NONE and instruments[0].kind in FUND_KINDS:
        raise NotAdjustable(
            f"{instruments[0].code} is a fund, and adjusted prices of funds are not known of a "
            "former moment. Ask with adjust=none, or without as_of."
        )
    view = DAILY_VIEWS.get(instruments[0].kind)
    known, unknown = None, None
    if view:
        view.stored(asked.columns)
        try:
            present = [one.code for one in instruments]
            codes = [*present, *filter(None, (former[code] for code in present))]
            known = _daily(lake, view, codes, asked, moment)
        except NotKnownThen as nothing:
            unknown = nothing
    for instrument in instruments:
        if view and known:
            own = known.of(instrument.code, former[instrument.code], view)
            if own.num_rows or keeps_days_of(instrument):
                yield _slice(instrument, own, view, asked.columns, moment, known.absent)
                continue
        try:
            history = _history(lake, instrument.code, moment)
        except NotKnownThen as nothing:
            if view is None or known is None:
                raise unknown or nothing from None
            # The days were known, and the code was not among them.
            none = known.rows.slice(0, 0)
            yield _slice(instrument, none, view, asked.columns, moment, known.absent)
        else:
            if instrument.kind is Kind.FUTURES:
                own = rolled(instrument.code, history, asked)
            else:
                refuse_without_factors(instrument, asked.adjust)
                own = between(history, asked.start, asked.end)
            known_then = _slice(instrument, own, HISTORY, asked.columns, moment, None)
            yield replace(known_then, stale=stale_since(instrument, history["date"], moment))


@dataclass
class _Daily:
    """Rows of a daily table as stored, by code and date; the sessions that are `absent`.

    With `factors` of the same codes prices are adjusted: forward at the `anchor`, or backward.
    """

    rows: pa.Table
    absent: Days
    factors: pa.Table | None = None
    factors_until: dt.date | None = None
    anchor: dt.date | None = None

    def of(self, code: str, former: str, view: View) -> pa.Table:
        own = self.rows.filter(pc.equal(self.rows[view.code], code))
        before = self.rows.filter(pc.equal(self.rows[view.code], former))
        known = pc.is_in(before[view.date], value_set=own[view.date].combine_chunks())
        before = before.filter(pc.invert(known))
        if before.num_rows and self.factors is not None:
            raise NotAdjustable(
                f"{code} was {former} on {before.num_rows} of these days: adjusted prices of two "
                "codes are not known of a former moment. Ask with adjust=none, or without as_of."
            )
        if before.num_rows:
            own = pa.concat_tables([before, own]).sort_by(view.date)
        if self.factors is None or not own.num_rows:
            return own
        factors = self.factors.filter(pc.equal(self.factors["ts_code"], code))
        return adjusted(code, own, Factors(factors, self.factors_until), self.anchor)


def _daily(
    lake: Lake, view: View, codes: Sequence[str], asked: Range, moment: dt.datetime
) -> _Daily:
    newest = moment.astimezone(SHANGHAI).date()
    start, end = max(asked.start or FIRST_SESSION, FIRST_SESSION), min(asked.end or newest, newest)
    needs_newest = asked.adjust is Adjust.QFQ and asked.anchor is None
    days = _days_between(lake, view.table, start, newest if needs_newest else end)
    if not days and start <= end:
        # A weekend: there was nothing to know.
        return _Daily(view.table.schema.empty_table(), ())
    with bounded_duckdb() as connection, files_as_of(lake, view.table, days, moment) as files:
        rows = _of_codes(rows_of(connection, view.table, files.values()), view.code, codes)
        rows = _between(rows, view.date, start, end)
        over = min(end, last_session_over(moment))
        absent = tuple(day for day in days if day <= over and day not in files)
        daily = _Daily(_ordered(rows, view.code, view.date), absent)
        if asked.adjust is Adjust.NONE:
            return daily
        known = [day for day in files if isinstance(day, dt.date)]
        until = end if asked.adjust is Adjust.HFQ else asked.anchor or max(known)
        anchored = until
        if asked.adjust is Adjust.QFQ:
            anchored = session_of(until) if is_known(until) else last_published_session()
        factor_days = _days_between(lake, ADJ_FACTOR, min(start, anchored), max(end, until))
        with files_as_of(lake, ADJ_FACTOR, factor_days, moment) as factor_files:
            factors = rows_of(connection, ADJ_FACTOR, factor_files.values())
            factors = _of_codes(factors, "ts_code", codes).filter("adj_factor IS NOT NULL")
            daily.factors = _ordered(factors, "ts_code", "trade_date")
            daily.factors_until = max(day for day in factor_files if isinstance(day, dt.date))
            daily.anchor = until if asked.adjust is Adjust.QFQ else None
        return daily


def _days_between(lake: Lake, table: Table, start: dt.date, end: dt.date) -> list[dt.date]:
    """The sessions; beyond the installed calendar, whose end may be old news, what is stored."""
    if is_known(end):
        return sessions_between(start, end)
    last = last_published_session()
    beyond = [day for day in lake.days(table) if last < day and start <= day <= end]
    return [*sessions_between(start, last), *beyond]


def _history(lake: Lake, code: str, moment: dt.datetime) -> pa.Table:
    with (
        bounded_duckdb() as connection,
        files_as_of(lake, INSTRUMENT_HISTORY, [code], moment) as files,
    ):
        rows = rows_of(connection, INSTRUMENT_HISTORY, files.values())
        return rows.order("date").to_arrow_table()


def _of_codes(rows: Relation, code_column: str, codes: Iterable[str]) -> Relation:
    wanted = [duckdb.ConstantExpression(code) for code in codes]
    return rows.filter(duckdb.ColumnExpression(code_column).isin(*wanted))


def _between(rows: Relation, date: str, start: dt.date, end: dt.date) -> Relation:
    day = duckdb.ColumnExpression(date)
    after = day >= duckdb.ConstantExpression(start)
    return rows.filter(after & (day <= duckdb.ConstantExpression(end)))


def _ordered(rows: Relation, code: str, date: str) -> pa.Table:
    return rows.order(f"{code}, {date}").to_arrow_table()


def _slice(
    instrument: Instrument,
    rows: pa.Table,
    view: View,
    columns: Sequence[str],
    moment: dt.datetime,
    absent: Days | None,
) -> Slice:
    return Slice(
        code=instrument.code,
        instrument=instrument,
        rows=view.ohlcv(rows, columns),
        available=span_of(rows[view.date]),
        source=view.table,
        generation=None,
        stored_at=moment,
        missing=absent,
    )
