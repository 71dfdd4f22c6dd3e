"""What the vendor's server answers about indices, dividends, margin trading and disclosures.

Here belong rows that are drawn from a day's bars and fit in themselves, as the vendor's do: sums
add up, units hold, sides have their signs. They say nothing of the simulated market beyond that: an
index is no mean of its members, and who goes ex is another draw than the bars' own.
"""

import datetime as dt
import zlib
from collections.abc import Callable

import numpy as np

from marketdata_assets.tables import Table
from marketdata_assets.tables.extras import FUND_SHARE
from marketdata_assets.tables.indices import INDEX_DAILY, INDEX_WEIGHT
from marketdata_assets.trading_calendar import FIRST_SESSION, next_session, previous_session
from marketdata_sandbox.columns import Columns

MEMBERS = 50
# A limit of 10 % is reached within the rounding of prices.
AT_LIMIT = 9.8


def index_daily(bars: Columns, day: dt.date) -> Columns:
    before = previous_session(day) if day > FIRST_SESSION else day
    codes = _parts(INDEX_DAILY, day)
    close = [_level(code, day) for code in codes]
    pre_close = [_level(code, before) for code in codes]
    opened = [round((new + old) / 2, 4) for new, old in zip(close, pre_close, strict=True)]
    pairs = list(zip(close, pre_close, opened, strict=True))
    return {
        "ts_code": codes,
        "trade_date": [_written(day)] * len(codes),
        "open": opened,
        "high": [round(max(trio) * 1.002, 4) for trio in pairs],
        "low": [round(min(trio) * 0.998, 4) for trio in pairs],
        "close": close,
        "pre_close": pre_close,
        "change": [round(new - old, 4) for new, old, _ in pairs],
        "pct_chg": [round((new - old) / old * 100, 4) for new, old, _ in pairs],
        "vol": [sum(bars["vol"])] * len(codes),
        "amount": [round(sum(bars["amount"]), 3)] * len(codes),
    }


def index_weight(bars: Columns, day: dt.date) -> Columns:
    """Of the last session of a month alone, as the vendor tells them."""
    if next_session(day).month == day.month:
        return {name: [] for name in ("index_code", "con_code", "trade_date", "weight")}
    indices = _parts(INDEX_WEIGHT, day)
    members = bars["ts_code"][:MEMBERS]
    weight = round(100 / max(1, len(members)), 4)
    return {
        "index_code": [index for index in indices for _ in members],
        "con_code": members * len(indices),
        "trade_date": [_written(day)] * (len(members) * len(indices)),
        "weight": [weight] * (len(members) * len(indices)),
    }


def dividend(bars: Columns, day: dt.date) -> Columns:
    codes = _some(bars, 40)
    cash = [round(0.1 + 0.05 * (number % 7), 4) for number in range(len(codes))]
    shares = [0.3 if number % 5 == 4 else 0.0 for number in range(len(codes))]
    none = [None] * len(codes)
    return {
        "ts_code": codes,
        "end_date": [f"{day.year - 1}1231"] * len(codes),
        "ann_date": [_written(day - dt.timedelta(days=60))] * len(codes),
        "div_proc": ["实施"] * len(codes),
        "stk_div": shares,
        "stk_bo_rate": [0.0] * len(codes),
        "stk_co_rate": shares,
        "cash_div": [round(0.9 * one, 4) for one in cash],
        "cash_div_tax": cash,
        "record_date": [_written(day - dt.timedelta(days=1))] * len(codes),
        "ex_date": [_written(day)] * len(codes),
        "pay_date": [_written(day)] * len(codes),
        "div_listdate": none,
        "imp_ann_date": [_written(day - dt.timedelta(days=7))] * len(codes),
        "base_date": none,
        "base_share": [10_000.0] * len(codes),
    }


def limit_list_d(bars: Columns, day: dt.date) -> Columns:
    """Who rose or fell by a tenth, and the first of the others, which opened again."""
    changes = bars["pct_chg"]
    at_limit = [at for at, change in enumerate(changes) if abs(change) >= AT_LIMIT]
    opened = [at for at, change in enumerate(changes) if 0 < change < AT_LIMIT][:1]
    rows = at_limit + opened
    kinds = ["U" if changes[at] > 0 else "D" for at in at_limit] + ["Z"] * len(opened)
    amounts = [bars["amount"][at] * 1_000 for at in rows]
    pairs = list(zip(amounts, kinds, strict=True))
    return {
        "trade_date": [_written(day)] * len(rows),
        "ts_code": [bars["ts_code"][at] for at in rows],
        "limit": kinds,
        "name": ["模拟"] * len(rows),
        "industry": [None] * len(rows),
        "close": [bars["close"][at] for at in rows],
        "pct_chg": [changes[at] for at in rows],
        "amount": amounts,
        "limit_amount": [one / 2 if kind == "D" else None for one, kind in pairs],
        "float_mv": [one * 50 for one in amounts],
        "total_mv": [one * 80 for one in amounts],
        "turnover_ratio": [2.0] * len(rows),
        "fd_amount": [None if kind == "Z" else one / 4 for one, kind in pairs],
        "first_time": [None if kind == "D" else "93000" for kind in kinds],
        "last_time": ["145700"] * len(rows),
        "open_times": [1.0 if kind == "Z" else 0.0 for kind in kinds],
        "up_stat": ["1/1" if kind == "U" else "0/0" for kind in kinds],
        "limit_times": [0.0 if kind == "Z" else 1.0 for kind in kinds],
    }


def top_list(bars: Columns, day: dt.date) -> Columns:
    rows = sorted(range(len(bars["ts_code"])), key=lambda at: -abs(bars["pct_chg"][at]))[:30]
    amounts = [bars["amount"][at] * 1_000 for at in rows]
    bought = [round(one * 0.2, 2) for one in amounts]
    sold = [round(one * 0.15, 2) for one in amounts]
    both = list(zip(bought, sold, strict=True))
    return {
        "trade_date": [_written(day)] * len(rows),
        "ts_code": [bars["ts_code"][at] for at in rows],
        "name": ["模拟"] * len(rows),
        "close": [bars["close"][at] for at in rows],
        "pct_change": [bars["pct_chg"][at] for at in rows],
        "turnover_rate": [2.0] * len(rows),
        "amount": amounts,
        "l_sell": sold,
        "l_buy": bought,
        "l_amount": [round(buy + sell, 2) for buy, sell in both],
        "net_amount": [round(buy - sell, 2) for buy, sell in both],
        "net_rate": [5.0] * len(rows),
        "amount_rate": [35.0] * len(rows),
        "float_values": [one * 50 for one in amounts],
        "reason": ["日涨幅偏离值达到7%的前5只证券"] * len(rows),
    }


def margin_detail(bars: Columns, day: dt.date) -> Columns:
    codes, close = bars["ts_code"], bars["close"]
    lent = [round(one * 2_000, 2) for one in bars["amount"]]
    shares = [float(1_000 * (number % 50)) for number in range(len(codes))]
    short = [round(one * price, 2) for one, price in zip(shares, close, strict=True)]
    return {
        "trade_date": [_written(day)] * len(codes),
        "ts_code": codes,
        "name": [None] * len(codes),
        "rzye": lent,
        "rqye": short,
        "rzmre": [round(one * 0.05, 2) for one in lent],
        "rqyl": shares,
        "rzche": [round(one * 0.04, 2) for one in lent],
        "rqchl": [0.0] * len(codes),
        "rqmcl": [0.0] * len(codes),
        "rzrqye": [round(one + other, 2) for one, other in zip(lent, short, strict=True)],
    }


def block_trade(bars: Columns, day: dt.date) -> Columns:
    """Every fortieth share, the first of them twice in the same way."""
    codes = _some(bars, 40)
    close = dict(zip(bars["ts_code"], bars["close"], strict=True))
    codes = codes[:1] + codes
    volumes = [50.0] * len(codes)
    return {
        "ts_code": codes,
        "trade_date": [_written(day)] * len(codes),
        "price": [close[code] for code in codes],
        "vol": volumes,
        "amount": [round(close[code] * vol, 2) for code, vol in zip(codes, volumes, strict=True)],
        "buyer": ["模拟证券上海营业部"] * len(codes),
        "seller": ["模拟证券深圳营业部"] * len(codes),
    }


def fund_share(bars: Columns, day: dt.date) -> Columns:
    codes = bars["ts_code"]
    return {
        "ts_code": codes,
        "trade_date": [_written(day)] * len(codes),
        "fd_share": [round(50_000 + zlib.crc32(code.encode()) % 9_973, 4) for code in codes],
    }


def extra_answer(call: str, bars: Columns, day: dt.date) -> Columns:
    """The rows of a call on a day; `bars` are those of OF_FUNDS or of shares.

    What single bars lack, they have nothing to be drawn from.
    """
    lacking = {at for values in bars.values() for at, one in enumerate(values) if one is None}
    whole = {
        name: [one for at, one in enumerate(values) if at not in lacking]
        for name, values in bars.items()
    }
    return EXTRA_ANSWERS[call](whole, day)


# By the name of the call.
EXTRA_ANSWERS: dict[str, Callable[[Columns, dt.date], Columns]] = {
    one.__name__: one
    for one in (
        index_daily,
        index_weight,
        dividend,
        limit_list_d,
        top_list,
        margin_detail,
        block_trade,
        fund_share,
    )
}
OF_FUNDS = {FUND_SHARE.tushare.call}


def _parts(table: Table, day: dt.date) -> list[str]:
    parts = table.tushare.parts
    assert parts is not None
    return [value for value, since in parts.since if since <= day]


def _level(code: str, day: dt.date) -> float:
    base = 1_000 + zlib.crc32(code.encode()) % 4_000
    return round(float(base * (1 + 0.1 * np.sin(day.toordinal() / 50))), 4)


def _some(bars: Columns, every: int) -> list[str]:
    return list(bars["ts_code"][::every])


def _written(day: dt.date) -> str:
    return f"{day:%Y%m%d}"
