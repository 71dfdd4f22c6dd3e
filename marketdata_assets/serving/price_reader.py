"""The price reader: slices by code and cross-sections by day, read from finished copies.

Here belongs which copy answers for which instrument. A-shares and funds come from the series of
their daily tables; what those don't hold, and everything else, from the histories by code. Nobody
upstream is asked, and no writer is waited for.
"""

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate, groupby
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import FUND_KINDS, Instrument, Kind, identify
from marketdata_assets.instruments.mainland import is_former_code_of_beijing
from marketdata_assets.serving.adjusting import (
    adjusted,
    factors_in,
    factors_of_fund,
    refuse_unadjustable,
    refuse_without_factors,
    rolled,
)
from marketdata_assets.serving.answers import (
    CrossSection,
    ManyCodes,
    NotByCode,
    NotStored,
    Slice,
    in_one_table,
    span_of,
)
from marketdata_assets.serving.bars import Frequency, beginning, in_bars
from marketdata_assets.serving.caches import Histories, stale_since
from marketdata_assets.serving.former_codes import FormerCodes, SuccessorUnknown, rows_under_both
from marketdata_assets.serving.gaps import Days, Gaps
from marketdata_assets.serving.instrument_list import InstrumentList, Listed
from marketdata_assets.serving.ohlcv_view import DAILY_VIEWS, HISTORY, OHLCV, between
from marketdata_assets.serving.point_in_time import slices_at
from marketdata_assets.serving.queries import Adjust, Range, RangeQuery
from marketdata_assets.serving.table_rows import NoSuchDay, why_absent
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.storage.series import DayNotInSeries, NoSeries, Series
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, ETF_PREMIUM, Table
from marketdata_assets.trading_calendar import last_published_session

# Read together; more would be in memory together, too.
CODES_AT_ONCE = 25
SeriesOf: TypeAlias = Callable[[Table], Series | None]
# Rows as they are answered, and the sessions of their range that nobody has.
Plain: TypeAlias = tuple[pa.Table, Days]


class PriceReader:
    """The finished copies under `root`, the newest at every call; threads may share one."""

    def __init__(self, root: Path) -> None:
        # For reading alone: what is written carries an origin.
        self._lake = open_lake(root, "")
        self.histories = Histories(self._lake)
        self._instruments = InstrumentList(self._lake)
        self._gaps = Gaps(self._lake)
        self._former = FormerCodes(self._lake)
        self._series: dict[str, Series] = {}
        self._opening = threading.Lock()

    def instrument(self, text: str) -> Instrument:
        """What `identify` understands; a former code is the share under its present one.

        Raises `UnknownCode`, and `DamagedSeries` where Beijing's codes of before are asked for.
        """
        found = identify(text)
        if not is_former_code_of_beijing(found.code):
            return found
        return self._former.present(found, self.series(DAILY_PRICES))

    def codes_of(self, instrument: Instrument) -> tuple[str, ...]:
        """The codes under which rows of an instrument are stored: its present and its former one.

        Raises `DamagedSeries` where only that could tell.
        """
        return tuple(filter(None, (instrument.code, self._former_code(instrument))))

    def ohlcv(
        self,
        code: str,
        start: dt.date | None = None,
        end: dt.date | None = None,
        columns: Sequence[str] = OHLCV,
        adjust: Adjust = Adjust.NONE,
        anchor: dt.date | None = None,
        as_of: dt.datetime | None = None,
        frequency: Frequency = Frequency.DAY,
    ) -> Slice:
        """The rows of one code from `start` to `end`, both included; it may have none there.

        Raises `UnknownCode`, `NotStored`, `NoSuchColumn`, `NotInBars`, `NotAdjustable`,
        `MissingFactors`, `DamagedSeries` or `UnfitPartitions`, and for a former moment what
        `storage.as_of` raises.
        """
        instrument = self.instrument(code)
        asked = Range(start, end, columns, adjust, anchor, frequency)
        if as_of is None:
            return self._slice(instrument, asked, self.series)
        [known] = self._as_known([instrument], asked, as_of)
        return known

    def version_of(self, instrument: Instrument, asked: Range) -> tuple[object, ...] | None:
        """What the answer about the newest rows hangs on beside the question.

        None where files would have to be read that no version tells of: a ledger, the lists of
        stocks that know Beijing's former codes. Raises `DamagedSeries` or `UnfitPartitions`.
        """
        if instrument.code.endswith(".BJ"):
            return None
        now = dt.datetime.now(dt.UTC)
        # Which bars are whole, and which days are closed, is told too.
        until = instrument.market.last_final_day(now), last_published_session()
        view = DAILY_VIEWS.get(instrument.kind)
        series = self.series(view.table) if view else None
        if series is None or not self._has(series, instrument):
            history = self.histories.get(instrument.code)
            if history is None:
                return None
            stale = stale_since(instrument, history.rows["date"], now)
            return HISTORY.table.name, history.generation, stale, until
        factors = None if asked.adjust is Adjust.NONE else self.series(ADJ_FACTOR)
        days = asked.of_days()
        if self._gaps.absent(series, days.start, days.end):
            return None
        return series.table.name, series.generation, factors and factors.generation, until

    def is_at_hand(self, instrument: Instrument, asked: Range) -> bool:
        """Whether all of the answer is in memory, or in mapped files that were read before.

        Then a slice takes well under a millisecond, and no file is opened for it.
        """
        view = DAILY_VIEWS.get(instrument.kind)
        series = self._at_hand(view.table) if view else None
        if instrument.code.endswith(".BJ") or (view and series is None):
            return False
        if series is None or not self._has(series, instrument):
            return self.histories.keeps(instrument.code)
        days = asked.of_days()
        return (
            self._gaps.is_known(series)
            and not self._gaps.absent(series, days.start, days.end)
            and (asked.adjust is Adjust.NONE or self._at_hand(ADJ_FACTOR) is not None)
        )

    def _at_hand(self, table: Table) -> Series | None:
        series = self._series.get(table.name)
        return series if series and series.is_newest() and series.is_compared() else None

    def each(self, query: RangeQuery) -> Iterator[tuple[str, Slice | MarketdataError]]:
        """Every code of a query in its order, with its rows or why there are none.

        All answers are of the same generations, whatever is published meanwhile; a series that is
        damaged costs those alone that are in it.
        """
        if query.as_of is not None:
            yield from self._each_as_known(query, query.as_of)
            return
        tables = (*(view.table for view in DAILY_VIEWS.values()), ADJ_FACTOR)
        pinned = {table.name: self._opened(table) for table in tables}

        def series_of(table: Table) -> Series | None:
            if isinstance(one := pinned[table.name], MarketdataError):
                raise one.with_traceback(None)
            return one

        for first in range(0, len(query.codes), CODES_AT_ONCE):
            codes = query.codes[first : first + CODES_AT_ONCE]
            plain = self._plain_rows(codes, query.range, series_of)
            for code in codes:
                try:
                    instrument = self.instrument(code)
                    yield code, self._slice(instrument, query.range, series_of, plain.get(code))
                except MarketdataError as reason:
                    yield code, reason

    def _plain_rows(
        self, codes: Sequence[str], asked: Range, series_of: SeriesOf
    ) -> dict[str, Plain]:
        """The rows of codes of which nothing is to be reckoned, read at once: it takes a quarter
        of the time. Where one of them can't be read, each is asked by itself and says why."""
        rows: dict[str, Plain] = {}
        if asked.adjust is not Adjust.NONE or asked.frequency is not Frequency.DAY:
            return rows
        instruments = [one for one in map(identify, codes) if not one.code.endswith(".BJ")]
        for view in set(DAILY_VIEWS.values()):
            with suppress(MarketdataError):
                series = series_of(view.table)
                if series is None:
                    continue
                here = [
                    one.code
                    for one in instruments
                    if DAILY_VIEWS.get(one.kind) is view
                    and one.code in series
                    and not self._former_code(one, series)
                ]
                found, counts = series.counted_slices(
                    here, asked.start, asked.end, view.stored(asked.columns)
                )
                together = view.ohlcv(found, asked.columns)
                absent = self._gaps.absent(series, asked.start, asked.end)
                for code, count, end in zip(here, counts, accumulate(counts), strict=True):
                    rows[code] = together.slice(end - count, count), absent
        return rows

    def together(self, query: RangeQuery) -> ManyCodes:
        """All codes of a query in one table, in their order; of those that fail, why.

        Shares, or funds, as they were traded are read at once, which takes a third of the time.
        """
        plain: ManyCodes | None = None
        with suppress(MarketdataError):
            plain = self._read_at_once(query)
        others = [code for code in query.codes if code not in (plain.missing if plain else {})]
        if plain and not others:
            return plain
        rest = query.model_copy(update={"codes": others}) if plain else query
        return in_one_table(query.columns, dict(self.each(rest)), plain, query.codes)

    def _read_at_once(self, query: RangeQuery) -> ManyCodes | None:
        """The codes of the daily table that most of them are in, where nothing is to be reckoned.

        None where there is none of them, or where days are absent, of which each code has its own.
        Where they can't be read at once, each has to say why by itself.
        """
        asked = query.range
        if query.as_of or asked.adjust is not Adjust.NONE or asked.frequency is not Frequency.DAY:
            return None
        instruments = [self.instrument(code) for code in query.codes]
        kinds = Counter(one.kind for one in instruments if one.kind in DAILY_VIEWS)
        if not kinds:
            return None
        [[kind, _]] = kinds.most_common(1)
        view = DAILY_VIEWS[kind]
        series = self.series(view.table)
        if series is None or self._gaps.absent(series, asked.start, asked.end):
            return None
        codes = [
            one.code
            for one in instruments
            if one.kind is kind and not self._former_code(one, series)
        ]
        columns = ["code", "date", *(one for one in asked.columns if one not in ("code", "date"))]
        rows = view.ohlcv(
            series.slices(codes, asked.start, asked.end, view.stored(columns)), columns
        )
        # What has no row here may have been stored by code, or be asked for outside its life.
        present = (piece[0].as_py() for piece in rows["code"].chunks)
        return ManyCodes(rows, dict.fromkeys(present, ()), {}, {}, {})

    def cross_section(
        self, day: dt.date, columns: Sequence[str] = ("code", *OHLCV), kind: Kind = Kind.A_SHARE
    ) -> CrossSection:
        """All A-shares, or all funds, of one day, by code.

        Raises `NoSeries`, `NoSuchDay`, which says why, `DayNotInSeries`, `NoSuchColumn`,
        `DamagedSeries`.
        """
        view = DAILY_VIEWS[kind]
        stored = view.stored(columns)
        series = self.series(view.table) or Series.open(self._lake.root, view.table)
        try:
            rows = view.ohlcv(series.cross_section(day, stored), columns)
        except DayNotInSeries:
            if day in self._lake.days(view.table):
                # It is stored, and the series is behind: what to do is said there.
                raise
            now = dt.datetime.now(dt.UTC)
            raise NoSuchDay(why_absent(view.table, day, now)) from None
        return CrossSection(day, rows, view.table, series.generation, series.stored_at)

    def instruments(self, search: str = "", limit: int = 100) -> list[Listed]:
        """Instruments whose code or name holds `search`, the closest first.

        A series that is damaged has none.
        """
        histories = self._lake.codes(HISTORY.table)
        return self._instruments.search(search, limit, self.sound_series(), histories)

    def sound_series(self) -> list[Series]:
        """The series of prices that are there and can be read."""
        found = (self._opened(table) for table in (DAILY_PRICES, ETF_PREMIUM))
        return [one for one in found if isinstance(one, Series)]

    def keeps_days_of(self, instrument: Instrument) -> bool:
        """Whether a daily table has the instrument, and so no history by code answers for it."""
        view = DAILY_VIEWS.get(instrument.kind)
        series = self.series(view.table) if view else None
        return series is not None and self._has(series, instrument)

    def _has(self, series: Series, instrument: Instrument) -> bool:
        codes = (instrument.code, self._former_code(instrument, series))
        return any(code in series for code in codes if code)

    def series(self, table: Table) -> Series | None:
        """The newest generation of a table's series; None where it was never made.

        While one thread opens a new generation the others go on with the one before. Raises
        `DamagedSeries`.
        """
        known = self._series.get(table.name)
        if known is not None and known.is_newest():
            return known
        if not self._opening.acquire(blocking=known is None):
            return known
        try:
            known = self._series.get(table.name)
            newest = known.newest() if known else Series.open(self._lake.root, table)
            self._series[table.name] = newest
            return newest
        except NoSeries:
            self._series.pop(table.name, None)
            return None
        finally:
            self._opening.release()

    def _opened(self, table: Table) -> Series | MarketdataError | None:
        """The series of a table, or what is wrong with it."""
        try:
            return self.series(table)
        except MarketdataError as reason:
            return reason

    def _slice(
        self, instrument: Instrument, asked: Range, series_of: SeriesOf, plain: Plain | None = None
    ) -> Slice:
        days = self._days(instrument, asked.of_days(), series_of, plain)
        return self._in_bars(days, asked, dt.datetime.now(dt.UTC), series_of)

    def _days(
        self, instrument: Instrument, asked: Range, series_of: SeriesOf, plain: Plain | None
    ) -> Slice:
        """`plain` are the rows, as they are answered, where they have been read already."""
        refuse_unadjustable(instrument, asked.adjust)
        code, view = instrument.code, DAILY_VIEWS.get(instrument.kind)
        series = series_of(view.table) if view else None
        former = self._former_code(instrument, series) if series else ""
        spans = [span for one in (former, code) if one and series and (span := series.span(one))]
        if view is None or series is None or not spans:
            return self._of_history(instrument, asked)
        if plain is None:
            absent = self._gaps.absent(series, asked.start, asked.end)
            is_adjusted = asked.adjust is not Adjust.NONE
            stored = view.stored([*asked.columns, "date"] if is_adjusted else asked.columns)
            rows = rows_under_both(series, code, former, asked.start, asked.end, stored, view.date)
            if is_adjusted:
                anchor = None
                if asked.adjust is Adjust.QFQ:
                    anchor = asked.anchor or series.days[-1]
                if instrument.kind in FUND_KINDS:
                    factors = factors_of_fund(code, series, rows, anchor)
                else:
                    factors = factors_in(series_of(ADJ_FACTOR), code, former)
                rows = adjusted(code, rows, factors, anchor, view.date)
            plain = view.ohlcv(rows, asked.columns), absent
        rows, absent = plain
        return Slice(
            code=code,
            instrument=instrument,
            rows=rows,
            available=(min(first for first, _ in spans), max(last for _, last in spans)),
            source=view.table,
            generation=series.generation,
            stored_at=series.stored_at,
            missing=self._gaps.of_the_life(code if code in series else former, series, absent),
        )

    def _in_bars(
        self, days: Slice, asked: Range, moment: dt.datetime, series_of: SeriesOf
    ) -> Slice:
        """`days` as what was asked for, as it is at `moment`.

        A first bar that holds the first day of the series lacks the sessions before it.
        """
        if asked.frequency is Frequency.DAY:
            return days
        series = series_of(days.source) if days.missing is not None else None
        if series is not None and days.missing is not None and days.rows.num_rows:
            since = beginning(asked.frequency, days.rows["date"][0].as_py())
            before = self._gaps.before(days.code, series, since)
            days = replace(days, missing=(*before, *days.missing))
        bars = in_bars(days, asked.frequency, asked.end, moment)
        return replace(bars, rows=bars.rows.select(list(asked.columns)))

    def _former_code(self, instrument: Instrument, series: Series | None = None) -> str:
        """The code that a share had before, or an empty text; of Beijing's `series` tells it."""
        if instrument.kind not in (Kind.A_SHARE, Kind.B_SHARE):
            return ""
        if series is None and instrument.code.endswith(".BJ"):
            series = self.series(DAILY_PRICES)
        return self._former.former(instrument.code, series)

    def _of_history(self, instrument: Instrument, asked: Range) -> Slice:
        history = self.histories.get(instrument.code)
        if history is None:
            if is_former_code_of_beijing(instrument.code):
                raise SuccessorUnknown(instrument.code)
            view = DAILY_VIEWS.get(instrument.kind)
            if view and self.series(view.table) is None and self._lake.first_day(view.table):
                raise NotByCode(instrument.code, view.table)
            raise NotStored(instrument.code)
        if instrument.kind is Kind.FUTURES:
            rows = rolled(instrument.code, history.rows, asked)
        else:
            refuse_without_factors(instrument, asked.adjust)
            rows = between(history.rows, asked.start, asked.end)
        HISTORY.stored(asked.columns)
        dates = history.rows["date"]
        return Slice(
            code=instrument.code,
            instrument=instrument,
            rows=HISTORY.ohlcv(rows, asked.columns),
            available=span_of(dates),
            source=HISTORY.table,
            generation=history.generation,
            stored_at=history.stored_at,
            missing=None,
            stale=stale_since(instrument, dates, dt.datetime.now(dt.UTC)),
            origin=history.origin,
        )

    def _as_known(
        self, instruments: Sequence[Instrument], asked: Range, moment: dt.datetime
    ) -> Iterator[Slice]:
        former = {one.code: self._former_code(one) for one in instruments}
        days = asked.of_days()
        for one in slices_at(self._lake, instruments, former, days, moment, self.keeps_days_of):
            series = self.series(one.source) if one.missing else None
            if series is not None and one.missing is not None:
                code = one.code if one.code in series else former[one.code]
                one = replace(one, missing=self._gaps.of_the_life(code, series, one.missing))
            yield self._in_bars(one, asked, moment, self.series)

    def _each_as_known(
        self, query: RangeQuery, moment: dt.datetime
    ) -> Iterator[tuple[str, Slice | MarketdataError]]:
        asked: dict[str, Instrument] = {}
        found: dict[str, Slice | MarketdataError] = {}
        for code in query.codes:
            try:
                asked[code] = self.instrument(code)
            except MarketdataError as reason:
                found[code] = reason
        instruments = sorted(dict.fromkeys(asked.values()), key=lambda one: one.kind)
        for _, group in groupby(instruments, key=lambda one: one.kind):
            alike = list(group)
            try:
                found |= {one.code: one for one in self._as_known(alike, query.range, moment)}
            except MarketdataError:
                # One of them has no answer: which one, and why, only each by itself can tell.
                found |= {one.code: self._known(one, query.range, moment) for one in alike}
        for code in query.codes:
            yield code, found[asked[code].code if code in asked else code]

    def _known(
        self, instrument: Instrument, asked: Range, moment: dt.datetime
    ) -> Slice | MarketdataError:
        try:
            [known] = self._as_known([instrument], asked, moment)
        except MarketdataError as reason:
            return reason
        return known
