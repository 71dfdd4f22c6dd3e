"""Names, indicators and factors."""

from marketdata_assets.tables.declaration import Outcome
from marketdata_assets_tests.checks.corruptions.corruption import (
    corruption,
    marked,
    ordinary,
    row_of,
    scale,
)
from marketdata_assets_tests.checks.market_day import Answers


@corruption("limits_agree_with_name", Outcome.FLAGGED)
def a_stale_name(day: Answers, before: Answers) -> None:
    stocks = day["stock_basic"]
    stocks["name"][row_of(stocks, marked(day))] = "长江实业"


@corruption("listing_facts", Outcome.FLAGGED)
def a_name_missing(day: Answers, before: Answers) -> None:
    stocks = day["stock_basic"]
    stocks["name"][row_of(stocks, ordinary(day))] = " "


@corruption("not_zero_filled", Outcome.REFUSED)
def unknown_indicators_as_zeros(day: Answers, before: Answers) -> None:
    for name, values in day["daily_basic"].items():
        day["daily_basic"][name] = [0.0 if value is None else value for value in values]


@corruption("indicators_agree", Outcome.REFUSED)
def market_values_in_yuan(day: Answers, before: Answers) -> None:
    scale(day["daily_basic"], "total_mv", 10_000)


@corruption("share_counts_ordered", Outcome.FLAGGED)
def a_float_in_shares(day: Answers, before: Answers) -> None:
    day["daily_basic"]["float_share"][row_of(day["daily_basic"], ordinary(day))] *= 10_000


@corruption("counts_present", Outcome.FLAGGED)
def an_indicator_row_without_its_close(day: Answers, before: Answers) -> None:
    day["daily_basic"]["close"][row_of(day["daily_basic"], ordinary(day))] = None


@corruption("counts_present", Outcome.REFUSED)
def market_values_of_half_the_rows_missing(day: Answers, before: Answers) -> None:
    values = day["daily_basic"]["total_mv"]
    values[::2] = [None] * len(values[::2])


@corruption("share_counts_ordered", Outcome.FLAGGED)
def a_negative_free_float(day: Answers, before: Answers) -> None:
    day["daily_basic"]["free_share"][row_of(day["daily_basic"], ordinary(day))] = -5719.78


@corruption("pre_close_continues", Outcome.FLAGGED)
def a_wrong_factor(day: Answers, before: Answers) -> None:
    day["adj_factor"]["adj_factor"][row_of(day["adj_factor"], ordinary(day))] *= 1.1


@corruption("factor_without_gap", Outcome.FLAGGED)
def a_factor_slightly_off(day: Answers, before: Answers) -> None:
    day["adj_factor"]["adj_factor"][row_of(day["adj_factor"], ordinary(day))] *= 1.0004


@corruption("factors_move", Outcome.REFUSED)
def the_factors_of_the_day_before(day: Answers, before: Answers) -> None:
    """On a day on which three shares go ex."""
    bars, factors = day["daily"], before["adj_factor"]
    known = dict(zip(factors["ts_code"], factors["adj_factor"], strict=True))
    rows = [row for row, code in enumerate(bars["ts_code"]) if code in known][:3]
    for row in rows:
        for name in ("open", "high", "low", "close", "pre_close"):
            bars[name][row] = round(bars[name][row] * 0.9, 2)
    now = day["adj_factor"]
    now["adj_factor"] = [
        known.get(code, one) for code, one in zip(now["ts_code"], now["adj_factor"], strict=True)
    ]


@corruption("positive_factor", Outcome.FLAGGED)
def a_factor_of_zero(day: Answers, before: Answers) -> None:
    day["adj_factor"]["adj_factor"][0] = 0.0
