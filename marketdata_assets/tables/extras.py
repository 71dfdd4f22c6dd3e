"""Tables beside the evening's, each fetched where EXTRA_TABLES names it; indices are `indices`.

Here belong declarations only. Nothing is made of them. Source: Tushare Pro, the call that each
names; where it documents no hour at which a day is out, that is said here.
"""

import datetime as dt

from marketdata_assets.tables.declaration import (
    MANY_ROWS,
    PERCENT,
    SHARES,
    TEN_THOUSAND_SHARES,
    TEN_THOUSAND_YUAN,
    UNIT_NOT_DOCUMENTED,
    YUAN,
    Chain,
    Check,
    Mass,
    Parts,
    Source,
    Table,
    count,
    day,
    number,
    row_count,
    text,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

# Of dozens hardly any are left only where the answer is not whole.
_HARDLY_ANY_LEFT = row_count(Mass(0.95, 20), ", unless there were few", "，原本很少者除外")
YUAN_A_SHARE = "yuan a share"
SHARES_A_SHARE = "shares a share"
_AMOUNTS = (
    number("stk_div", SHARES_A_SHARE, "shares given, of both kinds", "每股送转"),
    number("stk_bo_rate", SHARES_A_SHARE, "bonus shares, from profits", "每股送股"),
    number("stk_co_rate", SHARES_A_SHARE, "shares from capital reserves", "每股转增"),
    number("cash_div", YUAN_A_SHARE, "cash after tax", "每股分红（税后）"),
    number("cash_div_tax", YUAN_A_SHARE, "cash before tax", "每股分红（税前）"),
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

# Amounts are of one share. Companies announce a payment days before the day on which it leaves the
# price; no hour is documented, and an empty day counts from 18:00 on.
DIVIDENDS = Table(
    name="dividends",
    doc="Dividends of the shares that go ex on the day; a day can have none.",
    doc_zh="当日除权除息的分红送股；当日可无数据。",
    # One that is paid for another period is another one.
    key=("trade_date", "ts_code", "end_date"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        day("end_date", "end of the period that is paid for; NULL: not told", "分红年度"),
        *_FACTS,
    ),
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
            "每股送转等于送股与转增之和，税后不高于税前，且均不为负。",
            "abs(stk_div - coalesce(stk_bo_rate, 0) - coalesce(stk_co_rate, 0)) > 1e-6 "
            "OR cash_div > cash_div_tax + 1e-9 "
            f"OR least({', '.join(one.name for one in _AMOUNTS)}) < 0",
            tuple(one.name for one in _AMOUNTS),
            mass=MANY_ROWS,
        ),
    ),
    chain=Chain.EXTRAS,
)


_TIMES = (
    text("first_time", "when the limit was first reached; NULL at the lower one", "首次封板时间"),
    text("last_time", "when the limit was last reached", "最后封板时间"),
)

# From 2020 on, without ST shares. Neither a unit of its amounts nor an hour is documented.
LIMIT_LIST = Table(
    name="limit_list",
    doc="Shares that closed at a limit (U upper, D lower) or opened again from the upper one (Z).",
    doc_zh="当日涨停(U)、跌停(D)与炸板(Z)的股票，不含ST股票。",
    key=("trade_date", "ts_code", "limit_type"),
    columns=(
        TRADE_DATE,
        TS_CODE,
        text("limit_type", "U upper, D lower, Z opened again", "U涨停 D跌停 Z炸板", False),
        text("name", "short name", "证券简称"),
        text("industry", "industry, the vendor's classes", "所属行业"),
        number("close", YUAN, "last price", "收盘价"),
        number("pct_chg", PERCENT, "change over pre_close", "涨跌幅"),
        number("amount", UNIT_NOT_DOCUMENTED, "traded value", "成交额"),
        number(
            "limit_amount",
            UNIT_NOT_DOCUMENTED,
            "value traded at the lower limit; NULL at the upper one",
            "板上成交金额",
        ),
        number("float_mv", UNIT_NOT_DOCUMENTED, "tradable market value", "流通市值"),
        number("total_mv", UNIT_NOT_DOCUMENTED, "market value", "总市值"),
        number("turnover_ratio", PERCENT, "volume over float shares", "换手率"),
        number("fd_amount", UNIT_NOT_DOCUMENTED, "orders that wait at the limit", "封单金额"),
        *_TIMES,
        number("open_times", "times", "how often the limit was left", "炸板次数"),
        text("up_stat", "N/T: N upper limits on T days", "涨停统计"),
        number("limit_times", "days", "days in a row at the limit", "连板数"),
    ),
    first_date=dt.date(2020, 1, 2),
    source=Source(
        "limit_list_d", row_cap=2_500, points=5_000, vendor_names=(("limit_type", "limit"),)
    ),
    sparse=(
        "industry",
        "limit_amount",
        "fd_amount",
        *(one.name for one in _TIMES),
        "open_times",
        "up_stat",
        "limit_times",
    ),
    checks=(
        Check(
            "limit_fits_change",
            "The kind is one of three, a share has a price, and it rose to the upper limit or fell "
            "to the lower one.",
            "类型为三者之一，有收盘价，且涨停为涨、跌停为跌。",
            "limit_type NOT IN ('U', 'D', 'Z') OR close IS NULL OR close <= 0 "
            "OR (limit_type = 'U' AND pct_chg <= 0) OR (limit_type = 'D' AND pct_chg >= 0)",
            ("limit_type", "close", "pct_chg"),
            mass=Mass(0.05, 10),
        ),
    ),
    chain=Chain.EXTRAS,
)


# 龙虎榜: whose day the exchanges disclose, why, and what the largest brokers traded. No unit of its
# amounts is documented, and no hour: an empty day counts from 21:00 on.
TOP_LIST = Table(
    name="top_list",
    doc="Shares that were disclosed for unusual trading on the day, a row a reason; a day can have "
    "none.",
    doc_zh="当日龙虎榜，每个上榜理由一行；当日可无数据。",
    key=("trade_date", "ts_code", "reason"),
    columns=(
        TRADE_DATE,
        TS_CODE,
        text("name", "short name", "证券简称"),
        number("close", YUAN, "last price", "收盘价"),
        number("pct_change", PERCENT, "change over pre_close", "涨跌幅"),
        number("turnover_rate", PERCENT, "volume over float shares", "换手率"),
        number("amount", UNIT_NOT_DOCUMENTED, "value of all trades", "总成交额"),
        number("l_sell", UNIT_NOT_DOCUMENTED, "sold by the brokers of the list", "龙虎榜卖出额"),
        number("l_buy", UNIT_NOT_DOCUMENTED, "bought by them", "龙虎榜买入额"),
        number("l_amount", UNIT_NOT_DOCUMENTED, "both together", "龙虎榜成交额"),
        number("net_amount", UNIT_NOT_DOCUMENTED, "bought minus sold", "龙虎榜净买入额"),
        number("net_rate", PERCENT, "net_amount over amount", "龙虎榜净买额占比"),
        number("amount_rate", PERCENT, "l_amount over amount", "龙虎榜成交额占比"),
        number("float_values", UNIT_NOT_DOCUMENTED, "tradable market value", "当日流通市值"),
        text("reason", "why it is on the list", "上榜理由", False),
    ),
    source=Source("top_list", row_cap=10_000, published_at=dt.time(21, 0)),
    may_be_empty=True,
    sparse=("turnover_rate", "net_rate", "amount_rate", "float_values"),
    checks=(
        Check(
            "sides_add_up",
            "A row has a close. Bought and sold are not negative; l_amount is their sum and "
            "net_amount their difference, up to rounding.",
            "有收盘价；买入与卖出均不为负，成交额为其和，净买入为其差（允许舍入误差）。",
            "close IS NULL OR least(l_buy, l_sell) < 0 "
            "OR abs(l_amount - (l_buy + l_sell)) > 0.02 + 1e-6 * abs(l_amount) "
            "OR abs(net_amount - (l_buy - l_sell)) > 0.02 + 1e-6 * abs(l_amount)",
            ("close", "l_buy", "l_sell", "l_amount", "net_amount"),
            mass=Mass(0.1, 10),
        ),
    ),
    row_count=_HARDLY_ANY_LEFT,
    chain=Chain.EXTRAS,
)


# 大宗交易: agreed between two brokers outside the order book. Volume is documented in 万股; the
# documented examples show value in 万元, which `amount_recomputed` proves of every row. No hour is
# documented: an empty day counts from 21:00 on.
BLOCK_TRADES = Table(
    name="block_trades",
    doc="Block trades of the day, a row a trade; a day can have none. Trades that are alike in "
    "everything are as many as the vendor tells: whether each was one is not known otherwise.",
    doc_zh="当日大宗交易，每笔一行；当日可无数据。各字段完全相同的交易，笔数以供应商所给为准。",
    key=("trade_date", "ts_code", "number"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        number("price", YUAN, "price", "成交价"),
        number("vol", TEN_THOUSAND_SHARES, "volume", "成交量"),
        number("amount", TEN_THOUSAND_YUAN, "value", "成交金额"),
        text("buyer", "branch that bought", "买方营业部"),
        text("seller", "branch that sold", "卖方营业部"),
        count("number", "1, 2, … of the share's trades, by their values", "序号", False),
    ),
    source=Source(
        "block_trade",
        row_cap=1_000,
        published_at=dt.time(21, 0),
        points=300,
        numbered="number",
    ),
    may_be_empty=True,
    checks=(
        Check(
            "amount_recomputed",
            "amount is price × vol, up to the rounding of vol: vol is in 万股 and amount in 万元.",
            "成交金额等于成交价×成交量（允许成交量的舍入误差），证明单位为万股与万元。",
            "price IS NULL OR vol IS NULL OR amount IS NULL OR least(price, vol, amount) <= 0 "
            "OR abs(amount - price * vol) > 0.006 * price + 0.006 + 1e-6 * amount",
            ("price", "vol", "amount"),
            mass=Mass(0.05, 10),
        ),
    ),
    row_count=_HARDLY_ANY_LEFT,
    chain=Chain.EXTRAS,
)


# From the exchanges, which publish a day before the next one opens, since 2010-03-31; at which hour
# the vendor has it is not documented.
MARGIN_DETAIL = Table(
    name="margin_detail",
    doc="Money lent for, and lots lent of, every security with margin trading on the day.",
    doc_zh="当日沪深京融资融券交易明细。",
    columns=(
        TRADE_DATE,
        TS_CODE,
        text("name", "short name; from 2019-09-10", "证券简称，20190910后有数据"),
        number("rzye", YUAN, "balance of money lent", "融资余额"),
        number("rqye", YUAN, "balance of securities lent, at the close", "融券余额"),
        number("rzmre", YUAN, "bought with money lent", "融资买入额"),
        number("rqyl", SHARES, "securities lent", "融券余量"),
        number("rzche", YUAN, "money given back", "融资偿还额"),
        number("rqchl", SHARES, "securities given back", "融券偿还量"),
        number("rqmcl", "股, 份 or 手, as the security trades", "sold short", "融券卖出量"),
        number("rzrqye", YUAN, "both balances", "融资融券余额"),
    ),
    first_date=dt.date(2010, 3, 31),
    source=Source(
        "margin_detail", row_cap=6_000, published_at=dt.time(9, 30), on_next_session=True
    ),
    sparse=("name", "rzche", "rqchl"),
    checks=(
        Check(
            "balances_add_up",
            "Balances are there and not negative, and rzrqye is the sum of both, within a yuan.",
            "各余额齐全且不为负，融资融券余额等于二者之和（误差 1 元）。",
            "rzye IS NULL OR rzye < 0 OR rqye < 0 OR abs(rzrqye - (rzye + coalesce(rqye, 0))) > 1",
            ("rzye", "rqye", "rzrqye"),
            mass=MANY_ROWS,
        ),
    ),
    # Beijing, the smallest exchange, has one in fifteen.
    row_count=row_count(
        Mass(0.04, 50), ": an exchange that is not out yet is more", "，某交易所未公布时缺失更多"
    ),
    chain=Chain.EXTRAS,
)


# The earliest day that the documentation shows a row of.
FIRST_SHOWN = dt.date(2011, 11, 23)

# Two calls a day, one for each exchange: a day of both may be more than one answer holds. The
# documentation calls its day that of the trade or of the change, so a fund whose number stays may
# have no row; its first day and its hour are not documented. It is asked for on the next morning.
FUND_SHARE = Table(
    name="fund_share",
    doc="Shares of exchange-listed funds on the day.",
    doc_zh="当日场内基金份额。",
    columns=(
        TS_CODE,
        TRADE_DATE,
        number("fd_share", "万份, 10,000 fund shares", "shares of the fund", "基金份额"),
    ),
    first_date=FIRST_SHOWN,
    source=Source(
        "fund_share",
        row_cap=2_000,
        published_at=dt.time(9, 30),
        on_next_session=True,
        parts=Parts("market", (("SH", FIRST_SHOWN), ("SZ", FIRST_SHOWN))),
    ),
    checks=(
        Check(
            "shares_above_zero",
            "The number is there and above zero.",
            "份额齐全且大于零。",
            "fd_share IS NULL OR fd_share <= 0",
            ("fd_share",),
            mass=MANY_ROWS,
        ),
    ),
    row_count=row_count(
        Mass(0.3, 50), ": an exchange that is not out yet is more", "，某交易所未公布时缺失更多"
    ),
    chain=Chain.EXTRAS,
)


# From 2016 on. What the list and the names of the day say of each other is `checks.prices`.
STOCK_ST = Table(
    name="stock_st",
    doc="The shares that are ST or *ST on the day.",
    doc_zh="当日的 ST、*ST 股票。",
    columns=(
        TS_CODE,
        TRADE_DATE,
        text("name", "short name, with its marks", "证券简称"),
        text("type", "kind of treatment: ST", "类型"),
        text("type_name", "kind of treatment in words: 风险警示板", "类型名称"),
    ),
    first_date=dt.date(2016, 1, 4),
    source=Source("stock_st", row_cap=1_000, published_at=dt.time(9, 20), points=3_000),
    sparse=("name", "type", "type_name"),
    # Most marks come and go in the days around the first of May, but never half of them at once.
    row_count=row_count(Mass(0.5, 20)),
    chain=Chain.EXTRAS,
)
