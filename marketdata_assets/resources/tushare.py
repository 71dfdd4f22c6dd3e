"""Tushare as a Dagster resource: whole days of a table, complete and typed, or an error.

Here belongs how one day of the market, or several, is put together from calls: pages, splits by
code. A single call is `tushare_client`, a single answer `tushare_answers`, many days at once
`tushare_days`.
"""

import datetime as dt
import gc
import itertools
import logging
import math
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PrivateAttr
from requests.adapters import BaseAdapter

from marketdata_assets.allowance_counter import shared_path
from marketdata_assets.instruments.code_changes import FORMER
from marketdata_assets.resources.call_meter import Stretch
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.tushare_answers import (
    as_last_known,
    asking_for,
    each_key_once,
    in_our_words,
    is_end_whole,
    of_somebody,
    refuse_empty_columns,
    refuse_other_days,
    refuse_others,
    typed_table,
    whole_day,
)
from marketdata_assets.resources.tushare_days import (
    MOST_PAGES_OF_A_RANGE,
    FetchedDay,
    days_in_order,
    read_range,
)
from marketdata_assets.resources.tushare_errors import (
    BadRequest,
    BadValue,
    NoPermission,
    NotPublishedYet,
    Truncated,
    Unavailable,
)
from marketdata_assets.resources.tushare_navs import as_of_session, nav_dates, one_row_each
from marketdata_assets.tables import (
    FUND_BASIC,
    FUND_NAV,
    NAME_CHANGES,
    STOCK_BASIC,
    TRADE_CALENDAR,
    Table,
)
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import SHANGHAI, is_session

if TYPE_CHECKING:
    from marketdata_assets.resources.tushare_client import Answer, TushareClient

logger = logging.getLogger(__name__)

SLOWEST_USUAL_CALL_SECONDS = 2.6
CODES_PER_CALL = 1_000
MOST_PAGES = 20
MOST_CALLS_IN_FLIGHT = 32
EXCHANGES = ("SSE", "SZSE", "BSE")
FIRST_YEAR_OF_NAMES = 1990
# Python looks for garbage after 700 new lists. An answer has thousands, one a row, and needs none
# of the looking, which takes as long as reading the answer does.
LISTS_BETWEEN_LOOKS = 100_000
# Of a few delisted shares the vendor may not tell the last day; of more than both, it was lost.
MOST_UNDATED, MOST_UNDATED_SHARE = 5, 0.01
# Parts of a cut answer lack a few codes by the codes' own fault; where more are lost, by theirs.
MOST_LOST = 5


class TushareResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Tushare Pro behind one token.

    `calls_per_minute` is the account's allowance (Tushare: 200 from 2,000 points, 500 from 5,000)
    and is shared by all processes of the machine that use the same token; they meet in a file in
    `state_folder`, by default the user's state folder.
    """

    token: str = Field(repr=False)
    url: str
    calls_per_minute: int = 200
    state_folder: str | None = None

    _client: "TushareClient" = PrivateAttr()
    _codes: dict[str, list[str]] = PrivateAttr(default_factory=dict)
    _ranges: dict[str, bool] = PrivateAttr(default_factory=dict)
    _codes_lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["TushareResource"]:
        self._client = self.client()
        try:
            with _garbage_looked_for_seldom():
                yield self
        finally:
            self._client.close()

    def client(self, attempts: int | None = None) -> "TushareClient":
        """A client of its own, which tries a call so often; the caller closes it."""
        from marketdata_assets.resources.tushare_client import ATTEMPTS, TushareClient

        return TushareClient(
            token=self.token,
            url=self.url,
            allowance=Allowance(
                self.calls_per_minute, shared_path(self.token, self.url, self.state_folder)
            ),
            transport=self.transport(),
            connections=self.calls_in_flight,
            attempts=attempts or ATTEMPTS,
        )

    def transport(self) -> BaseAdapter | None:
        """Where requests go; None means the network."""
        return None

    @property
    def calls_in_flight(self) -> int:
        """Enough that slow calls still use the whole allowance, within reason."""
        needed = math.ceil(self.calls_per_minute * SLOWEST_USUAL_CALL_SECONDS / 60) + 2
        return min(needed, MOST_CALLS_IN_FLIGHT)

    def stretch(self) -> Stretch:
        """The calls from now on, to be told of afterwards."""
        return Stretch(self._client.meter)

    def days(
        self,
        table: Table,
        days: Sequence[dt.date],
        rows: Sequence[int] = (),
        alone: Collection[dt.date] = (),
    ) -> Iterator[FetchedDay]:
        """Each day with the whole market's rows of `table`, in the order asked for.

        Where the vendor answers ranges, a call asks for as many neighbouring sessions as it has
        room for, by the `rows` of the sessions before; days that are to be asked for `alone` are.
        Several calls are under way at a time; few days are held. In place of a day that is not
        published or comes wrong stands the error that says so, `NotPublishedYet` or a
        `WrongAnswer`; one that is not the day's own (no network, no permission) is raised and ends
        it at once.
        """
        return days_in_order(self, table, days, rows, alone)

    def day(self, table: Table, day: dt.date) -> pa.Table:
        """All rows of `table` on `day`, typed as declared, key unique.

        Raises `NotPublishedYet` when the vendor has no row of that day, else the `TushareError`
        that fits; only a table that may be empty is ever returned so.
        """
        if table.tushare.of_calendar_days:
            return as_of_session(day, [self.fund_nav(date) for date in nav_dates(day)])
        params = asking_for(table, day)
        if table.tushare.parts:
            data = self._part_by_part(table, day, params)
        elif table.tushare.page_size:
            data = self._in_pages(table, params)
        else:
            data = self._whole_or_by_code(table, params)
        return whole_day(table, data, day, params)

    def several_days(self, table: Table, days: Sequence[dt.date]) -> dict[dt.date, pa.Table]:
        """Those of neighbouring `days` that one call has whole, each as `day` returns it.

        The others have to be asked for by themselves, which tells what is wrong with them. Raises
        the `TushareError` that fits when that could not help: the token, the quota, the rate.
        """
        params = {"start_date": f"{days[0]:%Y%m%d}", "end_date": f"{days[-1]:%Y%m%d}"}
        try:
            if table.tushare.page_size:
                # The vendor's cap may be lower than our page; far more pages were not planned.
                most = 2 * MOST_PAGES_OF_A_RANGE
                pages = list(itertools.islice(self._pages(table, params), most + 1))
                is_cut = len(pages) > most
            else:
                pages = [self._call(table, params)]
                is_cut = _is_cut(table, pages[0])
        except (BadRequest, NoPermission, Unavailable) as error:
            # An outage is no answer, where there has been one.
            if not (isinstance(error, Unavailable) and self.answers_ranges(table)):
                self._note_ranges(table, False, str(error))
            return {}
        answer = read_range(table, days, pages, is_cut)
        if answer.is_of_range or not is_cut:
            why = f"asked for {len(days)} sessions, got others."
            self._note_ranges(table, answer.is_of_range, why)
        return answer.days

    def answers_ranges(self, table: Table) -> bool | None:
        """Whether the vendor takes notice of ranges of days, None while that is not known.

        The first answer tells, for as long as this resource is there. That it does is remembered
        beside the allowance, so that no later run has to wait for its first answer.
        """
        call = table.tushare.call
        return self._ranges.get(call, True if self._remembered(call).exists() else None)

    def stock_basic(self) -> pa.Table:
        """Every A-share ever listed, as known now: listed, delisted and paused ones.

        A few of the delisted ones may lack the day of it; of more than a few that is refused.
        """
        parts = [self._stocks({"list_status": status}) for status in ("L", "D", "P")]
        if parts[0].num_rows == 0:
            raise NotPublishedYet("stock_basic", {"list_status": "L"}, "no listed share.")
        _refuse_undated(parts[1])
        return each_key_once(STOCK_BASIC, pa.concat_tables(parts), {})

    def name_changes(self) -> pa.Table:
        """Every name that a share has had, as known now; rows that say the same once.

        Asked for by years of announcement, as the call can't be paged: all of them at once, and
        where that is cut by halves. Raises `Truncated` where a single year is cut.
        """
        years = range(FIRST_YEAR_OF_NAMES, dt.datetime.now(SHANGHAI).year + 1)
        changes = self._names_of(years)
        if changes.num_rows == 0:
            raise NotPublishedYet(NAME_CHANGES.tushare.call, {}, "no name of any share.")
        return changes.group_by(changes.column_names).aggregate([])

    def fund_basic(self) -> pa.Table:
        """Every exchange-listed fund that trades or did, as known now."""
        listed, delisted = (self._funds(status) for status in ("L", "D"))
        if listed.num_rows == 0:
            raise NotPublishedYet("fund_basic", {"status": "L"}, "no listed fund.")
        return each_key_once(FUND_BASIC, pa.concat_tables([listed, delisted]), {})

    def fund_nav(self, date: dt.date) -> pa.Table:
        """The values of all exchange-listed funds on a calendar day, one row a fund.

        Raises `NotPublishedYet` when there is none of a day that trades.
        """
        params = {"nav_date": f"{date:%Y%m%d}", "market": "E"}
        navs = one_row_each(self._in_pages(FUND_NAV, params), params)
        if navs.num_rows:
            refuse_other_days(FUND_NAV, navs, date, params)
        if is_session(date):
            if navs.num_rows == 0:
                raise NotPublishedYet("fund_nav", params, f"no value of {date}.")
            # Premiums rest on this one; the others may come later, and nothing rests on them.
            refuse_empty_columns(FUND_NAV, navs, ["unit_nav"], date, params)
        return navs

    def trade_cal(self, start: dt.date, end: dt.date) -> pa.Table:
        """Open and closed days of the Shanghai exchange from `start` to `end`."""
        params = {"exchange": "SSE", "start_date": f"{start:%Y%m%d}", "end_date": f"{end:%Y%m%d}"}
        days = self._rows(TRADE_CALENDAR, params)
        if days.num_rows == 0:
            raise NotPublishedYet("trade_cal", params, "no row.")
        calendar = each_key_once(TRADE_CALENDAR, days, params)
        if set(calendar["exchange"].to_pylist()) != {"SSE"}:
            raise BadValue("trade_cal", params, "asked for SSE, got another exchange.")
        return calendar

    def _call(self, table: Table, params: dict[str, str], **paging: int) -> "Answer":
        fields = ",".join(map(table.tushare.vendor_name, table.told_columns))
        return self._client.query(table.tushare.call, fields=fields, **params, **paging)

    def _asked(self, table: Table, params: dict[str, str]) -> tuple[pa.Table, bool]:
        """The rows of a call, and whether the answer is cut."""
        answer = self._call(table, params)
        return _typed(table, answer, params), _is_cut(table, answer)

    def _rows(self, table: Table, params: dict[str, str]) -> pa.Table:
        """The rows of a call that has all of them. Raises `Truncated`."""
        rows, is_cut = self._asked(table, params)
        if is_cut:
            what = f"{rows.num_rows} rows and more to come."
            raise Truncated(table.tushare.call, params, what)
        return rows

    def _part_by_part(self, table: Table, day: dt.date, params: dict[str, str]) -> pa.Table:
        """The rows of each part that the vendor has by that day; those without any are named."""
        parts = table.tushare.parts
        assert parts is not None, f"{table.name} is not asked for by parts"
        found, missing = [table.schema.empty_table()], []
        for value in (value for value, since in parts.since if since <= day):
            asked = {**params, parts.parameter: value}
            rows, is_cut = self._asked(table, asked)
            if is_cut and not is_end_whole(table, rows):
                raise Truncated(table.tushare.call, asked, "cut even for this part of the day.")
            rows = as_last_known(table, rows, asked)
            if parts.parameter in table.column_names:
                refuse_others(table, rows, parts.parameter, asked)
            found.append(rows)
            if not rows.num_rows:
                missing.append(value)
        if missing and len(missing) < len(found) - 1:
            logger.warning(
                "%s %s: there is no row of %s %s.",
                table.name,
                day,
                parts.parameter,
                ", ".join(missing),
            )
        return pa.concat_tables(found)

    def _in_pages(self, table: Table, params: dict[str, str]) -> pa.Table:
        return pa.concat_tables(
            [_typed(table, answer, params) for answer in self._pages(table, params)]
        )

    def _pages(self, table: Table, params: dict[str, str]) -> Iterator["Answer"]:
        size = table.tushare.page_size
        assert size is not None, f"{table.name} can't be paged"
        offset = 0
        for _ in range(MOST_PAGES):
            answer = self._call(table, params, limit=size, offset=offset)
            yield answer
            # The vendor may lower its cap below our page, so a short page can still have more.
            is_full = len(answer.items) >= size or len(answer.items) == table.tushare.row_cap
            if not answer.items or not (answer.has_more or is_full):
                return
            offset += len(answer.items)
        raise Truncated(table.tushare.call, params, f"more than {MOST_PAGES} pages of {size} rows.")

    def _whole_or_by_code(self, table: Table, params: dict[str, str]) -> pa.Table:
        whole, is_cut = self._asked(table, params)
        if not is_cut:
            return whole
        listed = self._every_code(table)
        unlisted = sorted(set(whole["ts_code"].to_pylist()).difference(listed))
        if unlisted:
            logger.warning(
                "%s %s: cut after %d rows and asked again by codes. No list has %d of them (%s …), "
                "and another one beyond the cut would not be seen.",
                table.name,
                params,
                whole.num_rows,
                len(unlisted),
                unlisted[0],
            )
        codes = listed + unlisted
        calls = [codes[at : at + CODES_PER_CALL] for at in range(0, len(codes), CODES_PER_CALL)]
        parts = [self._rows(table, {**params, "ts_code": ",".join(call)}) for call in calls]
        return _none_lost(table, whole, pa.concat_tables(parts), params)

    def _note_ranges(self, table: Table, are_answered: bool, why: str) -> None:
        """The first answer counts: a later one that is not of its range is a fault of its own."""
        call = table.tushare.call
        if call in self._ranges:
            return
        self._ranges[call] = are_answered
        remembered = self._remembered(call)
        if are_answered:
            remembered.parent.mkdir(parents=True, exist_ok=True)
            remembered.touch()
            return
        remembered.unlink(missing_ok=True)
        logger.warning(
            "%s: %s is not answered by ranges of days, so every day is asked for by itself. (%s)",
            table.name,
            call,
            why,
        )

    def _remembered(self, call: str) -> Path:
        allowance = shared_path(self.token, self.url, self.state_folder)
        return allowance.with_suffix(".ranges") / call

    def _every_code(self, table: Table) -> list[str]:
        everything = self.fund_basic if table.chain is Chain.FUNDS else self.stock_basic
        with self._codes_lock:
            if everything.__name__ not in self._codes:
                codes = everything()["ts_code"].to_pylist()
                # The past of a share may be told under the code that it had.
                former = [FORMER[code] for code in codes if code in FORMER]
                self._codes[everything.__name__] = codes + former
            return self._codes[everything.__name__]

    def _funds(self, status: str) -> pa.Table:
        params = {"market": "E", "status": status}
        funds = self._rows(FUND_BASIC, params)
        for name, wanted in params.items():
            funds = _as_asked(FUND_BASIC, funds, name, wanted)
            refuse_others(FUND_BASIC, funds, name, params)
        return funds

    def _names_of(self, years: range) -> pa.Table:
        params = {"start_date": f"{years[0]}0101", "end_date": f"{years[-1]}1231"}
        if len(years) == 1:
            return self._rows(NAME_CHANGES, params)
        changes, is_cut = self._asked(NAME_CHANGES, params)
        if not is_cut:
            return changes
        half = len(years) // 2
        parts = [self._names_of(years[:half]), self._names_of(years[half:])]
        return _none_lost(NAME_CHANGES, changes, pa.concat_tables(parts), params)

    def _stocks(self, params: dict[str, str]) -> pa.Table:
        stocks, is_cut = self._asked(STOCK_BASIC, params)
        for name, wanted in params.items():
            stocks = _as_asked(STOCK_BASIC, stocks, name, wanted)
        if is_cut:
            if "exchange" in params:
                raise Truncated("stock_basic", params, "cut even for one exchange.")
            parts = [self._stocks({**params, "exchange": name}) for name in EXCHANGES]
            stocks = _none_lost(STOCK_BASIC, stocks, pa.concat_tables(parts), params)
        return stocks


@contextmanager
def _garbage_looked_for_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(LISTS_BETWEEN_LOOKS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _typed(table: Table, answer: "Answer", params: dict[str, str]) -> pa.Table:
    fields, rows = in_our_words(table, answer.fields, answer.items, params)
    return typed_table(table, fields, of_somebody(table, fields, rows, params), params)


def _as_asked(table: Table, data: pa.Table, name: str, wanted: str) -> pa.Table:
    """`data` where a row that leaves open what it was asked by has what was asked for."""
    number = table.column_names.index(name)
    return data.set_column(number, table.schema.field(name), pc.fill_null(data[name], wanted))


def _refuse_undated(delisted: pa.Table) -> None:
    undated = delisted.filter(pc.is_null(delisted["delist_date"]))["ts_code"].to_pylist()
    if not undated:
        return
    shown = ", ".join(sorted(undated)[:MOST_UNDATED])
    if len(undated) > max(MOST_UNDATED, MOST_UNDATED_SHARE * delisted.num_rows):
        what = f"{len(undated)} of {delisted.num_rows} delisted shares have no delist_date: {shown}"
        raise BadValue("stock_basic", {"list_status": "D"}, f"{what} …")
    logger.warning(
        "%s: %s delisted without a delist_date, so in the universe of no day.",
        STOCK_BASIC.name,
        shown,
    )


def _is_cut(table: Table, answer: "Answer") -> bool:
    return answer.has_more or len(answer.items) >= table.tushare.row_cap


def _none_lost(table: Table, cut: pa.Table, parts: pa.Table, params: dict[str, str]) -> pa.Table:
    """`parts`, with the rows of the cut answer whose codes no part has.

    Those are a few, as without the exchange that parts are asked for by. Of more, parts are wrong,
    and where a code has several rows, some may be cut: then `Truncated` is raised.
    """
    rest = cut.filter(pc.invert(pc.is_in(cut["ts_code"], pc.unique(parts["ts_code"]))))
    codes = sorted(set(rest["ts_code"].to_pylist()))
    if not codes:
        return parts
    what = f"{len(codes)} code(s) got lost in asking by part: {', '.join(codes[:MOST_LOST])}"
    if len(codes) > MOST_LOST or {*table.key, table.date_column} != {"ts_code", table.date_column}:
        raise Truncated(table.tushare.call, params, f"{what} …")
    logger.warning("%s %s: %s. They are as in the cut answer.", table.name, params, what)
    return pa.concat_tables([parts, rest])
