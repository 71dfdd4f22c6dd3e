"""What grows with history: the evening, every tick, the catalog, what is read, what opens.

One world grows backwards, to 1, 5, 10 and 21 years of stored days and partitions. Its last days
are made by the chain from the sandbox; those before are a few shares, and in the run history what
is left of a backfill after two weeks. CPU seconds of processes of their own, so that a busy machine
changes little; of the UI seconds by the clock, over a copy of the world. Publication is left out.

BENCH_GROWTH_YEARS names other sizes.
"""

import datetime as dt
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
from dagster import DagsterEventType
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from benchmarks.measuring import console, in_own_process, show
from benchmarks.year import instance_of, materialize
from marketdata_assets.automation.chains import STOCKS
from marketdata_assets.automation.evenings import missing_days
from marketdata_assets.automation.series_sensor import refreshes_due
from marketdata_assets.profile import profile_root
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.dagster_sqlite import EventLog
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.sealed_parquet import sealed
from marketdata_assets.storage.series import refresh
from marketdata_assets.storage.series.generation import series_folder
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, STORED_TABLES, Table
from marketdata_assets.trading_calendar import SHANGHAI, last_closed_sessions

YEARS = [int(word) for word in os.environ.get("BENCH_GROWTH_YEARS", "1 5 10 21").split()]
SESSIONS_A_YEAR = 242
# What has closed today is published hours later.
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
SESSIONS = last_closed_sessions(SESSIONS_A_YEAR * max(YEARS), YESTERDAY)
SHARES = 10
# Made by the chain at the beginning, and one more at every size.
FIRST_MADE = 3
MADE_DAYS = SESSIONS[-FIRST_MADE - len(YEARS) :]
DAYS_OF_A_RUN = 60
TIMES = 10
COPIED = (DAILY_PRICES, ADJ_FACTOR)
TABLES = [STORED_TABLES[name] for name in STOCKS.names if name in STORED_TABLES]
SECONDS_TO_OPEN = 300
ASSET_PAGE = """
query { assetNodeOrError(assetKey: {path: ["daily_prices"]}) { ... on AssetNode {
  partitionKeysByDimension { partitionKeys }
  partitionStats { numMaterialized numFailed numPartitions }
  assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
  assetMaterializations(limit: 100) { timestamp partition metadataEntries { label } }
} } }
"""


def grow(root: str, days: Sequence[dt.date]) -> None:
    """Store and record `days`, which come before those that are there."""
    lake = lake_of(root)
    shown = {table: lake.path(table, MADE_DAYS[0]) for table in TABLES}
    rows = {table: pq.read_table(shown[table]).slice(0, SHARES) for table in COPIED}
    for day in days:
        for table, file in shown.items():
            path = lake.path(table, day)
            path.parent.mkdir(parents=True, exist_ok=True)
            if table in COPIED:
                path.write_bytes(sealed(moved(table, rows[table], day)))
            else:
                os.link(file, path)
    with instance_of(history_of(root)) as instance:
        for first in range(0, len(days), DAYS_OF_A_RUN):
            record(instance, days[first : first + DAYS_OF_A_RUN])
    for table in COPIED:
        refresh(lake, table)


def moved(table: Table, rows: pa.Table, day: dt.date) -> pa.Table:
    assert table.date_column
    number = rows.column_names.index(table.date_column)
    dates = pa.array([day] * rows.num_rows, pa.date32())
    return rows.set_column(number, table.schema.field(table.date_column), dates)


def record(instance: dg.DagsterInstance, days: Sequence[dt.date]) -> None:
    """A run that has made all datasets of some days, publication included; its own log is gone."""
    tags = {
        "dagster/asset_partition_range_start": days[0].isoformat(),
        "dagster/asset_partition_range_end": days[-1].isoformat(),
    }
    name, run_id = STOCKS.name.value, str(uuid.uuid4())
    status = dg.DagsterRunStatus.SUCCESS
    instance.add_run(dg.DagsterRun(job_name=name, run_id=run_id, status=status, tags=tags))
    log = instance.event_log_storage
    assert isinstance(log, EventLog)
    events = (
        dg.EventLogEntry(  # type: ignore[no-untyped-call]
            error_info=None,
            level="debug",
            user_message="",
            run_id=run_id,
            timestamp=time.time(),
            job_name=name,
            dagster_event=DagsterEvent(
                DagsterEventType.ASSET_MATERIALIZATION.value,
                name,
                event_specific_data=StepMaterializationData(
                    dg.AssetMaterialization(dataset, partition=day.isoformat())
                ),
            ),
        )
        for dataset in STOCKS.names
        for day in days
    )
    with log.index_connection() as index:
        index.execute(SqlEventLogStorageTable.insert(), [log._event_to_row(one) for one in events])


def lake_of(root: str) -> Lake:
    return Lake(profile_root({"MARKETDATA_HOME": root}), "benchmark: not a real market")


def history_of(root: str) -> Path:
    return profile_root({"MARKETDATA_HOME": root}) / "dagster"


def cpu_of(function: Callable[..., object], *arguments: object) -> float:
    began = time.process_time()
    function(*arguments)
    return time.process_time() - began


def evening(root: str, day: dt.date) -> float:
    return cpu_of(materialize, root, [day])


def ticks(root: str, day: dt.date) -> dict[str, float]:
    """CPU milliseconds of what is looked at again and again, the quickest of some times."""
    lake, now = lake_of(root), dt.datetime.combine(day, dt.time(23), SHANGHAI)
    reader, moment = PriceReader(lake.root), dt.datetime.now(dt.UTC)
    year = day - dt.timedelta(365)
    code = reader.instruments()[0].code
    with instance_of(history_of(root)) as instance:
        looks: dict[str, Callable[[], object]] = {
            "missing-days sensor": lambda: missing_days(STOCKS, instance, lake, now),
            "series sensor": lambda: refreshes_due(instance, lake, now),
            "catalog": lambda: publish_catalog(lake.root),
            "a year of a code as of now": lambda: reader.ohlcv(code, year, day, as_of=moment),
            "a year of a code": lambda: reader.ohlcv(code, year, day),
        }
        return {name: 1e3 * min(cpu_of(look) for _ in range(TIMES)) for name, look in looks.items()}


def refreshed(root: str, day: dt.date) -> float:
    """CPU seconds of bringing a series to one more day.

    It is made anew before, without that day: days that were added since are written again, and
    there would be more of them at every size.
    """
    lake, aside = lake_of(root), Path(root, "aside")
    newest = lake.path(DAILY_PRICES, day)
    newest.rename(aside)
    shutil.rmtree(series_folder(lake.root, DAILY_PRICES))
    refresh(lake, DAILY_PRICES)
    aside.rename(newest)
    return cpu_of(refresh, lake, DAILY_PRICES)


def opened(root: str) -> dict[str, float]:
    """Seconds from `marketdata dev` to the UI's answer, and milliseconds of its asset page."""
    with tempfile.TemporaryDirectory() as copy:
        # The daemon starts runs as soon as it is there.
        world = profile_root({"MARKETDATA_HOME": root})
        place = Path(copy, world.name)
        for folder in ("lake", "series"):
            shutil.copytree(world / folder, place / folder, copy_function=os.link)
        shutil.copytree(world / "dagster", place / "dagster")
        # That of a folder that has moved is made anew, once.
        publish_catalog(place)
        ui, api = free_port(), free_port()
        env = {**os.environ, "MARKETDATA_HOME": copy, "API_PORT": str(api)}
        command = [sys.executable, "-m", "marketdata_assets", "dev", "--port", str(ui)]
        began = time.monotonic()
        with Path(copy, "log").open("wb") as log:
            dev = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            while not answers(ui):
                if dev.poll() is not None or time.monotonic() - began > SECONDS_TO_OPEN:
                    raise RuntimeError(Path(copy, "log").read_text("utf-8"))
                time.sleep(0.05)
            seconds = time.monotonic() - began
            return {"s dev until the UI answers": seconds, "ms asset page": 1e3 * asset_page(ui)}
        finally:
            dev.terminate()
            dev.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def answers(port: int) -> bool:
    try:
        return graphql(port, "{ version }") is not None
    except OSError:
        return False


def asset_page(port: int) -> float:
    """Seconds of the query that the page of an asset waits for, the quickest of some times."""
    taken = []
    for _ in range(TIMES):
        began = time.monotonic()
        told = graphql(port, ASSET_PAGE)["assetNodeOrError"]
        taken.append(time.monotonic() - began)
        if not told.get("partitionStats"):
            raise RuntimeError(f"the UI knows no such asset: {told}")
    return min(taken)


def graphql(port: int, query: str) -> dict[str, dict[str, object]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=SECONDS_TO_OPEN) as answer:
        told: dict[str, dict[str, dict[str, object]]] = json.load(answer)
    return told["data"]


def exponent(first: float, last: float) -> float:
    """How it grows with the years: 0 not at all, 1 as they do."""
    return math.log(last / first) / math.log(max(YEARS) / min(YEARS))


def main() -> None:
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as root:
        stored = 0
        for number, years in enumerate(YEARS):
            first = len(SESSIONS) - years * SESSIONS_A_YEAR
            os.environ["DEFAULT_START_DATE"] = SESSIONS[first].isoformat()
            if not number:
                in_own_process(materialize, root, MADE_DAYS[:FIRST_MADE])
            last = len(SESSIONS) - len(MADE_DAYS) - stored
            console.print(f"storing {last - first} days more, for {years} years …")
            in_own_process(grow, root, SESSIONS[first:last])
            stored += last - first
            day = MADE_DAYS[FIRST_MADE + number]
            looks = in_own_process(ticks, root, day).result
            assert isinstance(looks, dict)
            told = {
                "s CPU evening": in_own_process(evening, root, day).result,
                "s CPU series refresh": in_own_process(refreshed, root, day).result,
                **{f"ms CPU {name}": milliseconds for name, milliseconds in looks.items()},
                **opened(root),
            }
            for name, figure in told.items():
                figures.setdefault(name, []).append(figure)
    show(
        f"what grows with the years, of {len(STOCKS.names)} datasets",
        ("", *(f"{years} y" for years in YEARS), "ratio", "exponent"),
        [
            (
                name,
                *(f"{one:.3g}" for one in all_),
                f"{all_[-1] / all_[0]:.2f}",
                f"{exponent(all_[0], all_[-1]):.2f}",
            )
            for name, all_ in figures.items()
        ],
    )


if __name__ == "__main__":
    main()
