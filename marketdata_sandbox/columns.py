"""Answers as columns: rows chosen, and days put one after another.

Here belongs what all calls do with their columns. What is asked for is `protocol`, `fund_answers`.
"""

import math
from collections.abc import Container, Iterable
from typing import Any

Columns = dict[str, list[Any]]


def where(columns: Columns, name: str, wanted: Container[object]) -> Columns:
    """The rows whose value of a column is wanted."""
    kept = [at for at, value in enumerate(columns[name]) if value in wanted]
    return {name: [values[at] for at in kept] for name, values in columns.items()}


def joined(
    days: Iterable[Columns], codes: Container[object] | None, enough: float = math.inf
) -> Columns:
    """The rows of `codes`, or all, of days that are made one by one, until there are `enough` rows:
    twenty years of the whole market would be gigabytes."""
    found: Columns = {}
    for day in days:
        for name, values in (day if codes is None else where(day, "ts_code", codes)).items():
            found.setdefault(name, []).extend(values)
        if len(next(iter(found.values()))) >= enough:
            break
    return found
