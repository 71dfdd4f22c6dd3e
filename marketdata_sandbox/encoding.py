"""Columns of an answer as the rows of its JSON, letter by letter as `json.dumps` writes them.

Here belongs the writing alone, which of a day of the market takes longer that way than making it.
What is answered is `protocol`.
"""

import json
from collections.abc import Sequence
from json.encoder import encode_basestring

import orjson

# Signs of what is not written as `json.dumps` does it, or is more than one value.
UNLIKE = ("e", '"', "[", "{", "0.0000")


def rows_as_json(columns: Sequence[Sequence[object]]) -> str:
    """The array of the rows that lie in `columns`, which have the same length."""
    if not columns or not columns[0]:
        return "[]"
    rows = map(", ".join, zip(*map(_written, columns), strict=True))
    return f"[[{'], ['.join(rows)}]]"


def _written(values: Sequence[object]) -> Sequence[str]:
    return _texts(values) or _numbers(values) or [_alone(value) for value in values]


def _texts(values: Sequence[object]) -> Sequence[str]:
    """What is written of texts; nothing where something else is among them."""
    try:
        return list(map(encode_basestring, values))  # type: ignore[arg-type]
    except TypeError:
        return ()


def _numbers(values: Sequence[object]) -> Sequence[str]:
    """What is written of numbers and None; nothing where it would be another than said above."""
    try:
        together = orjson.dumps(values)[1:-1].decode()
    except TypeError:
        return ()
    # What is infinite or no number is null there.
    is_other = any(sign in together for sign in UNLIKE)
    is_other |= together.count("null") != values.count(None)
    return () if is_other else together.split(",")


def _alone(value: object) -> str:
    return encode_basestring(value) if isinstance(value, str) else json.dumps(value)
