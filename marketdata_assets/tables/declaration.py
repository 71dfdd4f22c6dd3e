"""What a declaration is made of: columns, sources, tables, units, and checks with what follows.

Here belong the words that the other modules of this folder declare tables with, and checks that
several tables share: of an answer, of the number of its rows, and of every kind of daily bar. What
holds of one table alone stands there.

Units are the vendor's (Tushare Pro documentation of each call): 手 is 100 shares, 千元 a thousand
yuan, 万股 ten thousand shares, 万元 ten thousand yuan.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.trading_calendar import FIRST_SESSION, SHANGHAI, next_session

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


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    unit: str
    doc: str
    doc_zh: str
    nullable: bool = True

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
    """What a dataset is, by default a row a share and trading day.

    Its partitions are the days of its `date_column`, or the codes of its `code_column`.

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
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ("trade_date", "ts_code")
    date_column: str | None = "trade_date"
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
        # Of one day a code is mostly a key, which is seen in a fifth of the time.
        if any(pc.count_distinct(data[name], "all").as_py() == len(data) for name in self.key):
            return []
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


def flag(name: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.bool_(), "", doc, doc_zh, nullable)


def number(name: str, unit: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.float64(), unit, doc, doc_zh, nullable)


# Of what is not a bar: a few odd rows speak for themselves, fifty in a table of thousands do not.
MANY_ROWS = Mass(0.02, 50)
ANY_ROW = Mass(0.0, 1)


def of_the_answer(name: str, doc: str, doc_zh: str, mass: Mass = ANY_ROW) -> Check:
    """A check of an answer as a whole, which is not asked row by row: others say how it went."""
    return Check(name, doc, doc_zh, "false", (), Outcome.REFUSED, mass)


ANSWER = of_the_answer(
    "answer",
    "The answer is what was asked for: whole, of that day, with every column. This can't be "
    "excused.",
    "返回的数据与所请求的一致：完整、日期正确、字段齐全。",
)


def row_count(lost: Mass, why: str = "", why_zh: str = "") -> Check:
    """The check of how many rows a day may have less than the session before (`rows_lost`)."""
    return of_the_answer(
        "row_count",
        f"The day has as many rows as the session before, but for a few{why}.",
        f"当日行数不少于上一交易日（允许少量减少{why_zh}）。",
        lost,
    )


PRICES = ("open", "high", "low", "close", "pre_close")
# On real sessions hardly a row is wrong: an answer that has lost a unit or a column has thousands.
MANY_BARS = Mass(0.01, 20)


def values_present(others: tuple[str, ...]) -> tuple[Check, Check]:
    """A close in every bar, and the `others`, which a bar may lack for a good reason of its own."""
    return (
        Check(
            "close_present",
            "Every bar has a close. It has none either where the vendor's rows contradict each "
            "other.",
            "每条日线都有收盘价；供应商同一主键多行相互矛盾时亦视为缺失。",
            "close IS NULL",
            ("open", "high", "low", "pre_close", "vol", "amount"),
            outcome=Outcome.HELD,
            mass=MANY_BARS,
        ),
        Check(
            "values_present",
            "What a bar tells besides its close is there.",
            "日线除收盘价外的各字段齐全。",
            f"close IS NOT NULL AND ({' OR '.join(f'{name} IS NULL' for name in others)})",
            others,
            mass=Mass(0.05, 50),
        ),
    )


def units(rounding_of_mean_price: str) -> Check:
    """vol in 手 and amount in 千元, up to what their rounding can move the mean price (in SQL)."""
    return Check(
        "units",
        "amount × 10 / vol, the mean price, lies between low and high: vol is in 手 and amount in "
        "千元.",
        "成交额×10/成交量（均价）在最低与最高价之间，证明单位为手与千元。",
        f"vol > 0 AND (amount * 10 / vol < low - ({rounding_of_mean_price}) "
        f"OR amount * 10 / vol > high + ({rounding_of_mean_price}))",
        ("low", "high", "vol", "amount"),
        outcome=Outcome.HELD,
        mass=MANY_BARS,
    )
