"""Rows that are missing, repeated, of another day or of nobody."""

from marketdata_assets.tables.declaration import Outcome
from marketdata_assets_tests.checks.corruptions.corruption import (
    corruption,
    dated,
    delete,
    drop_last,
    ordinary,
    row_of,
    suspended,
)
from marketdata_assets_tests.checks.market_day import Answers


@corruption("bar_missing", Outcome.FLAGGED)
def one_bar_dropped(day: Answers, before: Answers) -> None:
    delete(day["daily"], row_of(day["daily"], ordinary(day)))


@corruption("bar_missing", Outcome.FLAGGED)
def a_tail_of_1_bar_cut(day: Answers, before: Answers) -> None:
    drop_last(day["daily"], 1)


@corruption("bar_missing", Outcome.REFUSED)
def a_tail_of_100_bars_cut(day: Answers, before: Answers) -> None:
    drop_last(day["daily"], 100)


@corruption("bar_missing", Outcome.REFUSED)
def a_tail_of_1000_bars_cut(day: Answers, before: Answers) -> None:
    drop_last(day["daily"], 1000)


@corruption("indicators_missing", Outcome.FLAGGED)
def a_row_of_indicators_cut(day: Answers, before: Answers) -> None:
    delete(day["daily_basic"], row_of(day["daily_basic"], ordinary(day)))


@corruption("limits_missing", Outcome.FLAGGED)
def a_row_of_limits_cut(day: Answers, before: Answers) -> None:
    delete(day["stk_limit"], row_of(day["stk_limit"], ordinary(day)))


@corruption("row_count", Outcome.REFUSED)
def a_tail_of_1000_limits_cut(day: Answers, before: Answers) -> None:
    drop_last(day["stk_limit"], 1000)


@corruption("indicators_missing", Outcome.REFUSED)
def a_tail_of_1000_indicators_cut(day: Answers, before: Answers) -> None:
    drop_last(day["daily_basic"], 1000)


@corruption("row_count", Outcome.REFUSED)
def a_tail_of_1000_factors_cut(day: Answers, before: Answers) -> None:
    drop_last(day["adj_factor"], 1000)


@corruption("factor_missing", Outcome.FLAGGED)
def a_factor_missing(day: Answers, before: Answers) -> None:
    delete(day["adj_factor"], row_of(day["adj_factor"], ordinary(day)))


@corruption("code_listed", Outcome.FLAGGED)
def a_share_lost_from_the_list(day: Answers, before: Answers) -> None:
    delete(day["stock_basic"], row_of(day["stock_basic"], ordinary(day)))


@corruption("row_count", Outcome.REFUSED)
def a_tail_of_the_list_cut(day: Answers, before: Answers) -> None:
    drop_last(day["stock_basic"], 1000)


@corruption("halts_told", Outcome.FLAGGED)
def suspensions_lost(day: Answers, before: Answers) -> None:
    for values in day["suspend_d"].values():
        values.clear()


@corruption("DuplicateRows", Outcome.REFUSED)
def two_pages_that_overlap(day: Answers, before: Answers) -> None:
    for values in day["daily"].values():
        values += values[:200]


@corruption("close_present", Outcome.HELD)
def two_bars_of_one_share_that_differ(day: Answers, before: Answers) -> None:
    for name, values in day["daily"].items():
        values.append(values[0] + 0.01 if name == "close" else values[0])


@corruption("one_code_a_company", Outcome.FLAGGED)
def the_same_bar_of_two_listed_shares(day: Answers, before: Answers) -> None:
    row = row_of(day["daily"], ordinary(day))
    for name, values in day["daily"].items():
        if name != "ts_code":
            values[(row + 1) % len(values)] = values[row]


@corruption("published_once", Outcome.HELD)
def the_same_bar_under_another_code(day: Answers, before: Answers) -> None:
    row = row_of(day["daily"], ordinary(day))
    for name, values in day["daily"].items():
        values.append("609999.SH" if name == "ts_code" else values[row])


@corruption("indicators_without_bar", Outcome.FLAGGED)
def indicators_of_a_share_that_has_no_bar(day: Answers, before: Answers) -> None:
    for name, values in day["daily_basic"].items():
        values.append("609999.SH" if name == "ts_code" else values[0])


@corruption("NotPublishedYet", Outcome.REFUSED)
def rows_of_another_date(day: Answers, before: Answers) -> None:
    day["daily"] = before["daily"]


@corruption("BadValue", Outcome.REFUSED)
def a_few_rows_of_another_date(day: Answers, before: Answers) -> None:
    day["daily"]["trade_date"][:3] = before["daily"]["trade_date"][:3]


@corruption("close_present", Outcome.HELD)
def a_close_missing(day: Answers, before: Answers) -> None:
    day["daily"]["close"][0] = None


@corruption("MissingColumn", Outcome.REFUSED)
def a_column_missing(day: Answers, before: Answers) -> None:
    del day["daily"]["pre_close"]


@corruption("pre_close_continues", Outcome.REFUSED)
def the_rows_of_the_day_before_under_a_new_date(day: Answers, before: Answers) -> None:
    day["daily"] = dated(before["daily"], day["daily"]["trade_date"][0])


@corruption("not_repeated", Outcome.REFUSED)
def bars_repeated_with_a_matching_close(day: Answers, before: Answers) -> None:
    now, then = day["daily"], before["daily"]
    for row, code in enumerate(now["ts_code"][:200]):
        if code in then["ts_code"]:
            for name in ("open", "high", "low", "close", "vol", "amount"):
                now[name][row] = then[name][row_of(then, code)]


@corruption("pre_close_continues", Outcome.FLAGGED)
def one_bar_of_the_day_before(day: Answers, before: Answers) -> None:
    code = ordinary(day)
    to, source = row_of(day["daily"], code), row_of(before["daily"], code)
    for name in day["daily"]:
        if name != "trade_date":
            day["daily"][name][to] = before["daily"][name][source]


def _append_bar(day: Answers, code: str, price: float, vol: float, amount: float) -> None:
    values = dict.fromkeys(("open", "high", "low", "close", "pre_close"), price)
    values |= {"change": 0.0, "pct_chg": 0.0, "vol": vol, "amount": amount}
    for name, column in day["daily"].items():
        other = code if name == "ts_code" else day["daily"]["trade_date"][0]
        column.append(values.get(name, other))


@corruption("positive_prices", Outcome.HELD)
def a_suspended_share_with_a_row_of_zeros(day: Answers, before: Answers) -> None:
    _append_bar(day, suspended(day), 0.0, 0.0, 0.0)


@corruption("suspension_contradicted", Outcome.FLAGGED)
def a_suspended_share_with_a_flat_row(day: Answers, before: Answers) -> None:
    _append_bar(day, suspended(day), 10.0, 0.0, 0.0)


@corruption("code_listed", Outcome.FLAGGED)
def a_share_that_is_not_listed_trades(day: Answers, before: Answers) -> None:
    _append_bar(day, "609999.SH", 10.0, 1.0, 1.0)


@corruption("indicators_agree", Outcome.FLAGGED)
def codes_of_two_rows_swapped(day: Answers, before: Answers) -> None:
    codes = day["daily_basic"]["ts_code"]
    codes[0], codes[1] = codes[1], codes[0]


@corruption("indicators_agree", Outcome.REFUSED)
def indicators_of_the_day_before(day: Answers, before: Answers) -> None:
    day["daily_basic"] = dated(before["daily_basic"], day["daily_basic"]["trade_date"][0])
