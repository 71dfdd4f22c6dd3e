"""What a check found on one day.

Here belongs the one word that all judgements are told in; what a check is, is `tables.checking`.
"""

import datetime as dt
from typing import NamedTuple

from marketdata_assets.tables.checking import Check, Outcome


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
