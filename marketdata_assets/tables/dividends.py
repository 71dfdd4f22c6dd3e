"""Dividends in cash and in shares, by the day on which they leave the price.

Source: Tushare Pro `dividend`, asked for by `ex_date`. Amounts are of one share. Companies announce
a payment days before it; at which hour the vendor has a day is not documented, and an empty one
counts from 18:00 on.
"""

from marketdata_assets.tables.checking import MANY_ROWS, Check
from marketdata_assets.tables.declaration import (
    TEN_THOUSAND_SHARES,
    Chain,
    Source,
    Table,
    day,
    number,
    text,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

YUAN_A_SHARE = "yuan a share"
SHARES_A_SHARE = "shares a share"
_AMOUNTS = (
    number("stk_div", SHARES_A_SHARE, "shares given, of both kinds", "每股送转"),
    number("stk_bo_rate", SHARES_A_SHARE, "bonus shares, from profits", "每股送股"),
    number("stk_co_rate", SHARES_A_SHARE, "shares from capital reserves", "每股转增"),
    number("cash_div", YUAN_A_SHARE, "cash after tax", "每股分红(税后)"),
    number("cash_div_tax", YUAN_A_SHARE, "cash before tax", "每股分红(税前)"),
)
_FACTS = (
    text("div_proc", "how far it is; 实施 is paid", "实施进度"),
    day("ann_date", "day on which the plan was announced", "预案公告日"),
    *_AMOUNTS,
    day("record_date", "who holds the share at its end is paid", "股权登记日"),
    day("pay_date", "day on which cash is paid", "派息日"),
    day("div_listdate", "day on which new shares trade", "红股上市日"),
    day("imp_ann_date", "day on which the payment was announced", "实施公告日"),
    day("base_date", "day of base_share", "基准日"),
    number("base_share", TEN_THOUSAND_SHARES, "shares that are paid for", "基准股本"),
)

DIVIDENDS = Table(
    name="dividends",
    doc="Dividends of the shares that go ex on the day; a day can have none.",
    doc_zh="当日除权除息的分红送股;当日可无数据。",
    # One that is paid for another period is another one.
    key=("trade_date", "ts_code", "end_date"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        day("end_date", "end of the period that is paid for; NULL: not told", "分红年度"),
        *_FACTS,
    ),
    date_column="trade_date",
    # The cap is not documented: that an answer is cut is told by itself.
    source=Source("dividend", row_cap=100_000, vendor_names=(("trade_date", "ex_date"),)),
    may_be_empty=True,
    # On most days few shares go ex, and none of them for every reason.
    sparse=tuple(column.name for column in _FACTS),
    checks=(
        Check(
            "something_is_paid",
            "Cash or shares are given.",
            "有现金分红或送转股。",
            "coalesce(cash_div_tax, 0) <= 0 AND coalesce(stk_div, 0) <= 0",
            ("div_proc", "cash_div_tax", "stk_div"),
            mass=MANY_ROWS,
        ),
        Check(
            "amounts_fit",
            "stk_div is the sum of its two kinds, cash after tax is not more than before, and "
            "nothing is negative.",
            "每股送转等于送股与转增之和,税后不高于税前,且均不为负。",
            "abs(stk_div - coalesce(stk_bo_rate, 0) - coalesce(stk_co_rate, 0)) > 1e-6 "
            "OR cash_div > cash_div_tax + 1e-9 "
            f"OR least({', '.join(one.name for one in _AMOUNTS)}) < 0",
            tuple(one.name for one in _AMOUNTS),
            mass=MANY_ROWS,
        ),
    ),
    chain=Chain.EXTRAS,
)
