"""Tushare's wire protocol over any market: caps, pages, fields, error codes, rate limit.

Here belongs what the vendor's server does with a request. What the market is (simulated, or a
replay of a real day) is handed in; HTTP and faults are `server`.

Source: the protocol and the caps as documented and measured for Tushare Pro.
"""

import collections
import datetime as dt
import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_session,
    last_published_session,
    previous_session,
    sessions_between,
)
from marketdata_sandbox.columns import Columns, joined, where
from marketdata_sandbox.encoding import rows_as_json
from marketdata_sandbox.extra_answers import EXTRA_ANSWERS, OF_FUNDS, extra_answer
from marketdata_sandbox.fund_answers import funds_asked_for, values_asked_for
from marketdata_sandbox.futures_answers import FUTURES_CALLS, futures_answer
from marketdata_sandbox.plain_answers import plain_answer

DAYS_HELD = 6


class Market(Protocol):
    """A market's tables in Tushare's columns and units, as JSON-ready values."""

    def stock_basic(self, today: dt.date) -> Columns: ...
    def daily(self, day: dt.date) -> Columns: ...
    def stk_limit(self, day: dt.date) -> Columns: ...
    def daily_basic(self, day: dt.date) -> Columns: ...
    def adj_factor(self, day: dt.date) -> Columns: ...
    def suspend_d(self, day: dt.date) -> Columns: ...


@runtime_checkable
class NamedMarket(Protocol):
    """What a market whose shares have changed their names has besides."""

    def namechange(self, today: dt.date) -> Columns: ...


@runtime_checkable
class FundMarket(Protocol):
    """What a market with funds has besides; one without refuses these calls."""

    def fund_basic(self, today: dt.date) -> Columns: ...
    def fund_daily(self, day: dt.date) -> Columns: ...
    def fund_nav(self, nav_date: dt.date) -> Columns: ...


# The calls that tell a day: of all tables that are fetched so.
DAY_CALLS = {
    table.tushare.call: table
    for table in STORED_TABLES.values()
    if table.chain and not table.tushare.of_calendar_days
}
FUND_CALLS = ("fund_basic", "fund_daily", "fund_nav", *OF_FUNDS)
# Caps of other calls, and the one of stk_limit as measured, beyond the documented one.
OTHER_CAPS = {
    "stock_basic": 6_000,
    "namechange": 10_000,
    "trade_cal": 20_000,
    "fund_basic": 15_000,
    "fund_nav": 10_500,
    "stk_limit": 7_800,
} | FUTURES_CALLS
# How long after its beginning a day's futures are there.
FUTURES_PUBLISHED = dt.timedelta(hours=16)
ONLY_WHEN_ASKED_FOR = ("exchange", "list_status", "delist_date")


# What an account needs for a call.
POINTS = {
    table.source.call: table.source.points for table in STORED_TABLES.values() if table.source
}
USUAL_POINTS = 2_000


class Refusal(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class TushareProtocol:
    """Answers request bodies as the vendor would.

    `now` is the vendor's clock: a day is empty until its hour of publication. With
    `calls_per_minute` more calls of one name within 60 s are refused. With `token` any other
    token is refused, and with `points` the calls that take more of them.
    """

    def __init__(
        self,
        market: Market,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(SHANGHAI),
        calls_per_minute: int | None = None,
        token: str | None = None,
        points: int | None = None,
    ) -> None:
        self._market = market
        self._now = now
        self._calls_per_minute = calls_per_minute
        self._token = token
        self._points = points
        self._calls: dict[str, collections.deque[float]] = collections.defaultdict(
            collections.deque
        )
        self._lock = threading.Lock()
        self._day = functools.lru_cache(maxsize=DAYS_HELD)(self._simulate_day)

    def answer(self, body: bytes) -> bytes:
        """The JSON answer to one request body; errors are answers with a code."""
        request = json.loads(body)
        call, params = request["api_name"], request.get("params") or {}
        try:
            with self._lock:
                self._admit(call, request.get("token"))
                columns = self._columns(call, params)
            data = _page(call, columns, request.get("fields") or "", params)
            reply = f'"code": 0, "msg": "", "data": {data}'
        except Refusal as refusal:
            said = json.dumps(str(refusal), ensure_ascii=False)
            reply = f'"code": {refusal.code}, "msg": {said}, "data": null'
        return f'{{"request_id": "sandbox", {reply}}}'.encode()

    def _admit(self, call: str, token: str | None) -> None:
        if self._token is not None and token != self._token:
            raise Refusal(40101, "您的token不对，请确认。")
        if self._points is not None and self._points < POINTS.get(call, USUAL_POINTS):
            raise Refusal(
                40203, f"抱歉，您没有接口({call})访问权限，权限的具体详情访问：积分与频次权限对应表"
            )
        if self._calls_per_minute is None:
            return
        recent = self._calls[call]
        while recent and recent[0] <= time.monotonic() - 60:
            recent.popleft()
        if len(recent) >= self._calls_per_minute:
            limit = f"{self._calls_per_minute}次/分钟"
            raise Refusal(40203, f"抱歉，您访问接口({call})频率超限({limit})")
        recent.append(time.monotonic())

    def _columns(self, call: str, params: dict[str, str]) -> Columns:
        if call == "trade_cal":
            return _trade_cal(params)
        if call == "stock_basic":
            return self._stock_basic(params)
        if call == "namechange" and isinstance(self._market, NamedMarket):
            return _announced(self._market.namechange(self._today()), params)
        if isinstance(self._market, FundMarket):
            if call == "fund_basic":
                return funds_asked_for(self._market.fund_basic(self._today()), params)
            if call == "fund_nav":
                return self._fund_nav(self._market, params)
        elif call in FUND_CALLS:
            raise Refusal(40203, f"抱歉，您没有接口({call})访问权限")
        if call in DAY_CALLS:
            return self._days(call, params)
        if call in FUTURES_CALLS:
            return self._futures(call, params)
        raise Refusal(40203, f"抱歉，您没有接口({call})访问权限")

    def _stock_basic(self, params: dict[str, str]) -> Columns:
        stocks = self._market.stock_basic(self._today())
        statuses = set((params.get("list_status") or "L").split(","))
        stocks = where(stocks, "list_status", statuses)
        if params.get("exchange"):
            stocks = where(stocks, "exchange", set(params["exchange"].split(",")))
        return stocks

    def _fund_nav(self, market: FundMarket, params: dict[str, str]) -> Columns:
        span = ("ts_code", "start_date", "end_date")
        if not (params.get("nav_date") or all(params.get(name) for name in span)):
            raise Refusal(50101, "必填参数, ts_code或nav_date")
        return values_asked_for(market.fund_nav, params, self._now())

    def _futures(self, call: str, params: dict[str, str]) -> Columns:
        if not all(params.get(name) for name in ("ts_code", "start_date", "end_date")):
            raise Refusal(50101, "必填参数, ts_code")
        published = (self._now().astimezone(SHANGHAI) - FUTURES_PUBLISHED).date()
        last = min(_date(params["end_date"]), published)
        return futures_answer(call, params["ts_code"], _date(params["start_date"]), last)

    def _days(self, call: str, params: dict[str, str]) -> Columns:
        source = DAY_CALLS[call].tushare
        told_on = source.vendor_name("trade_date")
        part = source.parts.parameter if source.parts else ""
        if part and not params.get(part):
            raise Refusal(50101, f"必填参数, {part}")
        if params.get(told_on):
            days = [_date(params[told_on])]
        elif params.get("start_date") and params.get("end_date"):
            start, end = _date(params["start_date"]), _date(params["end_date"])
            days = sessions_between(start, end)[::-1]
        else:
            raise Refusal(50101, f"必填参数, {told_on if part else 'ts_code'}")
        published = (self._day(call, day) for day in days if self._is_published(call, day))
        if part:
            return self._part(call, part, params[part], published)
        codes = set(params["ts_code"].split(",")) if params.get("ts_code") else None
        if call == "suspend_d" and params.get("suspend_type"):
            kind = {params["suspend_type"]}
            published = (where(rows, "suspend_type", kind) for rows in published)
        size, offset = _size_and_offset(call, params)
        found = joined(published, codes, size + offset + 1)
        return found or {name: [] for name in self._day(call, FIRST_SESSION)}

    def _part(self, call: str, parameter: str, value: str, days: Iterable[Columns]) -> Columns:
        """The rows of one value of a parameter: of several at once there are none, and no error."""
        found = joined(days, None) or {name: [] for name in self._day(call, FIRST_SESSION)}
        if parameter == "market":
            listed = {code for code in found["ts_code"] if code.endswith(value)}
            return where(found, "ts_code", listed)
        return where(found, parameter, {value})

    def _today(self) -> dt.date:
        return self._now().astimezone(SHANGHAI).date()

    def _is_published(self, call: str, day: dt.date) -> bool:
        table = DAY_CALLS[call]
        is_out = self._now() >= table.tushare.out_at(day)
        return day >= table.first_date and is_out and is_session(day)

    def _simulate_day(self, call: str, day: dt.date) -> Columns:
        if told := getattr(self._market, call, None):
            return told(day)  # type: ignore[no-any-return]
        if call in EXTRA_ANSWERS:
            bars = self._day("fund_daily" if call in OF_FUNDS else "daily", day)
            return extra_answer(call, bars, day)
        return plain_answer(DAY_CALLS[call], self._day("daily", day)["ts_code"], day)


def _page(call: str, columns: Columns, fields: str, params: dict[str, object]) -> str:
    """The rows between offset and limit, never more than the cap, with the vendor's `has_more`."""
    names = [name for name in fields.split(",") if name in columns]
    if not fields:
        hidden = ONLY_WHEN_ASKED_FOR if call == "stock_basic" else ()
        names = [name for name in columns if name not in hidden]
    size, start = _size_and_offset(call, params)
    asked = [columns[name][start : start + size] for name in names]
    is_full = len(asked[0] if asked else ()) == size
    return (
        f'{{"fields": {json.dumps(names, ensure_ascii=False)}, "items": {rows_as_json(asked)}, '
        f'"has_more": {json.dumps(is_full)}, "count": 0}}'
    )


def _announced(names: Columns, params: dict[str, str]) -> Columns:
    """The rows whose day of announcement is asked for, the latest first."""
    first, last = params.get("start_date") or "", params.get("end_date") or "9"
    days = [day or "" for day in names["ann_date"]]
    order = sorted(range(len(days)), key=days.__getitem__, reverse=True)
    kept = [at for at in order if first <= days[at] <= last]
    return {name: [values[at] for at in kept] for name, values in names.items()}


def _size_and_offset(call: str, params: Mapping[str, object]) -> tuple[int, int]:
    cap = OTHER_CAPS.get(call) or DAY_CALLS[call].tushare.row_cap
    size = min(int(str(params.get("limit") or cap)), cap)
    return size, int(str(params.get("offset") or 0))


def _trade_cal(params: dict[str, str]) -> Columns:
    start = max(_date(params.get("start_date") or "20050104"), FIRST_SESSION)
    last = dt.date(last_published_session().year, 12, 31)
    end = min(_date(params["end_date"]) if params.get("end_date") else last, last)
    sessions = set(sessions_between(start, end))
    days = [start + dt.timedelta(n) for n in range((end - start).days + 1)]
    columns: Columns = {"exchange": [], "cal_date": [], "is_open": [], "pretrade_date": []}
    previous = f"{previous_session(start):%Y%m%d}" if start > FIRST_SESSION else None
    for day in days:
        columns["exchange"].append(params.get("exchange") or "SSE")
        columns["cal_date"].append(f"{day:%Y%m%d}")
        columns["is_open"].append(int(day in sessions))
        columns["pretrade_date"].append(previous)
        if day in sessions:
            previous = f"{day:%Y%m%d}"
    return columns


def _date(text: str) -> dt.date:
    return dt.datetime.strptime(text, "%Y%m%d").date()
