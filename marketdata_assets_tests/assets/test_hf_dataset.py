"""The end of the chain: a run is one commit, told in its metadata, refused where it must be."""

import datetime as dt
import shutil
from pathlib import Path

import dagster as dg
import pytest

from marketdata_assets.assets.telling_published import PUBLISH, days_in_words
from marketdata_assets.partitions import TRADING_DAYS
from marketdata_assets.publishing import layout
from marketdata_assets.resources.hugging_face import HuggingFaceResource
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import Platform, check_outcomes, failure_text, metadata_of
from marketdata_assets_tests.publishing.prices import find, store
from marketdata_sandbox.hub.embedded import LOCAL_REPOSITORY
from marketdata_sandbox.hub.store import HubStore
from marketdata_sandbox.transport import sandbox_tushare

DAYS = sessions_between(dt.date(2024, 1, 2), dt.date(2024, 1, 12))
TOKEN = "hf_secretsecretsecret5f2a"


def platform_at(
    root: Path,
    instance: dg.DagsterInstance,
    hub: HuggingFaceResource | None = None,
    origin: str = "test",
) -> Platform:
    platform = Platform(root, sandbox_tushare(root / "state"), instance, hub, origin)
    store(platform.lake, DAYS)
    return platform


def publish(platform: Platform, first: dt.date, last: dt.date | None = None):
    return platform.run(first, last, assets=["hf_dataset"])


def commits(root: Path) -> list[str]:
    history = HubStore(root / "hub").history(LOCAL_REPOSITORY)
    return [commit.title for commit in history[::-1]][1:]


def marker(hub: HubStore) -> str:
    entry = hub.at(LOCAL_REPOSITORY, "main").files[layout.MARKER]
    return hub.blob(entry.sha256).read_text()


def test_a_range_is_one_commit_and_says_what_it_did(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    result = publish(platform, DAYS[0], DAYS[-1])
    assert result.success
    assert commits(tmp_path) == [f"{DAYS[0]} … {DAYS[-1]}, {len(DAYS)} days"]
    told = metadata_of(result, "hf_dataset", DAYS[-1])
    assert told["outcome"] == "committed"
    assert told["commit"] == HubStore(tmp_path / "hub").head(LOCAL_REPOSITORY)
    assert told["link opens while"] == "marketdata hub runs"
    assert str(told["link"]).endswith(f"/datasets/{LOCAL_REPOSITORY}/commit/{told['commit']}")
    assert told["bytes sent"] > 0
    assert "data/prices-2024.parquet" in told["files changed"]
    assert told["coverage"] == f"{DAYS[0]} … {DAYS[-1]}"
    recorded = instance.get_materialized_partitions(dg.AssetKey("hf_dataset"))
    assert recorded == {str(day) for day in DAYS}


def test_publishing_twice_makes_no_second_commit(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    publish(platform, DAYS[0])
    told = metadata_of(publish(platform, DAYS[0]), "hf_dataset", DAYS[0])
    assert told["outcome"] == "already there"
    assert told["files changed"] == "none"
    assert commits(tmp_path) == [str(DAYS[0])]


def test_a_restated_day_is_published_again(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    platform = platform_at(tmp_path, instance)
    publish(platform, DAYS[0], DAYS[-1])
    store(platform.lake, DAYS[2:3], version=1)
    told = metadata_of(publish(platform, DAYS[2]), "hf_dataset", DAYS[2])
    assert told["files changed"] == "all-prices.csv, data/prices-2024.parquet, manifest.json"
    assert commits(tmp_path)[1:] == [str(DAYS[2])]


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
    assert marker(HubStore(tmp_path / "hub")) == f"{DAYS[-1]:%Y%m%d}"


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
    assert commits(tmp_path) == [str(DAYS[0])]


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


@pytest.mark.parametrize("how", ["recreated", "emptied"])
def test_a_repository_that_lost_its_days_is_told_with_the_command_that_publishes(
    how: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    told = metadata_of(publish(platform, DAYS[0], DAYS[-1]), "hf_dataset", DAYS[-1])
    assert "not published" not in told
    if how == "recreated":
        shutil.rmtree(tmp_path / "hub")
    else:
        hub = HubStore(tmp_path / "hub")
        hub.commit(LOCAL_REPOSITORY, "empty", None, {}, hub.at(LOCAL_REPOSITORY, "main").files)
    told = metadata_of(publish(platform, DAYS[-2], DAYS[-1]), "hf_dataset", DAYS[-1])
    said = f"the dataset holds 2 of {len(DAYS)} stored days; publish the others with: {PUBLISH}"
    assert told["not published"] == said
    assert marker(HubStore(tmp_path / "hub")) == f"{DAYS[-1]:%Y%m%d}"


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
    assert commits(sandbox.lake.root) == [str(day)]


def test_thousands_of_missing_days_are_told_in_a_line() -> None:
    days = sessions_between(dt.date(2005, 1, 4), dt.date(2024, 1, 12))
    assert days_in_words(dict.fromkeys(days, "not stored")) == (
        "2005-01-04 … 2024-01-12 (not stored)"
    )
    every_other = days_in_words(dict.fromkeys(days[:40:2], "not stored"))
    assert every_other.startswith("2005-01-04 (not stored), 2005-01-06 (not stored), ")
    assert every_other.endswith(f", and 15 more stretch(es) up to {days[38]}")
    assert days_in_words({}) == ""
