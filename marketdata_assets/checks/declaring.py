"""What a check is, what a check found, and what follows from it.

Here belong the words that the other modules of this folder declare checks with; no check itself.
"""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

from marketdata_assets.tables.findings import Outcome

# An answer of which every row is wrong is refused however few they are, but not for a row or two.
FEWEST_OF_ALL = 3


class Mass(NamedTuple):
    """How many rows of a day speak against the whole answer: more than a share, and a number.

    Both, so that a few odd shares never do: not of a big market, and not of a small table.
    """

    share: float
    rows: int

    def is_reached(self, wrong: int, rows: int) -> bool:
        is_many = wrong >= self.rows or wrong == rows >= FEWEST_OF_ALL
        return is_many and wrong > self.share * rows


@dataclass(frozen=True)
class Check:
    """A statement about the rows of a day: `wrong` is the SQL condition of a row that breaks it.

    A row on which `wrong` is NULL is not wrong. `shown` are the columns a reader needs to judge
    a wrong row. `outcome` is what becomes of a single wrong row: HELD or FLAGGED, or REFUSED where
    rows by themselves say nothing. From `mass` on the day of the table as a whole is `of_mass`:
    refused, or flagged; `among` is the SQL condition of the rows that are counted.
    """

    name: str
    doc: str
    doc_zh: str
    wrong: str
    shown: tuple[str, ...]
    outcome: Outcome = Outcome.FLAGGED
    mass: Mass | None = None
    of_mass: Outcome = Outcome.REFUSED
    among: str = "true"

    @property
    def description(self) -> str:
        """Both languages, and what follows from a wrong row and from many."""
        follows = [] if self.outcome is Outcome.REFUSED else [f"A wrong row is {self.outcome}."]
        if self.mass:
            share, rows = self.mass
            many = f"more than {share:.1%} of the rows, {rows} or more" if share else f"{rows} rows"
            follows.append(f"The day is {self.of_mass} from {many}.")
        return f"{self.doc} {' '.join(follows)} · {self.doc_zh}"


class Finding(NamedTuple):
    """Rows of one day that break one check; `sample` holds a few of them as text.

    `wrong` counts what nobody has excused, `excused` the others.
    """

    check: Check
    table: str
    day: dt.date
    wrong: int
    rows: int
    sample: tuple[str, ...]
    excused: int = 0

    @property
    def is_mass(self) -> bool:
        """Whether it speaks against the day of the table as a whole."""
        return self.check.mass is not None and self.check.mass.is_reached(self.wrong, self.rows)

    @property
    def refuses(self) -> bool:
        return self.is_mass and self.check.of_mass is Outcome.REFUSED

    @property
    def fails(self) -> bool:
        return self.is_mass or (self.wrong > 0 and self.check.outcome is not Outcome.REFUSED)

    def in_words(self) -> str:
        return f"{self.table} {self.day}, {self.check.name}: {self.counted()}. {self.check.doc}"

    def counted(self) -> str:
        """How many rows, and some of them."""
        more = " …" if self.wrong > len(self.sample) else ""
        shown = f" ({'; '.join(self.sample)}{more})" if self.sample else ""
        return f"{self.wrong:,} of {self.rows:,} rows{shown}"
