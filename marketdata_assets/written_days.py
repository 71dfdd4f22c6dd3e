"""Days as people write them: 2024-03-06 and 20240306.

Here belongs the one reading of a day that a user wrote. Days of vendors are their tables'.
"""

import datetime as dt
import re

HOW = "write a day as YYYY-MM-DD or YYYYMMDD"


def day_written(text: str) -> dt.date:
    """The day. Raises `ValueError` with what to write."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d|\d{8}", text, re.ASCII):
        raise ValueError(HOW)
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day") from None
