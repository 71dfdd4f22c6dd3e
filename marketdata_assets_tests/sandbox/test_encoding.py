"""Rows are written as `json.dumps` writes them, letter by letter."""

import json

from hypothesis import given
from hypothesis import strategies as st

from marketdata_sandbox.encoding import rows_as_json

PRICES = st.floats(-1e7, 1e7).map(lambda price: round(price, 4))
TEXTS = st.text(max_size=5) | st.sampled_from(['a "b"', "c, d", "null", "万科A", "\\", "\n"])
# As an answer has them: of one kind, with gaps, or of any kinds.
KINDS: list[st.SearchStrategy[object]] = [
    PRICES,
    st.floats(),
    st.integers(),
    TEXTS,
    PRICES | st.none(),
    TEXTS | st.none(),
    st.booleans() | st.floats() | TEXTS | st.integers() | st.none(),
]
COLUMNS = st.sampled_from(KINDS).flatmap(lambda kind: st.lists(kind, min_size=3, max_size=3))


@given(st.lists(COLUMNS, min_size=1, max_size=4))
def test_rows_are_written_as_of_old(columns: list[list[object]]) -> None:
    rows = list(zip(*columns, strict=True))
    assert rows_as_json(columns) == json.dumps(rows, ensure_ascii=False)


def test_no_rows_are_an_empty_array() -> None:
    assert rows_as_json([]) == rows_as_json([[], []]) == "[]"
