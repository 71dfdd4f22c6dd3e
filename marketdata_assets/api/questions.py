"""The parameters and bodies of questions, as the OpenAPI document shows them.

Here belongs how they are written. Which columns and combinations there are is `serving.queries`.
"""

import datetime as dt
import difflib
import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from marketdata_assets.api.api_settings import Limits
from marketdata_assets.instruments import Kind
from marketdata_assets.serving.bars import Frequency
from marketdata_assets.serving.queries import Adjust, CalendarDay, Encoding, ExportQuery, Format
from marketdata_assets.tables.declaration import Outcome
from marketdata_assets.trading_calendar import SHANGHAI, day_written

# What other services call our parameters.
ELSEWHERE = {
    "adj": "adjust",
    "start_date": "start",
    "end_date": "end",
    "symbol": "code",
    "ts_code": "code",
    "trade_date": "date",
    "columns": "fields",
    "fields": "columns",
    "symbols": "codes",
    "ts_codes": "codes",
    "query": "q",
    "freq": "frequency",
    "period": "frequency",
    "interval": "frequency",
    "adjustflag": "adjust",
    "autype": "adjust",
}
LONGEST_CODE = 40
LONGEST_FIELDS = 1_000


def _nothing_if_empty(value: Any) -> Any:
    return (value.strip() or None) if isinstance(value, str) else value


def _is_day(value: Any) -> Any:
    if isinstance(value, dt.date) or value is None:
        return value
    try:
        return day_written(value if isinstance(value, str) else "")
    except ValueError as error:
        raise PydanticCustomError("bad_date", "{how}", {"how": str(error)}) from None


def _is_there(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("missing", "Field required")
    return value


def _is_moment(value: Any) -> Any:
    """A moment as text; in a URL a plus sign that was not encoded has become a space."""
    if isinstance(value, str) and value.strip():
        text = re.sub(r" (?=\d\d:?\d\d$)", "+", value.strip())
        if not re.match(r"\d{4}-\d\d-\d\d[T ]", text, re.ASCII):
            raise ValueError("write a moment with its time zone, like 2024-10-15T21:00:00+08:00")
        return text
    return _nothing_if_empty(value)


def _in_capitals(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _as_one_text(value: Any) -> Any:
    """A list of columns as the text that it is in a URL."""
    is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return ",".join(value) if is_list else value


def _split(value: Any) -> Any:
    return list(names_in(value)) if isinstance(value, str) else value


def names_in(value: str | None) -> tuple[str, ...]:
    """What is separated by commas or blanks; nothing where nothing was written."""
    return tuple(filter(None, re.split(r"[,\s]+", value or "")))


Day = Annotated[
    dt.date | None,
    BeforeValidator(_is_day),
    BeforeValidator(_nothing_if_empty),
    WithJsonSchema({"type": "string", "format": "date"}),
]
RequiredDay = Annotated[
    CalendarDay,
    BeforeValidator(_is_day),
    BeforeValidator(_is_there),
    WithJsonSchema({"type": "string", "format": "date"}),
]
Code = Annotated[
    str,
    BeforeValidator(_is_there),
    AfterValidator(str.strip),
    Field(max_length=LONGEST_CODE, description="600000.SH, HSI, BTC, …", examples=["600000.SH"]),
]
Fields = Annotated[
    str | None,
    Field(
        max_length=LONGEST_FIELDS, description="columns, separated by commas; date is always there"
    ),
]
Moment = Annotated[
    AwareDatetime | None,
    BeforeValidator(_is_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Wait = Annotated[
    float | None,
    Field(
        ge=0,
        le=Limits.longest_wait,
        description="seconds to wait for what is not stored yet, 25 where not given",
    ),
]


class Filed(BaseModel):
    """In which form an answer is wanted."""

    format: Format = Format.JSON
    encoding: Encoding = Field(
        Encoding.UTF_8, description="of CSV: utf-8-sig for Excel, which then reads Chinese"
    )

    @model_validator(mode="after")
    def _is_of_csv(self) -> Self:
        if self.encoding is not Encoding.UTF_8 and self.format is not Format.CSV:
            raise ValueError(f"encoding={self.encoding} belongs to format=csv alone")
        return self


class Question(BaseModel):
    """Who asks for what there is not is told so: an answer to less would pass for one to it."""

    @model_validator(mode="before")
    @classmethod
    def _is_known(cls, asked: Any) -> Any:
        # What is no object at all, pydantic says itself.
        for name in asked if isinstance(asked, dict) else ():
            if name not in cls.model_fields:
                raise PydanticCustomError("unknown", "{told}", {"told": cls._told(name)})
        return asked

    @classmethod
    def _told(cls, name: str) -> str:
        known = list(cls.model_fields)
        meant = ELSEWHERE.get(name.lower())
        if meant not in known:
            meant = next(iter(difflib.get_close_matches(name.lower(), known, 1)), None)
        hint = f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
        return f"No such parameter: {name}; {hint}"


class Days(Question):
    """From `start` to `end`, both included: by default the 90 days up to `end`, and today."""

    default_days: ClassVar[int] = 90

    start: Day = Field(None, description="first day; 90 days before the end where not given")
    end: Day = Field(None, description="last day; today where not given")

    def days(self) -> tuple[dt.date, dt.date]:
        end = self.end or dt.datetime.now(SHANGHAI).date()
        return self.start or dt.date.fromordinal(max(1, end.toordinal() - self.default_days)), end

    def refuse_reversed(self) -> None:
        start, end = self.days()
        if start > end:
            raise ValueError(f"start {start} lies after end {end}")


class Range(Days):
    strict: bool = Field(
        False, description="an error, 409, where sessions of the range were never stored"
    )


class AssetTypeQuestion(Question):
    code: Code


class PricesQuestion(Filed, Range):
    """What may be asked of the prices of one code as of many."""

    fields: Fields = None
    adjust: Adjust = Field(
        Adjust.NONE,
        description="qfq 前复权, hfq 后复权; A-shares, funds, main contracts of futures by the "
        "ratio at each change of contract: qfq keeps the newest prices, hfq the oldest",
    )
    anchor: Day = Field(None, description="day in whose money qfq prices are; the last one stored")
    as_of: Moment = Field(None, description="as it was known at a moment, with a time zone")
    frequency: Annotated[Frequency, BeforeValidator(_in_capitals)] = Field(
        Frequency.DAY,
        description="D, W or M: bars of days, trading weeks or months, 日/周/月线; adjusted before "
        "they are put together. The first one is whole, the last one ends at end; where its days "
        "are not over, its date is told as unfinished",
    )


class OhlcvQuestion(PricesQuestion):
    code: Code
    nocache: bool = Field(
        False,
        description="have the history of this code fetched again first; what the "
        "evening's run keeps, shares and funds, is answered as it is",
    )
    wait: Wait = None


class NavQuestion(Range):
    code: Code


class BatchQuestion(PricesQuestion):
    """Of a file `code` is the first column, and codes without an answer are in X-Missing-Codes."""

    codes: list[Annotated[str, Field(max_length=LONGEST_CODE)]] = Field(
        examples=[["000300.SH", "NDX"]]
    )
    fields: Annotated[Fields, BeforeValidator(_as_one_text)] = None
    wait: Annotated[
        float | None,
        Field(
            ge=0,
            le=Limits.longest_wait,
            description="seconds to wait for codes that are not stored yet, none where not given",
        ),
    ] = None


class BatchInUrl(BatchQuestion):
    """The same question in a URL."""

    codes: Annotated[
        list[Annotated[str, Field(max_length=LONGEST_CODE)]],
        BeforeValidator(_split),
        BeforeValidator(_is_there),
        WithJsonSchema({"type": "string", "description": "codes, separated by commas"}),
    ] = Field(examples=["000300.SH,NDX"])


class ExportQuestion(ExportQuery, Question):
    pass


class CrossSectionQuestion(Filed, Question):
    date: RequiredDay
    kind: Kind = Field(Kind.A_SHARE, description="a_share or china_etf")
    fields: Fields = None


class TableRowsQuestion(Filed, Range):
    date: Day = Field(None, description="one trading day, in place of a range")
    code: Annotated[
        Annotated[str, Field(max_length=LONGEST_CODE)] | None,
        BeforeValidator(_nothing_if_empty),
        Field(
            description="rows of this code alone; needed with a range. Where a row is of an index "
            "and of a share, of either",
            examples=["600000.SH"],
        ),
    ] = None
    fields: Annotated[
        str | None,
        Field(
            max_length=LONGEST_FIELDS,
            description="columns as /api/v1/tables lists them, separated by commas; those of the "
            "key are always there",
        ),
    ] = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.date and (self.start or self.end):
            raise ValueError("ask for a date, or for a range from start to end, not for both")
        if not self.date and not self.code:
            raise ValueError("ask for a date, or for a code and a range from start to end")
        self.refuse_reversed()
        return self


class FindingsQuestion(Question):
    date: Day = Field(None, description="trading day; the last one stored where not given")
    since: Day = Field(None, description="findings of all days from this one on, not of one alone")
    code: Annotated[str, Field(max_length=LONGEST_CODE)] = ""
    outcome: Outcome | None = Field(None, description="of this outcome alone")
    limit: int = Field(1_000, ge=1, le=10_000)


class YearOfDays(Days):
    """From `start` to `end`, both included: by default the year up to `end`, and today."""

    default_days: ClassVar[int] = 365

    start: Day = Field(None, description="first day; a year before the end where not given")

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        self.refuse_reversed()
        return self


class MarksQuestion(YearOfDays):
    code: Code


class MarketQuestion(YearOfDays):
    date: Day = Field(None, description="one day with its movers, in place of a range")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.date and (self.start or self.end):
            raise ValueError("ask for a date, or for a range from start to end, not for both")
        return self


class CoverageQuestion(MarketQuestion):
    date: Day = Field(None, description="one day of one table in detail, in place of a range")
    table: str = Field(
        "",
        max_length=LONGEST_FIELDS,
        description="tables as /api/v1/tables lists them, separated by commas; all that are "
        "stored where not given, one alone with a date",
    )

    @model_validator(mode="after")
    def _is_one_table(self) -> Self:
        if self.date and len(names_in(self.table)) != 1:
            raise ValueError("a date is told of one table: name it as table")
        return self


class InstrumentsQuestion(Question):
    q: str = Field(
        "",
        max_length=LONGEST_CODE,
        description="a part of the code, of the name, or of its initials in pinyin",
    )
    limit: int = Field(50, ge=1, le=20_000)
