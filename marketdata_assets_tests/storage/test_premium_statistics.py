import datetime as dt
import statistics

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.storage.premium_statistics import premium_statistics

FIRST = dt.date(2024, 9, 26)


def series(*premiums: float | None) -> pa.Table:
    days = [FIRST + dt.timedelta(n) for n in range(len(premiums))]
    columns = [pa.array(days, pa.date32()), pa.array(premiums, pa.float64())]
    return pa.Table.from_arrays(columns, ["trade_date", "premium"])


def test_a_few_days_by_hand() -> None:
    found = premium_statistics(series(0.01, 0.04, 0.02, None, 0.03, None))
    assert found is not None
    assert found.days == 4
    assert found.mean == pytest.approx(0.025)
    assert found.sd == pytest.approx(0.0129099444873581)
    assert (found.min, found.max, found.median) == (0.01, 0.04, 0.025)
    assert (found.latest, found.latest_date) == (0.03, FIRST + dt.timedelta(4))


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = series(0.01, 0.04, 0.02)
    assert premium_statistics(rows.take([2, 0, 1])) == premium_statistics(rows)


def test_one_day_has_no_spread_and_none_has_nothing() -> None:
    found = premium_statistics(series(None, 0.02))
    assert found is not None
    assert (found.sd, found.mean, found.latest) == (None, 0.02, 0.02)
    assert premium_statistics(series(None, None)) is None
    assert premium_statistics(series()) is None


@given(st.lists(st.floats(-0.8, 4), min_size=2, max_size=60))
def test_they_are_the_statistics_of_the_textbook(premiums: list[float]) -> None:
    found = premium_statistics(series(*premiums))
    assert found is not None
    assert found.mean == pytest.approx(statistics.fmean(premiums), abs=1e-12)
    assert found.sd == pytest.approx(statistics.stdev(premiums), abs=1e-9)
    assert found.median == pytest.approx(statistics.median(premiums), abs=1e-12)
    assert (found.min, found.max) == (min(premiums), max(premiums))
