"""What a check is, and what a check found.

Here belong the words that the other modules of this folder declare checks with; no check itself.
"""

import datetime as dt
import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Check:
    """A statement about the rows of a day: `wrong` is the SQL condition of a row that breaks it.

    A row on which `wrong` is NULL is not wrong. `shown` are the columns a reader needs to judge
    a wrong row. `tolerance` is the share of a day's rows that may be wrong before the check
    fails. A failure of a check that is not `blocking` is a warning.
    """

    name: str
    doc: str
    doc_zh: str
    wrong: str
    shown: tuple[str, ...]
    tolerance: float = 0.0
    blocking: bool = True

    @property
    def description(self) -> str:
        tolerated = f" Up to {self.tolerance:.1%} of the rows may differ." if self.tolerance else ""
        return f"{self.doc}{tolerated} · {self.doc_zh}"

    def allows(self, wrong: int, rows: int) -> bool:
        return wrong <= math.floor(self.tolerance * rows)


class Finding(NamedTuple):
    """Rows of one day that break one check; `sample` holds a few of them as text."""

    check: Check
    table: str
    day: dt.date
    wrong: int
    rows: int
    sample: tuple[str, ...]

    @property
    def fails(self) -> bool:
        return not self.check.allows(self.wrong, self.rows)

    @property
    def blocks(self) -> bool:
        return self.fails and self.check.blocking

    def in_words(self) -> str:
        return f"{self.table} {self.day}, {self.check.name}: {self.counted()}. {self.check.doc}"

    def counted(self) -> str:
        """How many rows, and some of them."""
        more = " …" if self.wrong > len(self.sample) else ""
        return f"{self.wrong:,} of {self.rows:,} rows ({'; '.join(self.sample)}{more})"
