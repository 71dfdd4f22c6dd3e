"""The ledgers of completeness: what is stored of every share or fund and day, and why not the rest.

Here belong declarations only; how the reasons are found is `checks.ledger` and, for funds,
`checks.fund_ledger`.
"""

import pyarrow as pa

from marketdata_assets.tables.declaration import Column, Table, text
from marketdata_assets.tables.funds import FIRST_FUND_DATE
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE


def _yes_or_no(name: str, doc: str, doc_zh: str) -> Column:
    return Column(name, pa.bool_(), "", doc, doc_zh, nullable=False)


COVERAGE = Table(
    name="coverage",
    doc="For every share of the day, which tables have a row of it, and the reason where not.",
    doc_zh="当日每只股票在各表中是否有数据，缺失者注明原因。",
    key=("trade_date", "ts_code"),
    columns=(
        TRADE_DATE,
        TS_CODE,
        _yes_or_no("listed", "in stock_list", "当日在市"),
        _yes_or_no("suspended", "suspended for the whole day", "全天停牌"),
        _yes_or_no("daily_kline", "has a bar", "有日线"),
        _yes_or_no("price_limits", "has limits", "有涨跌停价"),
        _yes_or_no("daily_basic", "has indicators", "有每日指标"),
        _yes_or_no("adj_factor", "has an adjustment factor", "有复权因子"),
        text("missing", "tables that lack it though they should not", "缺失的表", False),
        text(
            "reason",
            "unexplained, late upstream, held, excused, or what explains it: suspended, halted, "
            "delisted, not yet listed, before listing, other code, no limits before 2023, …; "
            "NULL: complete",
            "原因：不明、供应商未更新、扣留、豁免，或停牌、无公告停牌、已退市、未上市、上市前、"
            "其他代码、2023年前无涨跌停等；完整则为空",
        ),
    ),
    date_column="trade_date",
)

ETF_COVERAGE = Table(
    name="etf_coverage",
    doc="For every fund of the day, whether it is listed, has a bar and traded, and the reason "
    "where not.",
    doc_zh="当日每只场内基金是否在市、有行情、有成交，缺失者注明原因。",
    key=("trade_date", "ts_code"),
    columns=(
        TRADE_DATE,
        TS_CODE,
        _yes_or_no("listed", "in etf_list", "当日在市"),
        _yes_or_no("etf_kline", "has a bar", "有日线"),
        _yes_or_no("traded", "has a bar with volume", "有成交"),
        _yes_or_no(
            "halted",
            "traded on the session before, has no bar, and its value shows that its shares are "
            "split",
            "上一交易日有成交、当日无行情且净值因拆分而跳变",
        ),
        text("missing", "etf_kline where the fund should have a bar", "缺失的表", False),
        text(
            "reason",
            "unexplained, held, excused, or what explains it: halted, value not known, seldom "
            "traded, did not trade, not in the list, listing not known, session before not "
            "stored; NULL: complete",
            "原因：不明、扣留、豁免，或停牌、净值未知、成交稀少、无成交、不在列表、上市日期不明、"
            "上一交易日未入库；完整则为空",
        ),
    ),
    date_column="trade_date",
    first_date=FIRST_FUND_DATE,
)
