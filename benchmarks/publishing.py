"""One more day onto a published dataset, beside the original pipeline's way.

The original's evening: download the CSV, concatenate the day in pandas, upload all of it. Both ways
talk to the same emulated Hub, as LFS: whole files go up. BENCH_PUBLISHING_YEARS says how many years
are there already; 20 is the whole history, and takes 20 minutes and 12 GB for the original's part.
"""

import datetime as dt
import os
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.measuring import console, in_own_process, show
from benchmarks.synthetic import synthetic_lake
from marketdata_assets.publishing.csv_file import write_csv
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.hub_emulator.protocol import HubProtocol
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hub_emulator.store import HubStore

YEARS = int(os.environ.get("BENCH_PUBLISHING_YEARS", "2"))
LAST_YEAR = 2024
# As the market grew in twenty years from 1,300 shares.
SHARES, MORE_A_YEAR = 5_400, 205
DAYS = sessions_between(dt.date(LAST_YEAR - YEARS + 1, 1, 1), dt.date(LAST_YEAR, 12, 31))
REPO = "bench/prices"
ORIGINAL = "bench/original"


def publish(root: str, url: str, days: list[dt.date]) -> int:
    from marketdata_assets.assets.hf_dataset import publish_days
    from marketdata_assets.resources.hugging_face import HuggingFaceResource

    hub = HuggingFaceResource(repository=REPO, token="x", endpoint=url, work_folder=f"{root}/work")
    return publish_days(hub, Lake(Path(root), "benchmark"), days).bytes_sent or 0


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
        server.protocol.store.create(REPO)
        rows = in_own_process(
            synthetic_lake, root, DAYS, SHARES, SHARES - YEARS * MORE_A_YEAR
        ).result
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
