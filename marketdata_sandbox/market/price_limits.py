"""Daily price limits: which percentage applies to whom on which day, and how it is rounded.

Here belong the exchanges' rules, as pure functions on arrays. Prices are integers in ticks
(0.01 yuan, or 0.001 for funds and Shanghai B shares), so that no float decides a rounding.
Where the prices come from is `price_path`'s matter.

Source: the trading rules of SSE, SZSE and BSE, checked against the limits of real days.
"""

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.boards import MAIN_BOARDS, Board

Integers = npt.NDArray[np.int32]
Booleans = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64] | np.datetime64

FIRST_DAY_CAP = np.datetime64("2014-01-01")
CHINEXT_REFORM = np.datetime64("2020-08-24")
MAIN_BOARD_REFORM = np.datetime64("2023-04-10")
ST_REFORM = np.datetime64("2026-07-06")
RULE_CHANGES = (CHINEXT_REFORM, ST_REFORM)

FREE_SESSIONS = 5
# Percentages no rule uses: they mark a day without limit and still bound the simulated price.
UNLIMITED_UP = 1000
UNLIMITED_DOWN = 90


def limit_percents(
    board: npt.NDArray[np.int8],
    is_st: Booleans,
    list_day: npt.NDArray[np.datetime64],
    age: Integers,
    opens_delisting: Booleans,
    day: Days,
) -> tuple[Integers, Integers]:
    """Percent up and down from pre_close, `UNLIMITED_UP` / `UNLIMITED_DOWN` without a limit.

    `age` counts the sessions since the listing (0 on the first day); `opens_delisting` marks the
    first session of a delisting period.
    """
    is_main = np.isin(board, MAIN_BOARDS)
    is_chinext = board == Board.CHINEXT
    is_star = board == Board.STAR
    is_bse = board == Board.BSE
    normal = np.full(board.shape, 10, np.int32)
    normal[is_main & is_st & (day < ST_REFORM)] = 5
    widened = is_chinext | (board == Board.WIDE_FUND)
    normal[is_star | (widened & (day >= CHINEXT_REFORM))] = 20
    normal[is_bse] = 30

    free = np.zeros(board.shape, np.int32)
    is_old_issue = (is_main | is_chinext) & (list_day < FIRST_DAY_CAP)
    free[is_bse | is_old_issue] = 1
    free[is_star | (is_chinext & (list_day >= CHINEXT_REFORM))] = FREE_SESSIONS
    free[is_main & (list_day >= MAIN_BOARD_REFORM)] = FREE_SESSIONS
    unlimited = (age < free) | opens_delisting
    capped = (is_main | is_chinext) & (age == 0) & ~unlimited

    up = np.where(unlimited, UNLIMITED_UP, np.where(capped, 44, normal))
    down = np.where(unlimited, UNLIMITED_DOWN, np.where(capped, 36, normal))
    return up.astype(np.int32), down.astype(np.int32)


def rounding_terms(board: npt.NDArray[np.int8]) -> tuple[Integers, Integers]:
    """What to add before dividing by 100: half up, but truncation toward pre_close on the BSE."""
    is_bse = board == Board.BSE
    return np.where(is_bse, 0, 50).astype(np.int32), np.where(is_bse, 99, 50).astype(np.int32)


def limit_ticks(
    pre_close: Integers,
    up_percent: Integers,
    down_percent: Integers,
    board: npt.NDArray[np.int8],
) -> tuple[Integers, Integers]:
    """The highest and the lowest price of the day, in ticks."""
    up_term, down_term = rounding_terms(board)
    up = (pre_close * (100 + up_percent) + up_term) // 100
    down = (pre_close * (100 - down_percent) + down_term) // 100
    return up, down
