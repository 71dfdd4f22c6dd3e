"""Small partitions of a declared table, strategies for their content, and a bit that flips."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
from hypothesis import strategies as st

from marketdata_assets.tables import PRICE_LIMITS

DAY = dt.date(2024, 9, 30)
NEXT_DAY = dt.date(2024, 10, 8)


def limits(day: dt.date, /, **up_by_code: float) -> pa.Table:
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


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file, counted from its start and round again."""
    raw = bytearray(path.read_bytes())
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    # A new file, as a disk would have it: what shares the old one by a second name stays whole.
    path.unlink()
    path.write_bytes(raw)


prices = st.floats(0.01, 1e6, allow_nan=False)
contents = st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), prices, max_size=8)
