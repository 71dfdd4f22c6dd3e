"""One more day onto a published dataset, beside the original pipeline's way.

The original's evening: download the CSV, concatenate the day in pandas, upload all of it. Both ways
talk to the same local hub, as LFS: whole files go up. BENCH_PUBLISHING_YEARS says how many years
are there already; 20 is the whole history, and takes 20 minutes and 12 GB for the original's part.
"""

import datetime as dt
import os
import tempfile
from pathlib import Path

import duckdb
import pandas as pd

from benchmarks.measuring import console, in_own_process, show
from marketdata_assets.publishing.csv_file import write_csv
from marketdata_assets.sandbox.hub.protocol import HubProtocol
from marketdata_assets.sandbox.hub.server import HubServer
from marketdata_assets.sandbox.hub.store import HubStore
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between

YEARS = int(os.environ.get("BENCH_PUBLISHING_YEARS", "2"))
LAST_YEAR = 2024
# As the market grew, by its first and last year; the main board stopped at about 3,200 shares.
SHARES = {2005: 1_300, 2024: 5_400}
MAIN_BOARD_SHARES = 3_200
DAYS = sessions_between(dt.date(LAST_YEAR - YEARS + 1, 1, 1), dt.date(LAST_YEAR, 12, 31))
REPO = "bench/prices"
ORIGINAL = "bench/original"


def synthetic_lake(root: str) -> int:
    """Every day of the span in the lake: rows of the published width, values at random."""
    lake = Lake(Path(root), "benchmark")
    text = {
        "code": "lpad(c::VARCHAR, 6, '0') || '.SH'",
        "market": f"if(c < {MAIN_BOARD_SHARES}, '主板', '创业板')",
    }
    total = 0
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for day in DAYS:
            columns = ", ".join(
                f"{text.get(c.name, _value(str(c.type), day))} AS {c.name}"
                for c in DAILY_PRICES.columns
            )
            rows = connection.sql(f"SELECT {columns} FROM range({shares_on(day)}) AS t(c)")
            lake.write(DAILY_PRICES, day, rows.to_arrow_table().cast(DAILY_PRICES.schema))
            total += shares_on(day)
    return total


def shares_on(day: dt.date) -> int:
    (first, few), (last, many) = SHARES.items()
    return few + (many - few) * (day.year - first) // (last - first)


def _value(kind: str, day: dt.date) -> str:
    if kind == "date32[day]":
        return f"DATE '{day}'"
    return "round(random() * 1000, 2)" if kind == "double" else "'银行'"


def publish(root: str, url: str, days: list[dt.date]) -> int:
    from marketdata_assets.assets.hf_dataset import publish_days
    from marketdata_assets.resources.hugging_face import HuggingFaceResource

    hub = HuggingFaceResource(
        repository=REPO, token="x", endpoint=url, work_folder=f"{root}/work", create_missing=True
    )
    return publish_days(hub, Lake(Path(root), "benchmark"), days).bytes_sent


def prepare_original(root: str, url: str) -> None:
    from marketdata_assets.resources.hub_client import hub_api

    api = hub_api(url, "x")
    api.create_repo(ORIGINAL, repo_type="dataset")
    csv = Path(root) / "all.csv"
    write_csv(csv, Lake(Path(root), "").paths(DAILY_PRICES, DAYS[:-1]), "主板")
    _upload(api, csv)
    csv.unlink()


def original(root: str, url: str) -> int:
    """Download the CSV, add the day in pandas, upload it; the marker is left out in its favour."""
    from marketdata_assets.resources.hub_client import hub_api

    api = hub_api(url, "x")
    old = api.hf_hub_download(ORIGINAL, "all.csv", repo_type="dataset", local_dir=f"{root}/old")
    day = Lake(Path(root), "").read(DAILY_PRICES, DAYS[-1])
    assert day is not None
    new = day.to_pandas()
    whole = pd.concat([pd.read_csv(old), new[new["market"] == "主板"]])
    csv = Path(root) / "all.csv"
    whole.to_csv(csv, index=False)
    _upload(api, csv)
    return csv.stat().st_size


def _upload(api: object, csv: Path) -> None:
    api.upload_file(  # type: ignore[attr-defined]
        path_or_fileobj=csv, path_in_repo="all.csv", repo_id=ORIGINAL, repo_type="dataset"
    )


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as root,
        HubServer(HubProtocol(HubStore(Path(root) / "hub"))).running() as server,
    ):
        rows = in_own_process(synthetic_lake, root).result
        console.print(f"publishing {len(DAYS) - 1} days, {rows:,} rows …")
        first = in_own_process(publish, root, server.url, DAYS[:-1])
        in_own_process(prepare_original, root, server.url)
        ways = {
            "this platform: one commit": in_own_process(publish, root, server.url, DAYS[-1:]),
            "the original: download, pandas, upload": in_own_process(original, root, server.url),
        }
        store = server.protocol.store
        ours, theirs = (
            store.at(REPO, "main").files["all-prices.csv"].sha256,
            store.at(ORIGINAL, "main").files["all.csv"].sha256,
        )
    show(
        f"one more day onto {YEARS} years, {rows:,} rows (all of them at once: "
        f"{first.seconds:.0f} s, {first.peak_megabytes:.0f} MB); CSV bytes "
        f"{'equal' if ours == theirs else 'DIFFER'}",
        ("", "seconds", "peak MB", "MB sent"),
        [
            (name, f"{m.seconds:.1f}", f"{m.peak_megabytes:.0f}", f"{int(str(m.result)) / 1e6:.1f}")
            for name, m in ways.items()
        ],
    )


if __name__ == "__main__":
    main()
