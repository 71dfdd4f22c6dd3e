"""Values of bars: units, decimals, and numbers that contradict each other."""

from marketdata_assets.tables.declaration import Outcome
from marketdata_assets_tests.checks.corruptions.corruption import (
    corruption,
    ordinary,
    row_of,
    scale,
)
from marketdata_assets_tests.checks.market_day import Answers


@corruption("ohlc_order", Outcome.HELD)
def a_decimal_of_the_close_shifted(day: Answers, before: Answers) -> None:
    day["daily"]["close"][row_of(day["daily"], ordinary(day))] *= 10


@corruption("units", Outcome.HELD)
def a_decimal_of_all_prices_shifted(day: Answers, before: Answers) -> None:
    row = row_of(day["daily"], ordinary(day))
    for name in ("open", "high", "low", "close", "pre_close", "change"):
        day["daily"][name][row] *= 10


@corruption("units", Outcome.REFUSED)
def lots_given_as_shares(day: Answers, before: Answers) -> None:
    scale(day["daily"], "vol", 100)


@corruption("units", Outcome.HELD)
def one_volume_given_in_shares(day: Answers, before: Answers) -> None:
    day["daily"]["vol"][row_of(day["daily"], ordinary(day))] *= 100


@corruption("units", Outcome.REFUSED)
def value_given_in_yuan(day: Answers, before: Answers) -> None:
    scale(day["daily"], "amount", 1000)


@corruption("ohlc_order", Outcome.REFUSED)
def high_and_low_swapped(day: Answers, before: Answers) -> None:
    bars = day["daily"]
    bars["high"], bars["low"] = bars["low"], bars["high"]


@corruption("positive_prices", Outcome.HELD)
def a_negative_volume(day: Answers, before: Answers) -> None:
    day["daily"]["vol"][0] *= -1


@corruption("values_present", Outcome.FLAGGED)
def a_bar_without_the_close_before(day: Answers, before: Answers) -> None:
    row = row_of(day["daily"], ordinary(day))
    for name in ("pre_close", "change", "pct_chg"):
        day["daily"][name][row] = None


@corruption("change_recomputed", Outcome.FLAGGED)
def a_close_restated_alone(day: Answers, before: Answers) -> None:
    day["daily"]["close"][row_of(day["daily"], ordinary(day))] += 0.01


@corruption("indicators_agree", Outcome.FLAGGED)
def a_close_restated_with_its_change(day: Answers, before: Answers) -> None:
    bars, row = day["daily"], row_of(day["daily"], ordinary(day))
    bars["close"][row] = round(bars["close"][row] + 0.01, 2)
    bars["change"][row] = round(bars["close"][row] - bars["pre_close"][row], 2)
    bars["pct_chg"][row] = round(bars["change"][row] / bars["pre_close"][row] * 100, 4)


@corruption("pct_chg_recomputed", Outcome.REFUSED)
def changes_as_fractions(day: Answers, before: Answers) -> None:
    scale(day["daily"], "pct_chg", 0.01)


@corruption("pct_chg_recomputed", Outcome.REFUSED)
def changes_with_two_decimals(day: Answers, before: Answers) -> None:
    day["daily"]["pct_chg"] = [round(value, 2) for value in day["daily"]["pct_chg"]]


@corruption("pre_close_continues", Outcome.FLAGGED)
def a_previous_close_shifted(day: Answers, before: Answers) -> None:
    bars, row = day["daily"], row_of(day["daily"], ordinary(day))
    bars["pre_close"][row] = round(bars["pre_close"][row] + 0.05, 2)
