"""How many shares there are of every exchange-listed fund.

Source: Tushare Pro `fund_share`, two calls a day, one for each exchange: a day of both may be more
than one answer holds. The documentation calls its day that of the trade or of the change, so a fund
whose number stays may have no row; its first day, and the hour at which one is out, are not
documented. A day is asked for on the morning of the next session.
"""

import datetime as dt

from marketdata_assets.tables.checking import MANY_ROWS, Check, Mass, row_count
from marketdata_assets.tables.declaration import Chain, Parts, Source, Table, number
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

# The earliest day that the documentation shows a row of.
FIRST_SHOWN = dt.date(2011, 11, 23)

FUND_SHARE = Table(
    name="fund_share",
    doc="Shares of exchange-listed funds on the day.",
    doc_zh="当日场内基金份额。",
    key=("trade_date", "ts_code"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        number("fd_share", "万份, 10,000 fund shares", "shares of the fund", "基金份额"),
    ),
    date_column="trade_date",
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
