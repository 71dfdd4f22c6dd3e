"""Which shares closed at a price limit, or touched the upper one and left it.

Source: Tushare Pro `limit_list_d`, from 2020 on, without ST shares. It documents no unit of its
amounts, and no hour at which a day is out.
"""

import datetime as dt

from marketdata_assets.tables.checking import Check, Mass
from marketdata_assets.tables.declaration import (
    PERCENT,
    UNIT_NOT_DOCUMENTED,
    YUAN,
    Chain,
    Source,
    Table,
    number,
    text,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

_TIMES = (
    text("first_time", "when the limit was first reached; NULL at the lower one", "首次封板时间"),
    text("last_time", "when the limit was last reached", "最后封板时间"),
)

LIMIT_LIST = Table(
    name="limit_list",
    doc="Shares that closed at a limit (U upper, D lower) or opened again from the upper one (Z).",
    doc_zh="当日涨停(U)、跌停(D)与炸板(Z)的股票,不含ST股票。",
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
    date_column="trade_date",
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
            "类型为三者之一,有收盘价,且涨停为涨、跌停为跌。",
            "limit_type NOT IN ('U', 'D', 'Z') OR close IS NULL OR close <= 0 "
            "OR (limit_type = 'U' AND pct_chg <= 0) OR (limit_type = 'D' AND pct_chg >= 0)",
            ("limit_type", "close", "pct_chg"),
            mass=Mass(0.05, 10),
        ),
    ),
    chain=Chain.EXTRAS,
)
