"""Margin trading and short selling of every share and fund that may be bought on credit.

Source: Tushare Pro `margin_detail`, from the exchanges, since 2010-03-31. They publish a day before
the next one opens; at which hour the vendor has it is not documented.
"""

import datetime as dt

from marketdata_assets.tables.checking import MANY_ROWS, Check, Mass, row_count
from marketdata_assets.tables.declaration import (
    SHARES,
    YUAN,
    Chain,
    Source,
    Table,
    number,
    text,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

MARGIN_DETAIL = Table(
    name="margin_detail",
    doc="Money lent for, and lots lent of, every security with margin trading on the day.",
    doc_zh="当日沪深京融资融券交易明细。",
    key=("trade_date", "ts_code"),
    columns=(
        TRADE_DATE,
        TS_CODE,
        text("name", "short name; from 2019-09-10", "证券简称,20190910后有数据"),
        number("rzye", YUAN, "balance of money lent", "融资余额"),
        number("rqye", YUAN, "balance of securities lent, at the close", "融券余额"),
        number("rzmre", YUAN, "bought with money lent", "融资买入额"),
        number("rqyl", SHARES, "securities lent", "融券余量"),
        number("rzche", YUAN, "money given back", "融资偿还额"),
        number("rqchl", SHARES, "securities given back", "融券偿还量"),
        number("rqmcl", "股, 份 or 手, as the security trades", "sold short", "融券卖出量"),
        number("rzrqye", YUAN, "both balances", "融资融券余额"),
    ),
    date_column="trade_date",
    first_date=dt.date(2010, 3, 31),
    source=Source(
        "margin_detail", row_cap=6_000, published_at=dt.time(9, 30), on_next_session=True
    ),
    sparse=("name", "rzche", "rqchl"),
    checks=(
        Check(
            "balances_add_up",
            "Balances are there and not negative, and rzrqye is the sum of both, within a yuan.",
            "各余额齐全且不为负,融资融券余额等于二者之和(误差 1 元)。",
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
