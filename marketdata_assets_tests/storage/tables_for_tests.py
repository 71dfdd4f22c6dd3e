"""Small partitions of a declared table, and a hypothesis strategy for their content."""

import datetime as dt

import pyarrow as pa
from hypothesis import strategies as st

from marketdata_assets.tables import PRICE_LIMITS

DAY = dt.date(2024, 9, 30)
NEXT_DAY = dt.date(2024, 10, 8)


def limits(day: dt.date, **up_by_code: float) -> pa.Table:
    """Price limits of a day: `limits(DAY, a=11.0)` is one row with the code `a`."""
    return pa.Table.from_arrays(
        [
            pa.array([day] * len(up_by_code), pa.date32()),
            pa.array(list(up_by_code), pa.string()),
            pa.array(list(up_by_code.values()), pa.float64()),
            pa.array([value / 2 for value in up_by_code.values()], pa.float64()),
        ],
        schema=PRICE_LIMITS.schema,
    )


prices = st.floats(0.01, 1e6, allow_nan=False)
contents = st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), prices, max_size=8)
