"""The end of the chain: a run is published at once, told in metadata, refused where it must be."""

import datetime as dt
import hashlib
import shutil
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from marketdata_assets.assets.hf_dataset import PUBLISH, days_in_words, publish_days
from marketdata_assets.partitions import TRADING_DAYS
from marketdata_assets.publishing import layout
from marketdata_assets.resources.hub_errors import NoRepository
from marketdata_assets.resources.hugging_face import HuggingFaceResource
from marketdata_assets.resources.publisher import Publisher
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import Platform, check_outcomes, failure_text, metadata_of
from marketdata_assets_tests.published_folder import dataset_folder, is_whole, keys, marker
from marketdata_assets_tests.publishing.prices import find, prices_of, store, suspend
from marketdata_sandbox.transport import sandbox_tushare

DAYS = sessions_between(dt.date(2024, 1, 2), dt.date(2024, 1, 12))
TOKEN = "hf_secretsecretsecret5f2a"


def platform_at(
    root: Path,
    instance: dg.DagsterInstance,
    publisher: Publisher | None = None,
    origin: str = "test",
) -> Platform:
    platform = Platform(root, sandbox_tushare(root / "state"), instance, publisher, origin)
    store(platform.lake, DAYS)
    return platform


def publish(platform: Platform, first: dt.date, last: dt.date | None = None):
    return platform.run(first, last, assets=["hf_dataset"])


def published_days(root: Path) -> list[dt.date]:
    """The days that the dataset holds; it is whole, and every row is there once."""
    found = keys(root)
    assert is_whole(root)
    assert found == sorted(set(found))
    return sorted({day for day, _ in found})


def test_a_range_is_one_publication_and_says_what_it_did(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    result = publish(platform, DAYS[0], DAYS[-1])
    assert result.success
    assert published_days(tmp_path) == DAYS
    told = metadata_of(result, "hf_dataset", DAYS[-1])
    assert told["outcome"] == "committed"
    manifest = (tmp_path / "dataset" / layout.MANIFEST).read_bytes()
    assert told["revision"] == hashlib.sha256(manifest).hexdigest()
    assert told["folder"] == str(tmp_path / "dataset")
    assert not {"link", "bytes sent"} & set(told)
    assert "data/prices-2024.parquet" in told["files changed"]
    assert told["coverage"] == f"{DAYS[0]} … {DAYS[-1]}"
    recorded = instance.get_materialized_partitions(dg.AssetKey("hf_dataset"))
    assert recorded == {str(day) for day in DAYS}


def test_publishing_twice_changes_no_file(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    platform = platform_at(tmp_path, instance)
    publish(platform, DAYS[0])
    paths = [path for path in (tmp_path / "dataset").rglob("*") if path.name != ".lock"]
    before = {path: path.stat().st_mtime_ns for path in paths if path.is_file()}
    told = metadata_of(publish(platform, DAYS[0]), "hf_dataset", DAYS[0])
    assert told["outcome"] == "already there"
    assert told["files changed"] == "none"
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_hub_that_is_down_ends_the_run_so_that_the_pool_is_free(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    down = HuggingFaceResource(
        repository="someone/prices",
        token=TOKEN,
        endpoint="http://127.0.0.1:9",
        work_folder=str(tmp_path / "publishing"),
        bound_seconds=1,
    )
    platform = platform_at(tmp_path, instance, down)
    # With the retry policy of the evening, which waits for a vendor.
    result = platform.definitions.resolve_job_def("daily_chain").execute_in_process(
        partition_key=str(DAYS[0]),
        asset_selection=[dg.AssetKey("hf_dataset")],
        instance=instance,
        raise_on_error=False,
    )
    assert not result.success
    assert not result.filter_events(lambda event: event.is_step_up_for_retry)
    assert "someone/prices" in failure_text(result, "hf_dataset")


def test_a_restated_day_is_published_again(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    platform = platform_at(tmp_path, instance)
    publish(platform, DAYS[0], DAYS[-1])
    store(platform.lake, DAYS[2:3], version=1)
    told = metadata_of(publish(platform, DAYS[2]), "hf_dataset", DAYS[2])
    assert told["files changed"] == "all-prices.csv, data/prices-2024.parquet, manifest.json"
    assert published_days(tmp_path) == DAYS


def test_a_run_says_of_which_days_suspended_shares_are_lacking_and_which_got_them_now(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    told = metadata_of(publish(platform, DAYS[0], DAYS[2]), "hf_dataset", DAYS[0])
    cure = "materialize suspended of them"
    assert told["suspended shares"] == f"not told for 3 day(s): {DAYS[0]} … {DAYS[2]} ({cure})"
    for day in DAYS[1:4]:
        suspend(platform.lake, day, ("600009.SH", True, "suspended", None))
    told = metadata_of(publish(platform, DAYS[3]), "hf_dataset", DAYS[3])
    assert told["suspended shares"] == (
        f"added for 2 day(s): {DAYS[1]} … {DAYS[2]} (published before); "
        f"not told for 1 day(s): {DAYS[0]} ({cure})"
    )
    suspend(platform.lake, DAYS[0])
    publish(platform, DAYS[3])
    told = metadata_of(publish(platform, DAYS[3]), "hf_dataset", DAYS[3])
    assert "suspended shares" not in told


def test_a_run_that_adopts_a_csv_counts_what_it_leaves_out_by_kind(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    csv = tmp_path / "dataset" / layout.CSV
    csv.parent.mkdir()
    rows = prices_of(DAYS[0]).to_pandas()
    odd = rows.head(2).assign(code=["1.SZ", "600000"])
    pd.concat([rows, odd]).to_csv(csv, index=False)
    told = metadata_of(publish(platform, DAYS[1]), "hf_dataset", DAYS[1])
    assert told["rows left out: of a code without its zeros"] == 1
    assert told["rows left out: of a code without its suffix"] == 1
    assert f"{len(rows)} kept" in told["adopted"]


def test_days_that_are_not_stored_are_left_out_and_named(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    refused, never_made = DAYS[2], DAYS[5]
    for day in (refused, never_made):
        platform.lake.path(DAILY_PRICES, day).unlink()
    find(platform.lake, refused, ("daily_kline", "", "units", "refused"))
    result = publish(platform, DAYS[0], DAYS[-1])
    assert result.success
    told = metadata_of(result, "hf_dataset", DAYS[0])
    assert told["left out"] == (
        f"{refused} (refused: daily_kline.units), {never_made} (not stored)"
    )
    assert told["days in this run"] == len(DAYS) - 2
    assert told["missing sessions"] == 2
    assert told["complete up to"] == str(DAYS[1])
    assert "not published" not in told
    assert marker(tmp_path) == f"{DAYS[-1]:%Y%m%d}"


def test_a_run_of_which_no_day_is_stored_fails_with_what_to_do(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    publish(platform, DAYS[0])
    for day in DAYS[1:3]:
        platform.lake.path(DAILY_PRICES, day).unlink()
    text = failure_text(publish(platform, DAYS[1], DAYS[2]), "hf_dataset")
    said = f"daily_prices is not stored for 2 day(s): {DAYS[1]}, {DAYS[2]}. Materialize"
    assert said in text
    assert published_days(tmp_path) == DAYS[:1]


def test_the_check_warns_while_sessions_are_missing(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    hole = DAYS[3]
    platform.lake.path(DAILY_PRICES, hole).unlink()
    [found] = publish(platform, DAYS[0], DAYS[-1]).get_asset_check_evaluations()
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert not found.blocking
    assert found.description == f"1 session(s) are missing: {hole} (not stored)"
    # Not the run that made the hole, and still there.
    assert publish(platform, DAYS[-1]).success
    assert check_outcomes(platform, "hf_dataset") == {"no_missing_sessions": False}
    store(platform.lake, [hole])
    assert publish(platform, hole).success
    assert check_outcomes(platform, "hf_dataset") == {"no_missing_sessions": True}


def test_a_dataset_that_lost_its_days_is_told_with_the_command_that_publishes(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    told = metadata_of(publish(platform, DAYS[0], DAYS[-1]), "hf_dataset", DAYS[-1])
    assert "not published" not in told
    shutil.rmtree(tmp_path / "dataset")
    told = metadata_of(publish(platform, DAYS[-2], DAYS[-1]), "hf_dataset", DAYS[-1])
    said = f"the dataset holds 2 of {len(DAYS)} stored days; publish the others with: {PUBLISH}"
    assert told["not published"] == said
    assert marker(tmp_path) == f"{DAYS[-1]:%Y%m%d}"


def test_a_dataset_by_name_needs_the_hub(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    platform = platform_at(tmp_path, instance)
    days = platform.lake.days(DAILY_PRICES)
    with pytest.raises(NoRepository, match=r"Hub dataset someone/prices: .* set HF_DATASET_REPO"):
        publish_days(dataset_folder(tmp_path), platform.lake, days, repository="someone/prices")
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("label", ["the lake's", "the files'"])
def test_a_simulated_lake_is_not_published_to_the_real_hub(
    label: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    hub = HuggingFaceResource(
        repository="someone/prices", token=TOKEN, work_folder=str(tmp_path / "publishing")
    )
    simulated = "sandbox: simulated, not a real market"
    platform = platform_at(tmp_path, instance, hub, simulated)
    if label == "the files'":
        # Copied into the live market's folder.
        platform = Platform(
            tmp_path,
            sandbox_tushare(tmp_path / "state"),
            instance,
            hub,
            "Tushare, api.tushare.pro",
        )
    result = publish(platform, DAYS[0])
    text = failure_text(result, "hf_dataset")
    assert "hub on this machine only" in text
    assert TOKEN not in "".join(str(event) for event in result.all_events)


def test_a_failure_of_the_hub_holds_no_token_in_any_event(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    hub = HuggingFaceResource(
        repository="someone/prices",
        token=TOKEN,
        endpoint="http://127.0.0.1:9",
        work_folder=str(tmp_path / "publishing"),
        bound_seconds=0.5,
    )
    result = publish(platform_at(tmp_path, instance, hub), DAYS[0])
    assert not result.success
    assert "someone/prices" in failure_text(result, "hf_dataset")
    assert TOKEN not in "".join(str(event) for event in result.all_events)


def test_the_whole_chain_of_the_sandbox_ends_in_a_published_day(sandbox: Platform) -> None:
    specs = sandbox.definitions.resolve_all_asset_specs()
    chain = [spec.key.path[-1] for spec in specs if spec.partitions_def == TRADING_DAYS]
    day = dt.date(2024, 9, 30)
    assert sandbox.run(day, assets=chain).success
    assert published_days(sandbox.lake.root) == [day]


def test_thousands_of_missing_days_are_told_in_a_line() -> None:
    days = sessions_between(dt.date(2005, 1, 4), dt.date(2024, 1, 12))
    assert days_in_words(dict.fromkeys(days, "not stored")) == (
        "2005-01-04 … 2024-01-12 (not stored)"
    )
    every_other = days_in_words(dict.fromkeys(days[:40:2], "not stored"))
    assert every_other.startswith("2005-01-04 (not stored), 2005-01-06 (not stored), ")
    assert every_other.endswith(f", and 15 more stretch(es) up to {days[38]}")
    assert days_in_words({}) == ""
