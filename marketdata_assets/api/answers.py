"""The shapes of JSON answers, for the OpenAPI document.

Here belongs what clients may rely on, beside the forms of `serving` that are answered as they are.
Rows are written as text by `encoding`, never through these.
"""

import datetime as dt
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from marketdata_assets.serving.coverage_by_day import DayOfTable, LedgerOfDay
from marketdata_assets.serving.instrument_list import Listed
from marketdata_assets.serving.market_days import MarketDay
from marketdata_assets.serving.marks import Mark
from marketdata_assets.storage.finding_list import FindingLine

Row = dict[str, str | float | int | bool | None]


class ErrorAnswer(BaseModel):
    """Any error; more may stand beside its text."""

    model_config = ConfigDict(extra="allow")

    error: str


MissingSessions = Annotated[
    list[dt.date] | None,
    Field(
        description="sessions of the range, from the first stored day to the last that is over, "
        "that were never stored; null for what is not stored by day"
    ),
]
RenamedFrom = Annotated[
    str | None,
    Field(description="the former code that was asked for; `code` is the share's present one"),
]
Stale = Annotated[
    dt.date | None,
    Field(
        description="of what is stored by code: its last day, where it ends more than a few "
        "sessions before the last one that is over; null where it does not"
    ),
]


class DateRange(BaseModel):
    start: dt.date | None
    end: dt.date | None


class Rows(BaseModel):
    """Rows by date; a column may be missing from a row never, its value may be null."""

    data: list[Row]
    count: int
    columns: list[str]
    date_range: DateRange


class OhlcvAnswer(Rows):
    """Prices and turnover in `currency`, volume in `volume_unit`, unadjusted unless asked."""

    code: str
    renamed_from: RenamedFrom
    asset_type: str
    requested_range: DateRange
    available_range: DateRange
    cached: bool
    adjust: str
    frequency: str
    unfinished: Annotated[
        dt.date | None,
        Field(description="the date of a last bar whose week or month has days to come"),
    ]
    currency: str
    volume_unit: str
    source: str
    stored_at: dt.datetime
    missing_sessions: MissingSessions
    stale: Stale
    note: Annotated[str | None, Field(description="that no day of the range trades")]


class RequestedAnswer(BaseModel):
    """Not stored yet; `status_url` tells when it is."""

    code: str
    asset_type: str
    status: str
    message: str
    request_id: str
    status_url: str


class BatchAnswer(BaseModel):
    """Keyed by the codes as they were asked; one that failed has an `error` and no rows."""

    results: dict[str, dict[str, Any]]
    success_count: int
    failed_count: int
    total: int
    start: dt.date
    end: dt.date


class PremiumOfDay(BaseModel):
    date: dt.date
    premium: float


class DayWithoutPremium(BaseModel):
    """A day that has a price and no premium, and why."""

    date: dt.date
    reason: str


class PremiumStatistics(BaseModel):
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    median: float | None


class NavAnswer(BaseModel):
    """Premiums are ratios: 0.05 is 5 %."""

    code: str
    source: str
    available_range: DateRange
    missing_sessions: MissingSessions
    stale: Stale
    price: Rows
    nav: Rows
    without_premium: list[DayWithoutPremium]
    premium_series: list[PremiumOfDay]
    latest_premium: float | None
    premium_date: dt.date | None
    premium_stats: PremiumStatistics


class CrossSectionAnswer(BaseModel):
    date: dt.date
    kind: str
    data: list[Row]
    count: int
    columns: list[str]
    source: str
    stored_at: dt.datetime


class TableRowsAnswer(BaseModel):
    """Rows as stored, in the order of the table's key; units are those of /api/v1/tables.

    Of a range `missing_sessions` were never stored. `stored_at` is that of the newest day.
    """

    table: str
    code: str | None
    renamed_from: RenamedFrom
    start: dt.date
    end: dt.date
    data: list[Row]
    count: int
    columns: list[str]
    missing_sessions: list[dt.date]
    stored_at: dt.datetime | None


class FindingsAnswer(BaseModel):
    date: dt.date
    findings: list[FindingLine]
    count: int


class MoversAnswer(BaseModel):
    """At most 15 shares each; `quote_rate` is in per cent, `turnover` in yuan."""

    up: list[Row]
    down: list[Row]
    turnover: list[Row]


class MarketAnswer(BaseModel):
    """The stored days of the range, but for `unreadable` ones; `movers` of a `date` alone."""

    days: list[MarketDay]
    unreadable: list[dt.date]
    movers: MoversAnswer | None


class CoverageTableAnswer(BaseModel):
    """A table and its sessions that are over, from the first day that is stored of any table."""

    name: str
    doc: str
    doc_zh: str
    days: list[DayOfTable]


class CoverageAnswer(BaseModel):
    """`tables` of a range, `day` of a date; `first_day` is the first that is stored at all."""

    first_day: dt.date | None
    tables: list[CoverageTableAnswer]
    day: LedgerOfDay | None


class MarksAnswer(BaseModel):
    code: str
    marks: list[Mark]
    count: int


class AssetTypeAnswer(BaseModel):
    code: str
    asset_type: str
    description: str
    description_zh: str
    canonical_code: str
    renamed_from: RenamedFrom
    currency: str
    volume_unit: str


class InstrumentsAnswer(BaseModel):
    instruments: list[Listed]
    count: int


class ColumnAnswer(BaseModel):
    name: str
    type: str
    unit: str
    doc: str
    doc_zh: str
    nullable: bool


class TableAnswer(BaseModel):
    name: str
    doc: str
    doc_zh: str
    key: list[str]
    partitioned_by: str | None
    first_date: dt.date
    columns: list[ColumnAnswer]


class TablesAnswer(BaseModel):
    tables: list[TableAnswer]
    count: int


class LruAnswer(BaseModel):
    hits: int
    misses: int
    maxsize: int
    currsize: int


class CacheAnswer(BaseModel):
    """Histories by code that are kept in memory, each until its file changes."""

    lru_cache: LruAnswer
    ttl_cache_size: int
    ttl_seconds: int | None
    default_start_date: dt.date
    cache_strategy: str
    bytes: int
    max_bytes: int


class ClearedAnswer(BaseModel):
    message: str
    before: CacheAnswer
    after: CacheAnswer


class HealthAnswer(BaseModel):
    status: str
    timestamp: dt.datetime
    ssh_configured: bool


class ServedTable(BaseModel):
    """The newest generation of a table's copy by code, and the last day in it."""

    generation: int
    last_day: dt.date


class ReadyAnswer(BaseModel):
    status: str
    tables: dict[str, ServedTable]


class IndexAnswer(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    version: str
    description: str
    origin: str
    endpoints: dict[str, str]
    supported_assets: dict[str, list[str]]
    cache_config: CacheAnswer
    ssh_status: str


class RequestAnswer(BaseModel):
    """`status` is queued, running, done, failed or expired."""

    id: str
    kind: str
    status: str
    code: str | None
    error: str | None
    created_at: dt.datetime
    finished_at: dt.datetime | None


class ExportAnswer(BaseModel):
    """`status` is queued, running, done, failed or expired; a file lasts until `expires_at`.

    `missing_sessions` are those that were never stored and one of the codes at least should have;
    null before the file is done, and where everything is stored by code. `renamed_from` has the
    former codes that were asked for by the present ones, `stale` the last days of codes that are
    stored by code and end early, `unfinished` the dates of last bars of weeks or months that have
    days to come, `missing_codes` those without rows, and why; null before the file
    is done.
    """

    id: str
    status: str
    error: str | None
    rows: int | None
    missing_sessions: list[dt.date] | None
    renamed_from: dict[str, str] | None
    stale: dict[str, dt.date] | None
    unfinished: dict[str, dt.date] | None
    missing_codes: dict[str, str] | None
    created_at: dt.datetime
    finished_at: dt.datetime | None
    expires_at: dt.datetime | None
    status_url: str
    file_url: str | None
