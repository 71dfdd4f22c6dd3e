"""Who bought and who sold: the day's volume of every share by the size of its orders.

Source: Tushare Pro `moneyflow`, from 2010 on, shares of Shanghai and Shenzhen. Orders are small
below 50,000 yuan, medium below 200,000, large below a million, extra large from there on.
"""

import datetime as dt

from marketdata_assets.tables.declaration import (
    LOTS,
    MANY_ROWS,
    TEN_THOUSAND_YUAN,
    Chain,
    Check,
    Source,
    Table,
    number,
)
from marketdata_assets.tables.stocks import TRADE_DATE, TS_CODE

SIZES = {
    "sm": ("small", "小单"),
    "md": ("medium", "中单"),
    "lg": ("large", "大单"),
    "elg": ("extra large", "特大单"),
}
MEASURES = {"vol": (LOTS, "volume", "量"), "amount": (TEN_THOUSAND_YUAN, "value", "金额")}
FLOWS = tuple(
    number(f"{side}_{size}_{measure}", unit, f"{what} {done} by {order} orders", f"{zh}{did}{how}")
    for size, (order, zh) in SIZES.items()
    for side, done, did in (("buy", "bought", "买入"), ("sell", "sold", "卖出"))
    for measure, (unit, what, how) in MEASURES.items()
)

MONEYFLOW = Table(
    name="moneyflow",
    doc="Volume and value of every share on the day by the size of the orders.",
    doc_zh="当日个股资金流向，按小、中、大、特大单统计。",
    columns=(
        TS_CODE,
        TRADE_DATE,
        *FLOWS,
        number("net_mf_vol", LOTS, "net inflow, volume", "净流入量"),
        number("net_mf_amount", TEN_THOUSAND_YUAN, "net inflow, value", "净流入额"),
    ),
    first_date=dt.date(2010, 1, 4),
    source=Source("moneyflow", row_cap=6_000, published_at=dt.time(19, 0), takes_ranges=True),
    checks=(
        Check(
            "flows_present",
            "Every flow is there and not negative.",
            "各项资金流向齐全且不为负。",
            " OR ".join(f"{flow.name} IS NULL OR {flow.name} < 0" for flow in FLOWS),
            ("buy_sm_vol", "sell_sm_vol", "buy_sm_amount", "sell_sm_amount"),
            mass=MANY_ROWS,
        ),
    ),
    chain=Chain.STOCKS,
)
