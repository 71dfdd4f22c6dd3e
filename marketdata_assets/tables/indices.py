"""The main indices of mainland China: their bars, and the weights of their members.

Source: Tushare Pro `index_daily` and `index_weight`. Both take one index a call: eight calls for a
day of the one, six for a day of the other. Each index is asked for from the day on which it was
first published; what the vendor has reckoned back is not.
"""

import datetime as dt

from marketdata_assets.tables.declaration import (
    LOTS,
    PERCENT,
    THOUSAND_YUAN,
    Chain,
    Check,
    LastKnown,
    Mass,
    Parts,
    Source,
    Table,
    day,
    number,
    row_count,
    text,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

POINTS = "points of the index"
FIRST_PUBLISHED = {
    "000001.SH": dt.date(1991, 7, 15),
    "399001.SZ": dt.date(1995, 1, 23),
    "000016.SH": dt.date(2004, 1, 2),
    "000300.SH": dt.date(2005, 4, 8),
    "000905.SH": dt.date(2007, 1, 15),
    "399006.SZ": dt.date(2010, 6, 1),
    "000852.SH": dt.date(2014, 10, 17),
    "000688.SH": dt.date(2020, 7, 23),
}
WITH_WEIGHTS = ("000016.SH", "000300.SH", "000905.SH", "399006.SZ", "000852.SH", "000688.SH")
# Three of a few indices are no accident.
FEW_INDICES = Mass(0.25, 3)

INDEX_DAILY = Table(
    name="index_daily",
    doc="Daily bars of the main indices. Volume and value are of the members alone.",
    doc_zh="主要指数日线；成交量与成交额仅为成分股合计。",
    columns=(
        TS_CODE,
        TRADE_DATE,
        number("open", POINTS, "first level", "开盘点位"),
        number("high", POINTS, "highest level", "最高点位"),
        number("low", POINTS, "lowest level", "最低点位"),
        number("close", POINTS, "last level", "收盘点位"),
        number("pre_close", POINTS, "previous close", "昨收点位"),
        number("change", POINTS, "close minus pre_close", "涨跌点"),
        number("pct_chg", PERCENT, "change over pre_close", "涨跌幅"),
        number("vol", LOTS, "traded volume", "成交量"),
        number("amount", THOUSAND_YUAN, "traded value", "成交额"),
    ),
    source=Source(
        "index_daily",
        row_cap=8_000,
        published_at=dt.time(19, 0),
        parts=Parts("ts_code", tuple(FIRST_PUBLISHED.items())),
    ),
    checks=(
        Check(
            "levels_ordered",
            "Every level is there, the low is the lowest and the high the highest of the four, "
            "within a hundredth of a point.",
            "各点位齐全，最低不高于、最高不低于开盘与收盘（误差 0.01 点）。",
            "open IS NULL OR high IS NULL OR low IS NULL OR close IS NULL OR pre_close IS NULL "
            "OR low <= 0 OR low > least(open, close) + 0.01 OR high < greatest(open, close) - 0.01",
            ("open", "high", "low", "close", "pre_close"),
            mass=FEW_INDICES,
        ),
        Check(
            "change_recomputed",
            "change is close minus pre_close, and pct_chg that over pre_close, within 0.01.",
            "涨跌点等于收盘减昨收，涨跌幅与之相符（误差 0.01）。",
            "abs(change - (close - pre_close)) > 0.01 "
            "OR abs(pct_chg - (close - pre_close) / nullif(pre_close, 0) * 100) > 0.01",
            ("close", "pre_close", "change", "pct_chg"),
            mass=FEW_INDICES,
        ),
        Check(
            "units",
            "amount × 10 / vol is the mean price of a share, between 1 and 1,000 yuan: vol is in "
            "手 and amount in 千元.",
            "成交额×10/成交量（均价）在 1 至 1000 元之间，证明单位为手与千元。",
            "vol IS NULL OR amount IS NULL OR vol <= 0 OR NOT amount * 10 / vol BETWEEN 1 AND 1000",
            ("vol", "amount"),
            mass=FEW_INDICES,
        ),
    ),
    row_count=row_count(Mass(0.0, 1), ": no index goes missing", "，不应缺少任何指数"),
    chain=Chain.EXTRAS,
)

INDEX_WEIGHT = Table(
    name="index_weight",
    doc="Members of the main indices and their weights, as last told on or before the day. The "
    "vendor tells them about once a month: weight_date says of which day they are. What it tells "
    "of a day may come days later, so a partition that is made later can know more.",
    doc_zh="主要指数的成分与权重，为当日及以前最近一次公布的数据。供应商约每月公布一次，"
    "weight_date 为其所属日期；数据可能滞后数日公布，因此事后补取的分区可能更新。",
    key=("trade_date", "index_code", "ts_code"),
    columns=(
        TRADE_DATE,
        text("index_code", "code of the index", "指数代码", False),
        text("ts_code", "code of the member", "成分代码", False),
        day("weight_date", "day of which the weights are", "权重所属日期", False),
        # The vendor's documentation names none; its example sums to 100.
        number("weight", PERCENT, "weight in the index", "权重"),
    ),
    source=Source(
        "index_weight",
        # The cap is not documented: that an answer is cut is told by itself.
        row_cap=100_000,
        published_at=dt.time(19, 0),
        vendor_names=(("ts_code", "con_code"), ("weight_date", "trade_date")),
        parts=Parts("index_code", tuple((code, FIRST_PUBLISHED[code]) for code in WITH_WEIGHTS)),
        last_known=LastKnown("weight_date", calendar_days=62),
    ),
    checks=(
        Check(
            "weights_in_range",
            "Every weight is above zero and at most 100.",
            "各权重大于 0 且不超过 100。",
            "weight IS NULL OR weight <= 0 OR weight > 100",
            ("index_code", "weight"),
            mass=Mass(0.01, 20),
        ),
    ),
    row_count=row_count(
        Mass(0.01, 20), ": an index has as many members as it had", "，成分数量稳定"
    ),
    chain=Chain.EXTRAS,
)
