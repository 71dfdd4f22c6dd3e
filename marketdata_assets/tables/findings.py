"""What speaks against single shares, and against whole answers: one row a share, day and check.

Here belong declarations only; how findings come about is `checks`.
"""

from marketdata_assets.tables.declaration import Table, moment, text
from marketdata_assets.tables.stocks import TRADE_DATE

FINDINGS = Table(
    name="findings",
    doc="What the checks found on the day: answers that were refused, rows that are held back from "
    "the merged prices, rows that are flagged, and what somebody has excused.",
    doc_zh="当日检查结果:被拒收的整份数据、不进入合并行情的行、仅作标记的行,以及已被豁免者。",
    key=("trade_date", "table_name", "ts_code", "check_name"),
    columns=(
        TRADE_DATE,
        text("table_name", "table that the check is about", "所检查的表", False),
        text("ts_code", "code; empty for the answer as a whole", "代码;整份数据时为空", False),
        text("check_name", "check that found it", "检查名称", False),
        text(
            "outcome",
            "refused: the day of the table is not stored; held: stored, but not in daily_prices; "
            "flagged: stored and merged; excused: somebody has accepted it",
            "处置:拒收、扣留(不进合并行情)、标记、豁免",
            False,
        ),
        text("seen", "what the row says", "实际值", False),
        text("expected", "what must hold", "应满足的条件", False),
        text("reason", "why it is excused, or what explains it", "豁免或解释的原因"),
        moment("first_seen", "when it was found first", "首次发现时间", False),
    ),
    date_column="trade_date",
    may_be_empty=True,
)
