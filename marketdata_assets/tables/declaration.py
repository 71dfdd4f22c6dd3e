"""What a declaration is made of: columns, sources, tables, the units.

Here belong the words that the other modules of this folder declare tables with; no table itself.

Units are the vendor's (Tushare Pro documentation of each call): 手 is 100 shares, 千元 a thousand
yuan, 万股 ten thousand shares, 万元 ten thousand yuan.
"""

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.tables.checking import Check
from marketdata_assets.trading_calendar import FIRST_SESSION, SHANGHAI, next_session


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    unit: str
    doc: str
    doc_zh: str
    nullable: bool = True

    def renamed(self, name: str) -> "Column":
        return replace(self, name=name)

    @property
    def description(self) -> str:
        """One line for people: both languages and the unit."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.doc}{unit} · {self.doc_zh}"


class Parts(NamedTuple):
    """A parameter that the vendor wants a single value of: a day is a call for each of them.

    Each value stands with the first day from which on the vendor is asked for it.
    """

    parameter: str
    since: tuple[tuple[str, dt.date], ...]


class LastKnown(NamedTuple):
    """Of a call whose rows are of fewer days than trade: a day has the rows of the last of them.

    It is looked for in the `calendar_days` up to the day, and kept in the column `told_on`.
    """

    told_on: str
    calendar_days: int


@dataclass(frozen=True)
class Source:
    """A Tushare call: its name, the rows after which an answer is cut, and a safe page size.

    `page_size` is given only where paging is exact; the other calls are split by code. A call that
    `takes_ranges` answers `start_date` and `end_date` without a code. A day's rows are out at
    `published_at`, in Shanghai, of the day or `on_next_session`. What is told `of_calendar_days` is
    asked for by every day since the last session. `points` is what an account needs for it.

    Columns that the vendor calls otherwise stand in `vendor_names` as (ours, theirs); a day is
    asked for by their name of the date column. `numbered` is a column of ours that numbers the rows
    of a share by their values, where rows that are equal are as many facts.
    """

    call: str
    row_cap: int
    page_size: int | None = None
    published_at: dt.time = dt.time(18, 0)
    on_next_session: bool = False
    of_calendar_days: bool = False
    takes_ranges: bool = False
    points: int = 2_000
    vendor_names: tuple[tuple[str, str], ...] = ()
    parts: Parts | None = None
    last_known: LastKnown | None = None
    numbered: str | None = None

    def vendor_name(self, column: str) -> str:
        return dict(self.vendor_names).get(column, column)

    def out_at(self, day: dt.date) -> dt.datetime:
        """When the rows of a trading day are out."""
        told_on = next_session(day) if self.on_next_session else day
        return dt.datetime.combine(told_on, self.published_at, SHANGHAI)


class Chain(StrEnum):
    """What is made together of a trading day; the values are the jobs' names.

    The extras are single tables, each made where somebody wants it.
    """

    STOCKS = "daily_chain"
    FUNDS = "etf_chain"
    EXTRAS = "extra_tables"


@dataclass(frozen=True)
class Table:
    """What a dataset is. Its partitions are the days of its `date_column`, or the codes of its
    `code_column`.

    A column of its key that is nullable has a NULL that means something.
    With `may_be_empty` a day without any row is a fact; of the other tables it is a day that is
    not there yet. Columns that are `sparse` may be NULL on every row of a day. `checks` are asked
    of every day by itself before it is stored, and `row_count` of its number of rows. What names
    its `chain` is fetched as it is, by an asset of its own. A column that may be NULL can be added
    at any time; the `version` grows when one goes, or changes its name, type, unit or meaning: what
    was stored before has to be made again.
    """

    name: str
    doc: str
    doc_zh: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    date_column: str | None = None
    code_column: str | None = None
    first_date: dt.date = FIRST_SESSION
    source: Source | None = None
    may_be_empty: bool = False
    sparse: tuple[str, ...] = ()
    version: int = 1
    checks: tuple[Check, ...] = ()
    row_count: Check | None = None
    chain: Chain | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @cached_property
    def column_names(self) -> list[str]:
        return [c.name for c in self.columns]

    @cached_property
    def told_columns(self) -> list[str]:
        """What the vendor tells: all columns but those that are made of its answer."""
        source = self.tushare
        made = {source.numbered, self.date_column if source.last_known else None}
        return [name for name in self.column_names if name not in made]

    def __getitem__(self, column: str) -> Column:
        return next(c for c in self.columns if c.name == column)

    @property
    def tushare(self) -> Source:
        """The source of a table that is fetched. Raises `LookupError` for a computed one."""
        if self.source is None:
            raise LookupError(f"{self.name} is computed from other tables, not fetched")
        return self.source

    def repeated_keys(self, data: pa.Table) -> list[str]:
        """The keys that occur more than once in `data`, as text; empty when all is well."""
        # One thread is a quarter of the work for a day of the market, and takes no longer.
        keys = data.group_by(list(self.key), use_threads=False)
        counted = keys.aggregate([([], "count_all")])
        repeated = counted.filter(pc.greater(counted["count_all"], 1)).select(list(self.key))
        return [" ".join(map(str, row.values())) for row in repeated.to_pylist()]

    @property
    def description(self) -> str:
        """Both languages, the key and the source, as shown in the UI and in the catalog."""
        source = ""
        if self.source:
            source = f" Source: Tushare `{self.source.call}`, from {self.source.points:,} points."
        return f"{self.doc} Key: {', '.join(self.key)}.{source}\n\n{self.doc_zh}"


YUAN = "yuan"
SHARES = "股, shares"
# Nothing is reckoned with what carries it.
UNIT_NOT_DOCUMENTED = "as the vendor tells it, who documents no unit"
LOTS = "手, 100 shares"
THOUSAND_YUAN = "千元, 1,000 yuan"
TEN_THOUSAND_SHARES = "万股, 10,000 shares"
TEN_THOUSAND_YUAN = "万元, 10,000 yuan"
PERCENT = "%"


def text(name: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.string(), "", doc, doc_zh, nullable)


def day(name: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.date32(), "", doc, doc_zh, nullable)


def moment(name: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.timestamp("us", "UTC"), "", doc, doc_zh, nullable)


def count(name: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.int32(), "", doc, doc_zh, nullable)


def number(name: str, unit: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.float64(), unit, doc, doc_zh, nullable)
