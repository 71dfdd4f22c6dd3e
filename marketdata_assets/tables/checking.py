"""What a check is, and what follows when it fails.

Here belong the words that checks are declared with; no check itself.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

# An answer of which every row is wrong is refused however few they are, but not for a row or two.
FEWEST_OF_ALL = 3


class Outcome(StrEnum):
    """What is done with what was found.

    An answer that is refused is not stored. A row that is held is stored, but left out of the
    merged prices. A row that is flagged is stored, merged and listed. Excused is what somebody has
    accepted: it is listed and has no consequence.
    """

    REFUSED = "refused"
    HELD = "held"
    FLAGGED = "flagged"
    EXCUSED = "excused"


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


# Of what is not a bar: a few odd rows speak for themselves, fifty in a table of thousands do not.
MANY_ROWS = Mass(0.02, 50)


def row_count(lost: Mass, why: str = "", why_zh: str = "") -> Check:
    """The check of how many rows a day may have less than the session before."""
    return Check(
        "row_count",
        f"The day has as many rows as the session before, but for a few{why}.",
        f"当日行数不少于上一交易日（允许少量减少{why_zh}）。",
        # Counted by `rows_lost`, not row by row.
        wrong="false",
        shown=(),
        outcome=Outcome.REFUSED,
        mass=lost,
    )
