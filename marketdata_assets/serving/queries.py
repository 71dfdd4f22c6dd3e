"""What may be asked, and how much of it: ranges of codes, and exports of them.

Here belong the forms of questions and their limits. A question that passed is well formed: codes
are canonical, columns exist somewhere, days are in order. Whether there is an
answer is `price_reader`.
"""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from marketdata_assets.instruments import identify
from marketdata_assets.serving.bars import Frequency, beginning, refuse_daily_columns
from marketdata_assets.serving.ohlcv_view import OHLCV, known_columns
from marketdata_assets.tables import STORED_TABLES, Table
from marketdata_assets.trading_calendar import FIRST_SESSION, HOW, SHANGHAI, day_written

MOST_CODES = 500
MOST_CODES_AS_OF = 50
MOST_COLUMNS = 64
EARLIEST_YEAR = 1990


class Adjust(StrEnum):
    """Prices as they were traded, forward (qfq, 前复权) or backward (hfq, 后复权) adjusted."""

    NONE = "none"
    QFQ = "qfq"
    HFQ = "hfq"


class Format(StrEnum):
    """The forms of an answer; a file's ending is the same word."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


class Encoding(StrEnum):
    """How text is written; with a mark in front, utf-8-sig, Excel takes Chinese for what it is."""

    UTF_8 = "utf-8"
    UTF_8_SIG = "utf-8-sig"


FileFormat = Literal["parquet", "csv", "arrow"]


def _calendar_day(value: Any) -> Any:
    # pydantic would also take a number of seconds for a day.
    if isinstance(value, str):
        return day_written(value)
    if value is None or (isinstance(value, dt.date) and not isinstance(value, dt.datetime)):
        return value
    raise ValueError(HOW)


def _canonical_codes(codes: list[str]) -> list[str]:
    return list(dict.fromkeys(identify(code).code for code in codes))


def _present_or_former_codes(codes: list[str]) -> list[str]:
    """Every share once; one that was asked for under a former code keeps that."""
    asked: dict[str, str] = {}
    for one in map(identify, codes):
        asked.setdefault(one.code, one.renamed_from or one.code)
    return list(asked.values())


def _existing_columns(columns: list[str]) -> list[str]:
    if unknown := [name for name in columns if name not in known_columns()]:
        elsewhere = "".join(
            f"{name} is in the table {table.name}; "
            for name in unknown
            if (table := _table_with(name)) is not None
        )
        raise ValueError(
            f"no prices have a column {', '.join(unknown)}; {elsewhere}"
            f"there are {', '.join(known_columns())}"
        )
    return list(dict.fromkeys(columns))


def _table_with(column: str) -> Table | None:
    tables = (table for table in STORED_TABLES.values() if column in table.column_names)
    return next(tables, None)


CalendarDay = Annotated[dt.date, BeforeValidator(_calendar_day)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=40)]
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Range(NamedTuple):
    """What is asked of every code of a query; `RangeQuery` says what it means."""

    start: dt.date | None
    end: dt.date | None
    columns: Sequence[str]
    adjust: Adjust
    anchor: dt.date | None
    frequency: Frequency = Frequency.DAY

    def of_days(self) -> "Range":
        """The days that its bars are made of, from the beginning of the first bar on.

        Raises `NotInBars` for columns that bars don't have.
        """
        if self.frequency is Frequency.DAY:
            return self
        refuse_daily_columns(self.frequency, self.columns)
        start = self.start and beginning(self.frequency, self.start)
        return self._replace(start=start, columns=list(dict.fromkeys([*self.columns, "date"])))


class RangeQuery(BaseModel):
    """Rows of some codes from `start` to `end`, both included and both open where not given.

    `columns` are canonical ones or those of the stored tables, by default OHLCV. `anchor` is the
    day in whose money qfq prices are, by default the last one that is stored. `as_of` asks for
    what was known at a moment. The first bar of a week or a month is whole, with days before
    `start`; the last one ends at `end`. Raises `pydantic.ValidationError`, and `NotInBars`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    codes: Annotated[list[Code], Field(max_length=MOST_CODES), AfterValidator(_canonical_codes)]
    start: CalendarDay | None = None
    end: CalendarDay | None = None
    columns: Annotated[
        list[ColumnName],
        Field(min_length=1, max_length=MOST_COLUMNS),
        AfterValidator(_existing_columns),
    ] = list(OHLCV)
    adjust: Adjust = Adjust.NONE
    anchor: CalendarDay | None = None
    as_of: AwareDatetime | None = None
    frequency: Frequency = Frequency.DAY

    @property
    def range(self) -> Range:
        return Range(self.start, self.end, self.columns, self.adjust, self.anchor, self.frequency)

    @model_validator(mode="after")
    def _fits_together(self) -> "RangeQuery":
        if self.start and self.end and self.start > self.end:
            raise ValueError(f"start {self.start} lies after end {self.end}")
        if self.anchor and self.adjust is not Adjust.QFQ:
            raise ValueError("an anchor belongs to adjust=qfq alone")
        today = dt.datetime.now(SHANGHAI).date()
        if self.anchor and not FIRST_SESSION <= self.anchor <= today:
            raise ValueError(f"an anchor may be from {FIRST_SESSION} to today, {today}")
        if self.as_of and self.as_of.year < EARLIEST_YEAR:
            raise ValueError(f"nothing was known before {EARLIEST_YEAR}")
        if self.as_of and len(self.codes) > MOST_CODES_AS_OF:
            raise ValueError(
                f"{len(self.codes)} codes are too many for as_of, which takes up to "
                f"{MOST_CODES_AS_OF}: the day files of that moment are read one by one"
            )
        if self.as_of and self.as_of > dt.datetime.now(dt.UTC):
            raise ValueError(f"as_of {self.as_of} lies in the future")
        refuse_daily_columns(self.frequency, self.columns)
        return self


class ExportQuery(RangeQuery):
    """A range as a file to download; with `strict` there is none that lacks sessions.

    A former code stays one, so that the export can say so.
    """

    codes: Annotated[
        list[Code],
        Field(min_length=1, max_length=MOST_CODES),
        AfterValidator(_present_or_former_codes),
    ]
    format: FileFormat = "parquet"
    strict: bool = False
