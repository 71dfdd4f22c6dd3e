"""What is counted in every year before it is published, and what forbids publishing it."""

import datetime as dt
from pathlib import Path

from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.reading import rows_of
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between

TEXTS = [c.name for c in DAILY_PRICES.columns if str(c.type) == "string"]
# Forbidden because a day is found in the CSV by its lines.
LINE_BREAKS = "rows with a line break in a text"
# Each counts rows; the names are read by people, in the manifest.
COUNTED = {
    "rows without limits": "high_limit IS NULL AND low_limit IS NULL",
    "rows without indicators": "total_mv IS NULL AND turnover_rate IS NULL",
    "rows without name": "name IS NULL",
    "prices outside low and high": (
        "open NOT BETWEEN low AND high OR close NOT BETWEEN low AND high"
    ),
    "closes outside their limits": "close NOT BETWEEN low_limit AND high_limit",
    LINE_BREAKS: " OR ".join(rf"""regexp_matches("{name}", '[\r\n]')""" for name in TEXTS),
}
REPEATED = "rows repeated"
NOT_A_SESSION = "rows on days without trading"
FORBIDDEN = (REPEATED, LINE_BREAKS)


class NotFitToPublish(MarketdataError, is_final=True):
    """Rows that would make the dataset wrong."""


def counted_checks(shard: Path, year: int) -> dict[str, int]:
    """How many rows of the shard break each check. Raises `NotFitToPublish` for a forbidden one."""
    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in COUNTED.values())
    sessions = sessions_between(dt.date(year, 1, 1), dt.date(year, 12, 31))
    with bounded_duckdb() as connection:
        rows = rows_of(connection, DAILY_PRICES, [shard])
        [numbers] = rows.aggregate(counts).fetchall()
        [[repeated]] = (
            rows.aggregate("date, code, count(*) AS n").aggregate("sum(n - 1)").fetchall()
        )
        by_day = dict(rows.aggregate("date, count(*)").fetchall())
    checks = {name: int(number) for name, number in zip(COUNTED, numbers, strict=True)}
    checks[REPEATED] = int(repeated or 0)
    checks[NOT_A_SESSION] = sum(n for day, n in by_day.items() if day not in set(sessions))
    if broken := [f"{checks[name]} {name}" for name in FORBIDDEN if checks[name]]:
        raise NotFitToPublish(
            f"the prices of {year} are not fit to publish: {', '.join(broken)}. Materialize "
            "daily_prices of this year again; if it was published so, restore an older revision."
        )
    return checks
