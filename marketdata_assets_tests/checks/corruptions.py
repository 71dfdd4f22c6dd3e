"""What can go wrong with a day of vendor data, each as an edit of its answers.

An edit changes the answers in place. Rows are chosen by what they are, so that every edit works
on a simulated day and on a real one.
"""

import decimal
from collections.abc import Callable
from typing import NamedTuple

from marketdata_assets_tests.checks.market_day import Answers, Columns

Edit = Callable[[Answers, Answers], None]


class Corruption(NamedTuple):
    name: str
    edit: Edit
    caught_by: str


CORRUPTIONS: list[Corruption] = []


def corruption(caught_by: str) -> Callable[[Edit], Edit]:
    def register(edit: Edit) -> Edit:
        CORRUPTIONS.append(Corruption(edit.__name__.replace("_", " "), edit, caught_by))
        return edit

    return register


def delete(columns: Columns, row: int) -> None:
    for values in columns.values():
        del values[row]


def drop_last(columns: Columns, count: int) -> None:
    for values in columns.values():
        del values[-count:]


def row_of(columns: Columns, code: str) -> int:
    return columns["ts_code"].index(code)


def ordinary(answers: Answers) -> str:
    """A main-board share, without marks, that moved and has been listed for long."""
    stocks, bars = answers["stock_basic"], answers["daily"]
    names = dict(zip(stocks["ts_code"], stocks["name"], strict=True))
    listed = dict(zip(stocks["ts_code"], stocks["list_date"], strict=True))
    for row, code in enumerate(bars["ts_code"]):
        if (
            code.startswith("600")
            and not names[code].startswith(("S", "*"))
            and listed[code] < "20200101"
            and 5 < bars["pre_close"][row] < 50
            and bars["low"][row] < min(bars["open"][row], bars["close"][row])
            and bars["close"][row] < bars["high"][row] - 0.02
            and abs(bars["pct_chg"][row]) > 0.3
        ):
            return code
    raise LookupError("no ordinary share")


def marked(answers: Answers) -> str:
    """A share of the main board with ST in its name that traded."""
    stocks, traded = answers["stock_basic"], set(answers["daily"]["ts_code"])
    for code, name in zip(stocks["ts_code"], stocks["name"], strict=True):
        if code in traded and code.startswith(("60", "00")) and name.startswith(("ST", "*ST")):
            return code
    raise LookupError("no ST share")


def suspended(answers: Answers) -> str:
    halts = answers["suspend_d"]
    rows = zip(halts["ts_code"], halts["suspend_type"], halts["suspend_timing"], strict=True)
    return next(code for code, kind, timing in rows if (kind, timing) == ("S", None))


def scale(columns: Columns, name: str, factor: float) -> None:
    columns[name] = [None if value is None else value * factor for value in columns[name]]


def _dated(columns: Columns, date: str) -> Columns:
    """A copy of the columns under another date."""
    return {**columns, "trade_date": [date] * len(columns["ts_code"])}


@corruption("complete")
def one_bar_dropped(day: Answers, before: Answers) -> None:
    delete(day["daily"], row_of(day["daily"], ordinary(day)))


@corruption("complete")
def a_tail_of_1_bar_cut(day: Answers, before: Answers) -> None:
    drop_last(day["daily"], 1)


@corruption("complete")
def a_tail_of_100_bars_cut(day: Answers, before: Answers) -> None:
    drop_last(day["daily"], 100)


@corruption("complete")
def a_tail_of_1000_bars_cut(day: Answers, before: Answers) -> None:
    drop_last(day["daily"], 1000)


@corruption("complete")
def a_row_of_indicators_cut(day: Answers, before: Answers) -> None:
    delete(day["daily_basic"], row_of(day["daily_basic"], ordinary(day)))


@corruption("complete")
def a_row_of_limits_cut(day: Answers, before: Answers) -> None:
    delete(day["stk_limit"], row_of(day["stk_limit"], ordinary(day)))


@corruption("row_count")
def a_tail_of_1000_limits_cut(day: Answers, before: Answers) -> None:
    drop_last(day["stk_limit"], 1000)


@corruption("complete")
def a_factor_missing(day: Answers, before: Answers) -> None:
    delete(day["adj_factor"], row_of(day["adj_factor"], ordinary(day)))


@corruption("complete")
def a_share_lost_from_the_list(day: Answers, before: Answers) -> None:
    delete(day["stock_basic"], row_of(day["stock_basic"], ordinary(day)))


@corruption("row_count")
def a_tail_of_the_list_cut(day: Answers, before: Answers) -> None:
    drop_last(day["stock_basic"], 1000)


@corruption("complete")
def suspensions_lost(day: Answers, before: Answers) -> None:
    for values in day["suspend_d"].values():
        values.clear()


@corruption("DuplicateRows")
def a_bar_twice(day: Answers, before: Answers) -> None:
    for values in day["daily"].values():
        values.append(values[0])


@corruption("NotPublishedYet")
def rows_of_another_date(day: Answers, before: Answers) -> None:
    day["daily"] = before["daily"]


@corruption("BadValue")
def a_few_rows_of_another_date(day: Answers, before: Answers) -> None:
    day["daily"]["trade_date"][:3] = before["daily"]["trade_date"][:3]


@corruption("BadValue")
def a_close_missing(day: Answers, before: Answers) -> None:
    day["daily"]["close"][0] = None


@corruption("MissingColumn")
def a_column_missing(day: Answers, before: Answers) -> None:
    del day["daily"]["pre_close"]


@corruption("pre_close_continues")
def the_rows_of_the_day_before_under_a_new_date(day: Answers, before: Answers) -> None:
    day["daily"] = _dated(before["daily"], day["daily"]["trade_date"][0])


@corruption("not_repeated")
def bars_repeated_with_a_matching_close(day: Answers, before: Answers) -> None:
    now, then = day["daily"], before["daily"]
    for row, code in enumerate(now["ts_code"][:200]):
        if code in then["ts_code"]:
            for name in ("open", "high", "low", "close", "vol", "amount"):
                now[name][row] = then[name][row_of(then, code)]


@corruption("pre_close_continues")
def one_bar_of_the_day_before(day: Answers, before: Answers) -> None:
    code = ordinary(day)
    to, source = row_of(day["daily"], code), row_of(before["daily"], code)
    for name in day["daily"]:
        if name != "trade_date":
            day["daily"][name][to] = before["daily"][name][source]


@corruption("ohlc_order")
def a_decimal_of_the_close_shifted(day: Answers, before: Answers) -> None:
    day["daily"]["close"][row_of(day["daily"], ordinary(day))] *= 10


@corruption("units")
def a_decimal_of_all_prices_shifted(day: Answers, before: Answers) -> None:
    row = row_of(day["daily"], ordinary(day))
    for name in ("open", "high", "low", "close", "pre_close", "change"):
        day["daily"][name][row] *= 10


@corruption("units")
def lots_given_as_shares(day: Answers, before: Answers) -> None:
    scale(day["daily"], "vol", 100)


@corruption("units")
def one_volume_given_in_shares(day: Answers, before: Answers) -> None:
    day["daily"]["vol"][row_of(day["daily"], ordinary(day))] *= 100


@corruption("units")
def value_given_in_yuan(day: Answers, before: Answers) -> None:
    scale(day["daily"], "amount", 1000)


@corruption("ohlc_order")
def high_and_low_swapped(day: Answers, before: Answers) -> None:
    bars = day["daily"]
    bars["high"], bars["low"] = bars["low"], bars["high"]


@corruption("positive_prices")
def a_negative_volume(day: Answers, before: Answers) -> None:
    day["daily"]["vol"][0] *= -1


def _append_bar(day: Answers, code: str, price: float, vol: float, amount: float) -> None:
    values = dict.fromkeys(("open", "high", "low", "close", "pre_close"), price)
    values |= {"change": 0.0, "pct_chg": 0.0, "vol": vol, "amount": amount}
    for name, column in day["daily"].items():
        other = code if name == "ts_code" else day["daily"]["trade_date"][0]
        column.append(values.get(name, other))


@corruption("positive_prices")
def a_suspended_share_with_a_row_of_zeros(day: Answers, before: Answers) -> None:
    _append_bar(day, suspended(day), 0.0, 0.0, 0.0)


@corruption("complete")
def a_suspended_share_with_a_flat_row(day: Answers, before: Answers) -> None:
    _append_bar(day, suspended(day), 10.0, 0.0, 0.0)


@corruption("complete")
def a_share_that_is_not_listed_trades(day: Answers, before: Answers) -> None:
    _append_bar(day, "609999.SH", 10.0, 1.0, 1.0)


@corruption("change_recomputed")
def a_close_restated_alone(day: Answers, before: Answers) -> None:
    day["daily"]["close"][row_of(day["daily"], ordinary(day))] += 0.01


@corruption("indicators_agree")
def a_close_restated_with_its_change(day: Answers, before: Answers) -> None:
    bars, row = day["daily"], row_of(day["daily"], ordinary(day))
    bars["close"][row] = round(bars["close"][row] + 0.01, 2)
    bars["change"][row] = round(bars["close"][row] - bars["pre_close"][row], 2)
    bars["pct_chg"][row] = round(bars["change"][row] / bars["pre_close"][row] * 100, 4)


@corruption("pct_chg_recomputed")
def changes_as_fractions(day: Answers, before: Answers) -> None:
    scale(day["daily"], "pct_chg", 0.01)


@corruption("pct_chg_recomputed")
def changes_with_two_decimals(day: Answers, before: Answers) -> None:
    day["daily"]["pct_chg"] = [round(value, 2) for value in day["daily"]["pct_chg"]]


@corruption("pre_close_continues")
def a_previous_close_shifted(day: Answers, before: Answers) -> None:
    bars, row = day["daily"], row_of(day["daily"], ordinary(day))
    bars["pre_close"][row] = round(bars["pre_close"][row] + 0.05, 2)


@corruption("limits_ordered")
def limits_swapped(day: Answers, before: Answers) -> None:
    limits = day["stk_limit"]
    row = row_of(limits, ordinary(day))
    up, down = limits["up_limit"], limits["down_limit"]
    up[row], down[row] = down[row], up[row]


def _limits_by(day: Answers, suffixes: tuple[str, ...], rounded: Callable[[float], float]) -> None:
    bars, limits = day["daily"], day["stk_limit"]
    closes = dict(zip(bars["ts_code"], bars["pre_close"], strict=True))
    for row, code in enumerate(limits["ts_code"]):
        if code in closes and code.endswith(suffixes) and limits["up_limit"][row] < 99999:
            percent = round(limits["up_limit"][row] / closes[code] - 1, 2)
            limits["up_limit"][row] = rounded(closes[code] * (1 + percent))
            limits["down_limit"][row] = rounded(closes[code] * (1 - percent))


@corruption("limits_recomputed")
def limits_rounded_as_floats(day: Answers, before: Answers) -> None:
    _limits_by(day, (".SH", ".SZ"), lambda price: round(price, 2))


@corruption("limits_recomputed")
def beijing_limits_rounded_half_up(day: Answers, before: Answers) -> None:
    cent, up = decimal.Decimal("0.01"), decimal.ROUND_HALF_UP
    _limits_by(
        day, (".BJ",), lambda price: float(decimal.Decimal(str(round(price, 6))).quantize(cent, up))
    )


@corruption("limits_recomputed")
def a_limit_of_another_board(day: Answers, before: Answers) -> None:
    row = row_of(day["stk_limit"], ordinary(day))
    close = day["daily"]["pre_close"][row_of(day["daily"], ordinary(day))]
    day["stk_limit"]["up_limit"][row] = round(close * 1.2, 2)
    day["stk_limit"]["down_limit"][row] = round(close * 0.8, 2)


@corruption("limits_recomputed")
def an_ordinary_share_without_limits(day: Answers, before: Answers) -> None:
    row = row_of(day["stk_limit"], ordinary(day))
    day["stk_limit"]["up_limit"][row] = 99999.999
    day["stk_limit"]["down_limit"][row] = 0.01


@corruption("within_limits")
def a_price_beyond_its_limit(day: Answers, before: Answers) -> None:
    bars, code = day["daily"], ordinary(day)
    limit = day["stk_limit"]["up_limit"][row_of(day["stk_limit"], code)]
    bars["high"][row_of(bars, code)] = round(limit + 0.01, 2)


@corruption("limits_agree_with_name")
def a_stale_name(day: Answers, before: Answers) -> None:
    stocks = day["stock_basic"]
    stocks["name"][row_of(stocks, marked(day))] = "长江实业"


@corruption("listing_facts")
def a_name_missing(day: Answers, before: Answers) -> None:
    stocks = day["stock_basic"]
    stocks["name"][row_of(stocks, ordinary(day))] = " "


@corruption("not_zero_filled")
def unknown_indicators_as_zeros(day: Answers, before: Answers) -> None:
    for name, values in day["daily_basic"].items():
        day["daily_basic"][name] = [0.0 if value is None else value for value in values]


@corruption("indicators_agree")
def market_values_in_yuan(day: Answers, before: Answers) -> None:
    scale(day["daily_basic"], "total_mv", 10_000)


@corruption("share_counts_ordered")
def a_float_in_shares(day: Answers, before: Answers) -> None:
    day["daily_basic"]["float_share"][row_of(day["daily_basic"], ordinary(day))] *= 10_000


@corruption("indicators_agree")
def codes_of_two_rows_swapped(day: Answers, before: Answers) -> None:
    codes = day["daily_basic"]["ts_code"]
    codes[0], codes[1] = codes[1], codes[0]


@corruption("indicators_agree")
def indicators_of_the_day_before(day: Answers, before: Answers) -> None:
    day["daily_basic"] = _dated(before["daily_basic"], day["daily_basic"]["trade_date"][0])


@corruption("pre_close_continues")
def a_wrong_factor(day: Answers, before: Answers) -> None:
    day["adj_factor"]["adj_factor"][row_of(day["adj_factor"], ordinary(day))] *= 1.1


@corruption("factor_without_gap")
def a_factor_slightly_off(day: Answers, before: Answers) -> None:
    day["adj_factor"]["adj_factor"][row_of(day["adj_factor"], ordinary(day))] *= 1.0004


@corruption("positive_factor")
def a_factor_of_zero(day: Answers, before: Answers) -> None:
    day["adj_factor"]["adj_factor"][0] = 0.0
