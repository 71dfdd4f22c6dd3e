"""What is judged once for several assets is judged anew where anything it depends on is another."""

import datetime as dt

import pyarrow.compute as pc

from marketdata_assets.assets.judged_days import judged_days
from marketdata_assets.checks.days import CHECKED_TOGETHER
from marketdata_assets.checks.excuses import NONE, Excuse, Excuses
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import ADJ_FACTOR
from marketdata_assets_tests.checks.market_day import LATER, answers_of, typed
from marketdata_sandbox.market.exchange import SimulatedExchange

DAY = dt.date(2026, 1, 5)
CHECK = "factor_missing"


def without_factor(lake: Lake, excuses: Excuses) -> list[tuple[int, int]]:
    findings = judged_days(lake, [DAY], excuses, LATER).judgement.findings
    return [(one.wrong, one.excused) for one in findings if one.check.name == CHECK]


def test_a_file_or_an_excuse_that_is_another_is_judged(
    lake: Lake, exchange: SimulatedExchange
) -> None:
    market = typed(answers_of(exchange, DAY), DAY)
    for table in CHECKED_TOGETHER:
        lake.write(table, DAY, market[table.name])
    assert without_factor(lake, NONE) == without_factor(lake, NONE) == []
    code = market["daily_kline"]["ts_code"][0].as_py()
    factors = market["adj_factor"]
    lake.write(ADJ_FACTOR, DAY, factors.filter(pc.not_equal(factors["ts_code"], code)))
    assert without_factor(lake, NONE) == [(1, 0)]
    excuse = Excuse(f"daily_prices.{CHECK}", code, DAY, DAY, "not told", "me")
    assert without_factor(lake, Excuses([excuse])) == [(0, 1)]
    assert without_factor(lake, NONE) == [(1, 0)]
