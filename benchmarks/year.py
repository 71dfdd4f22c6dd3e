"""A year of the daily chain from the sandbox, and one more day beside the original pipeline's way.

The yardstick is what the original pipeline does with one CSV: every evening the file is read into
pandas, the day is concatenated, and all of it is written again. (Its download and upload of the
file are left out, in its favour.)
"""

import datetime as dt
import os
import tempfile
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd

from benchmarks.measuring import console, in_own_process, show
from marketdata_assets import environment
from marketdata_assets.automation.chains import STOCKS
from marketdata_assets.definitions import build_definitions
from marketdata_assets.dev import HEAPS
from marketdata_assets.partitions import BACKFILL_POLICY
from marketdata_assets.storage.dagster_sqlite import EventLog, Runs
from marketdata_assets.trading_calendar import sessions_between

YEAR = sessions_between(dt.date(2024, 1, 1), dt.date(2024, 12, 31))
# All but the publication.
MADE = STOCKS.assets[:-1]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialize(root: str, days: list[dt.date]) -> None:
    """Run the chain over `days` as a backfill does: range after range, history on disk."""
    definitions = build_definitions(environment.resources({"MARKETDATA_HOME": root}))
    size = BACKFILL_POLICY.max_partitions_per_run
    assert size
    with instance_of(Path(root, "dagster")) as instance:
        for start in range(0, len(days), size):
            part = days[start : start + size]
            definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                run_config=QUIET,
                asset_selection=[asset.key for asset in MADE],
                instance=instance,
                tags={
                    "dagster/asset_partition_range_start": part[0].isoformat(),
                    "dagster/asset_partition_range_end": part[-1].isoformat(),
                },
            )


def instance_of(home: Path) -> dg.DagsterInstance:
    """An instance that keeps its history as a world does."""
    home.mkdir(exist_ok=True)
    kept_in = {
        name: {
            "module": kind.__module__,
            "class": kind.__name__,
            "config": {"base_dir": str(home / "history" / folder)},
        }
        for name, kind, folder in (
            ("run_storage", Runs, ""),
            ("event_log_storage", EventLog, "runs"),
        )
    }
    return dg.DagsterInstance.local_temp(str(home), overrides=kept_in)


def export_csv(root: str, day: dt.date, everything: str, one_day: str) -> int:
    """The year before `day` as the original's CSV, and `day` alone; rows in both."""
    with duckdb.connect(f"{root}/sandbox/catalog.duckdb", read_only=True) as connection:
        connection.execute("SET enable_progress_bar = false")
        for path, condition in ((everything, "date < ?"), (one_day, "date = ?")):
            query = f"SELECT * FROM daily_prices WHERE {condition} ORDER BY date, code"
            connection.execute(f"COPY ({query}) TO '{path}' (HEADER)", [day])
        [[rows]] = connection.execute("SELECT count(*) FROM daily_prices").fetchall()
    return int(rows)


def rewrite_csv(everything: str, one_day: str) -> None:
    """The original's evening: read all, add the day, write all."""
    whole = pd.concat([pd.read_csv(everything), pd.read_csv(one_day)])
    whole.to_csv(everything, index=False)


def main() -> None:
    os.environ.update(HEAPS)
    with tempfile.TemporaryDirectory() as root:
        console.print(f"materializing {len(YEAR)} days of {len(MADE)} assets …")
        year = in_own_process(materialize, root, YEAR[:-1])
        evening = in_own_process(materialize, root, YEAR[-1:])
        lake = sum(file.stat().st_size for file in Path(root, "sandbox", "lake").rglob("*.parquet"))
        everything, one_day = f"{root}/all-prices.csv", f"{root}/day.csv"
        rows = in_own_process(export_csv, root, YEAR[-1], everything, one_day).result
        csv = Path(everything).stat().st_size
        original = in_own_process(rewrite_csv, everything, one_day)
    partitions = len(MADE) * (len(YEAR) - 1)
    show(
        f"a year from the sandbox: {partitions} partitions, {rows:,} merged rows",
        ("seconds", "partitions/s", "peak MB", "lake MB"),
        [
            (
                f"{year.seconds:.0f}",
                f"{partitions / year.seconds:.1f}",
                f"{year.peak_megabytes:.0f}",
                f"{lake / 1e6:.0f}",
            )
        ],
    )
    show(
        f"one more day onto a year ({csv / 1e6:.0f} MB as CSV)",
        ("", "seconds", "peak MB", "ratio"),
        [
            (
                f"this platform: {len(MADE)} assets, fetched, merged, recorded",
                f"{evening.seconds:.1f}",
                f"{evening.peak_megabytes:.0f}",
                "1.0",
            ),
            (
                "the original's way: one CSV, read and written again",
                f"{original.seconds:.1f}",
                f"{original.peak_megabytes:.0f}",
                f"{original.seconds / evening.seconds:.1f}",
            ),
        ],
    )


if __name__ == "__main__":
    main()
