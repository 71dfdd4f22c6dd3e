"""The platform's own word on a day: what is stored, who did not trade, what was found or restated.

Here belong declarations only. How the reasons of an absent row are found is `checks.ledger` and,
for funds, `checks.premium`; how the other tables are made, the assets of their names. Who is
halted has no bar, and so no row in `daily_prices`: `suspended` is a table of its own.
"""

from dataclasses import replace

from marketdata_assets.tables.declaration import Table, flag, moment, text
from marketdata_assets.tables.funds import FIRST_FUND_DATE
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

COVERAGE = Table(
    name="coverage",
    doc="For every share of the day, which tables have a row of it, and the reason where not.",
    doc_zh="当日每只股票在各表中是否有数据，缺失者注明原因。",
    columns=(
        TRADE_DATE,
        TS_CODE,
        flag("listed", "in stock_list", "当日在市", False),
        flag("suspended", "suspended for the whole day", "全天停牌", False),
        flag("daily_kline", "has a bar", "有日线", False),
        flag("price_limits", "has limits", "有涨跌停价", False),
        flag("daily_basic", "has indicators", "有每日指标", False),
        flag("adj_factor", "has an adjustment factor", "有复权因子", False),
        text("missing", "tables that lack it though they should not", "缺失的表", False),
        text(
            "reason",
            "unexplained, late upstream, held, excused, or what explains it: suspended, halted, "
            "delisted, not yet listed, before listing, other code, no limits before 2023, session "
            "before not stored, …; NULL: complete",
            "原因：不明、供应商未更新、扣留、豁免，或停牌、无公告停牌、已退市、未上市、上市前、"
            "其他代码、2023年前无涨跌停、上一交易日未入库等；完整则为空",
        ),
    ),
)

ETF_COVERAGE = Table(
    name="etf_coverage",
    doc="For every fund of the day, whether it is listed, has a bar and traded, and the reason "
    "where not.",
    doc_zh="当日每只场内基金是否在市、有行情、有成交，缺失者注明原因。",
    columns=(
        TRADE_DATE,
        TS_CODE,
        flag("listed", "in etf_list", "当日在市", False),
        flag("etf_kline", "has a bar", "有日线", False),
        flag("traded", "has a bar with volume", "有成交", False),
        flag(
            "halted",
            "traded on the session before, has no bar, and its value shows that its shares are "
            "split",
            "上一交易日有成交、当日无行情且净值因拆分而跳变",
            False,
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
    first_date=FIRST_FUND_DATE,
)


SUSPENDED = Table(
    name="suspended",
    doc="Every listed share that has no bar on the day, or was halted for a part of it, and why.",
    doc_zh="当日在市而无行情或盘中停牌的股票及原因。",
    columns=(
        TRADE_DATE,
        TS_CODE,
        flag(
            "is_paused",
            "true: halted for the whole day; false: for a part of it; NULL: it has no bar, and "
            "whether it traded is not known",
            "全天停牌为真，盘中停牌为假；行情缺失、是否成交不明则为空",
        ),
        text(
            "reason",
            "suspended (by notice), halted (no bar, no notice, and none on the session before), "
            "part of the day, or why a bar is missing: unexplained, late upstream, excused, "
            "session before not stored, …",
            "原因：停牌（有公告）、停牌（无公告，上一交易日亦无行情）、盘中停牌，或行情缺失的原因："
            "不明、供应商未更新、豁免、上一交易日未入库等",
            nullable=False,
        ),
        text(
            "suspend_timing",
            "hours of the halts as the vendor tells them, 09:30-10:00; NULL: it tells none",
            "供应商公布的停牌时段；未公布则为空",
        ),
    ),
    may_be_empty=True,
)


FINDINGS = Table(
    name="findings",
    doc="What the checks found on the day: answers that were refused, rows that are held back from "
    "the merged prices, rows that are flagged, and what somebody has excused.",
    doc_zh="当日检查结果：被拒收的整份数据、不进入合并行情的行、仅作标记的行，以及已被豁免者。",
    key=("trade_date", "table_name", "ts_code", "check_name"),
    columns=(
        TRADE_DATE,
        text("table_name", "table that the check is about", "所检查的表", False),
        text("ts_code", "code; empty for the answer as a whole", "代码；整份数据时为空", False),
        text("check_name", "check that found it", "检查名称", False),
        text(
            "outcome",
            "refused: the day of the table is not stored; held: stored, but not in daily_prices; "
            "flagged: stored and merged; excused: somebody has accepted it",
            "处置：拒收、扣留（不进合并行情）、标记、豁免",
            False,
        ),
        text("seen", "what the row says, or all wrong rows of a code", "实际值，可含多行", False),
        text("expected", "what must hold", "应满足的条件", False),
        text("reason", "why it is excused, or what explains it", "豁免或解释的原因"),
        moment("first_seen", "when it was found first", "首次发现时间", False),
    ),
    may_be_empty=True,
)


RESTATEMENTS = Table(
    name="restatements",
    doc="Every value of a trading day that was replaced by another one after it was stored.",
    doc_zh="每个交易日入库之后被修订的数值：修订前、修订后、首次获知与被替换的时间。",
    key=("trade_date", "table_name", "ts_code", "column_name", "replaced_at"),
    columns=(
        replace(TRADE_DATE, doc="trading day that was restated", doc_zh="被修订的交易日"),
        text("table_name", "table that was restated", "被修订的表", False),
        TS_CODE,
        text("column_name", "column; empty for a whole row", "字段；整行时为空", False),
        text("kind", "changed, or for a whole row added or removed", "修订类型", False),
        text("old", "value before, exact, in the column's unit; NULL was missing", "修订前"),
        text("new", "value after, exact, in the column's unit; NULL is missing", "修订后"),
        moment("first_seen", "since when the old state was known", "旧值首次获知时间", False),
        moment("replaced_at", "until when the old state was true", "被替换时间", False),
    ),
    may_be_empty=True,
)
