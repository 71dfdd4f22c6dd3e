"""The files of the published repository, by name, and what of them can be chosen."""

from dataclasses import dataclass

from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.tables.daily_prices import ORIGINAL_COLUMNS

CSV = "all-prices.csv"
CALENDAR_CSV = "calendar.csv"
CALENDAR = "meta/calendar.parquet"
MARKER = ".last_update_date"
MANIFEST = "manifest.json"
CARD = "README.md"
SHARDS = "data/*.parquet"
PRICES = "data/prices-*.parquet"
SUSPENDED = "data/suspended-*.parquet"
FINDINGS = "meta/findings-<year>.parquet"
MAIN_BOARD = "主板"


def shard(year: int) -> str:
    return PRICES.replace("*", str(year))


def is_shard(path: str) -> bool:
    return path.startswith(PRICES.partition("*")[0])


def suspended(year: int) -> str:
    return SUSPENDED.replace("*", str(year))


def is_suspended(path: str) -> bool:
    return path.startswith(SUSPENDED.partition("*")[0])


def findings(year: int) -> str:
    return FINDINGS.replace("<year>", str(year))


def is_findings(path: str) -> bool:
    return path.startswith(FINDINGS.partition("<")[0])


@dataclass(frozen=True)
class Choices:
    """What a dataset may choose: the universe of its CSV (a board, "" is all), or no CSV.

    The CSV has the columns that it has always had, for who reads them by position, or all of them.
    """

    universe: str = MAIN_BOARD
    csv: bool = True
    csv_all_columns: bool = False

    @property
    def csv_columns(self) -> tuple[str, ...]:
        return tuple(DAILY_PRICES.column_names) if self.csv_all_columns else ORIGINAL_COLUMNS
