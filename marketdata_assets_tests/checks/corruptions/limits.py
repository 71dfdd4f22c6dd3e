"""Limits that no exchange has set, and prices beyond them."""

import decimal
from collections.abc import Callable

from marketdata_assets.tables.declaration import Outcome
from marketdata_assets_tests.checks.corruptions.corruption import (
    corruption,
    ordinary,
    row_of,
)
from marketdata_assets_tests.checks.market_day import Answers


@corruption("limits_ordered", Outcome.FLAGGED)
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


@corruption("limits_recomputed", Outcome.REFUSED)
def limits_rounded_as_floats(day: Answers, before: Answers) -> None:
    _limits_by(day, (".SH", ".SZ"), lambda price: round(price, 2))


@corruption("limits_recomputed", Outcome.REFUSED)
def beijing_limits_rounded_half_up(day: Answers, before: Answers) -> None:
    cent, up = decimal.Decimal("0.01"), decimal.ROUND_HALF_UP
    _limits_by(
        day, (".BJ",), lambda price: float(decimal.Decimal(str(round(price, 6))).quantize(cent, up))
    )


@corruption("limits_recomputed", Outcome.FLAGGED)
def a_limit_of_another_board(day: Answers, before: Answers) -> None:
    row = row_of(day["stk_limit"], ordinary(day))
    close = day["daily"]["pre_close"][row_of(day["daily"], ordinary(day))]
    day["stk_limit"]["up_limit"][row] = round(close * 1.2, 2)
    day["stk_limit"]["down_limit"][row] = round(close * 0.8, 2)


@corruption("limits_recomputed", Outcome.FLAGGED)
def an_ordinary_share_without_limits(day: Answers, before: Answers) -> None:
    row = row_of(day["stk_limit"], ordinary(day))
    day["stk_limit"]["up_limit"][row] = 99999.999
    day["stk_limit"]["down_limit"][row] = 0.01


@corruption("within_limits", Outcome.FLAGGED)
def a_price_beyond_its_limit(day: Answers, before: Answers) -> None:
    bars, code = day["daily"], ordinary(day)
    limit = day["stk_limit"]["up_limit"][row_of(day["stk_limit"], code)]
    bars["high"][row_of(bars, code)] = round(limit + 0.01, 2)
