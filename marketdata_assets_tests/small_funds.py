"""Five funds beside the shares of the small market: for tests that are about funds."""

import datetime as dt
from collections.abc import Sequence

from marketdata_assets.trading_calendar import is_session
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox.columns import Columns

DOMESTIC, ABROAD, LOF, MONEY = "510300.SH", "513100.SH", "161725.SZ", "511990.SH"
FUNDS = (LOF, DOMESTIC, MONEY, ABROAD)
ENDED, ENDED_ON = "150018.SZ", dt.date(2020, 12, 31)
BEING_ISSUED = "159999.SZ"
TYPES = {MONEY: "货币市场型"}
PREMIUMS = {DOMESTIC: 0.001, ABROAD: 0.06, LOF: -0.02}
BARS = ("open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol", "amount")


class SmallFunds(SmallMarket):
    """Prices move a little every day, and values with them.

    `late` names the funds whose value of a day is not out yet; `reports` are days without trading
    that have values all the same; `more_navs` are rows that come besides: (code, ann_date,
    nav_date, unit_nav, update_flag).
    """

    def __init__(self, codes: Sequence[str] = FUNDS) -> None:
        super().__init__()
        self.funds = list(codes)
        self.late: dict[dt.date, set[str]] = {}
        self.reports: set[dt.date] = set()
        self.more_navs: list[tuple[str, str, str, float, str]] = []

    def fund_basic(self, today: dt.date) -> Columns:
        codes = [*self.funds, ENDED, BEING_ISSUED]
        listed = len(self.funds)
        return {
            "ts_code": [*codes],
            "name": [f"基金{code[:6]}" for code in codes],
            "management": ["某基金"] * len(codes),
            "fund_type": [TYPES.get(code, "股票型") for code in codes],
            "invest_type": ["被动指数型"] * len(codes),
            "benchmark": [None] * len(codes),
            "status": ["L"] * listed + ["D", "I"],
            "market": ["E"] * len(codes),
            "list_date": ["20130515"] * listed + ["20100507", None],
            "delist_date": [None] * listed + [f"{ENDED_ON:%Y%m%d}", None],
        }

    def fund_daily(self, day: dt.date) -> Columns:
        codes = self.traded_on(day)
        prices = [price(code, day) for code in codes]
        vol = float(1000 + day.toordinal() % 997)
        columns: Columns = {name: [*prices] for name in BARS}
        columns |= {"change": [0.0] * len(codes), "pct_chg": [0.0] * len(codes)}
        columns |= {"vol": [vol] * len(codes), "amount": [each * vol / 10 for each in prices]}
        return {"ts_code": codes, "trade_date": [f"{day:%Y%m%d}"] * len(codes), **columns}

    def fund_nav(self, nav_date: dt.date) -> Columns:
        told = is_session(nav_date) or nav_date in self.reports
        late = self.late.get(nav_date, set())
        date = f"{nav_date:%Y%m%d}"
        rows = [
            (code, date, date, value(code, nav_date), "0")
            for code in (self.funds if told else [])
            if code not in late
        ]
        rows += [row for row in self.more_navs if row[2] == date]
        names = ("ts_code", "ann_date", "nav_date", "unit_nav", "update_flag")
        columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
        values: Columns = {name: columns["unit_nav"] for name in ("accum_nav", "adj_nav")}
        return {**columns, **values}

    def traded_on(self, day: dt.date) -> list[str]:
        return [] if day in self.quiet else [*self.funds]


def price(code: str, day: dt.date) -> float:
    if code == MONEY:
        return round(100 + day.toordinal() % 7 / 1000, 3)
    return round(2 + day.toordinal() % 97 / 1000, 3)


def value(code: str, day: dt.date) -> float:
    """What the fund is worth on a day; 1 for the money market fund, quoted at 100."""
    if code == MONEY:
        return 1.0
    return round(price(code, day) / (1 + PREMIUMS.get(code, 0.0)), 4)
