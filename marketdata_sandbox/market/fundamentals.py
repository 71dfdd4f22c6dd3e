"""Earnings, book value, sales and dividends of the companies, as ratios to the price.

Here belongs what changes with reports and dividends. Shares are `share_counts`' matter, the
table of the day is put together in `exchange`.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from marketdata_sandbox.market.ex_rights import never_pays
from marketdata_sandbox.market.listings import sessions_of_year
from marketdata_sandbox.market.price_path import PricePath, quarter_number
from marketdata_sandbox.market.random_streams import Purpose, random_stream

Doubles = npt.NDArray[np.float64]

_SESSIONS_A_YEAR = 242
_LOSS_THRESHOLD = -0.84  # standard deviations: a fifth of the companies makes a loss
_RECENT_LOSS_THRESHOLD = -0.64
_NEGATIVE_BOOK_SHARE = 0.006
_NO_SALES_SHARE = 0.0004


@dataclasses.dataclass(frozen=True)
class Ratios:
    """Multiples of the price and dividends in percent; NaN where the vendor prints nothing."""

    pe: Doubles
    pe_ttm: Doubles
    pb: Doubles
    ps: Doubles
    ps_ttm: Doubles
    dv_ratio: Doubles
    dv_ttm: Doubles


class Fundamentals:
    """The lasting traits of all companies, and their ratios on one session."""

    def __init__(self, seed: int, path: PricePath) -> None:
        self._seed = seed
        self._path = path
        size = path.traits.level.size
        # One row per instrument, so that the first rows do not depend on how many follow.
        draws = random_stream(seed, Purpose.TRAITS, 2).standard_normal((size, 4))
        self._strength = draws[:, 0]
        self._usual_pe = 58 * np.exp(0.85 * draws[:, 1])
        self._usual_pb = 4.0 * np.exp(0.65 * draws[:, 2])
        self._usual_ps = 5.0 * np.exp(1.1 * draws[:, 3])
        rare = random_stream(seed, Purpose.TRAITS, 3).random((size, 2))
        self._has_negative_book = rare[:, 0] < _NEGATIVE_BOOK_SHARE
        self._has_no_sales = rare[:, 1] < _NO_SALES_SHARE
        self._never_pays = never_pays(seed, size)

    def on(self, session: int) -> Ratios:
        """Ratios to the close of the session, for all instruments listed by then."""
        path = self._path
        close = path.close(session) / path.listings.ticks_per_yuan[: path.close(session).size]
        size = close.size
        day = path.listings.sessions[session]
        # Annual reports are out by the end of April.
        report_year = day.year - (2 if day.month < 5 else 1)
        year = random_stream(self._seed, Purpose.YEARLY_RESULTS, report_year)
        of_year = year.standard_normal((path.traits.level.size, 2))[:size]
        quarter = random_stream(self._seed, Purpose.QUARTERLY_RESULTS, quarter_number(day))
        of_quarter = quarter.standard_normal((path.traits.level.size, 2))[:size]

        relative_price = close / path.traits.level[:size]
        result = 0.85 * self._strength[:size] + 0.53 * of_year[:, 0]
        recent = 0.94 * result + 0.34 * of_quarter[:, 0]
        pe = self._usual_pe[:size] * relative_price * np.exp(-0.4 * of_year[:, 0])
        pe_ttm = pe * np.exp(-0.25 * of_quarter[:, 0])
        pe[result < _LOSS_THRESHOLD] = np.nan
        pe_ttm[recent < _RECENT_LOSS_THRESHOLD] = np.nan
        pb = self._usual_pb[:size] * relative_price * np.exp(-0.1 * of_year[:, 1])
        pb[self._has_negative_book[:size]] = np.nan
        ps = self._usual_ps[:size] * relative_price * np.exp(-0.15 * of_year[:, 1])
        ps_ttm = ps * np.exp(-0.08 * of_quarter[:, 1])
        ps[self._has_no_sales[:size]] = np.nan
        ps_ttm[self._has_no_sales[:size]] = np.nan
        dv_ratio, dv_ttm = self._dividends(session, close)
        return Ratios(pe, pe_ttm, pb, ps, ps_ttm, dv_ratio, dv_ttm)

    def _dividends(self, session: int, close: Doubles) -> tuple[Doubles, Doubles]:
        """Cash of the last calendar year (0 if none) and of the last 242 sessions (NaN if none)."""
        sessions = self._path.listings.sessions
        last_year = sessions_of_year(sessions, sessions[session].year - 1)
        of_last_year = self._cash_per_share(last_year.start, last_year.stop, close.size)
        dv_ratio = of_last_year / close * 100
        dv_ratio[self._never_pays[: close.size]] = np.nan
        recent = self._cash_per_share(
            max(session + 1 - _SESSIONS_A_YEAR, 0), session + 1, close.size
        )
        dv_ttm = np.where(recent > 0, recent / close * 100, np.nan)
        return dv_ratio, dv_ttm

    def _cash_per_share(self, start: int, stop: int, size: int) -> Doubles:
        """Yuan per share paid in sessions start..stop - 1."""
        rights = self._path.rights
        first, last = np.searchsorted(rights.session, [start, stop])
        cash = np.zeros(size)
        np.add.at(cash, rights.instrument[first:last], rights.cash_per_10[first:last] / 1000)
        return cash
