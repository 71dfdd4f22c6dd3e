"""The end of the chain: a run is one commit, told in its metadata, refused where it must be."""

import datetime as dt
from pathlib import Path

import dagster as dg
import pytest

from marketdata_assets.partitions import TRADING_DAYS
from marketdata_assets.resources.hugging_face import HuggingFaceResource
from marketdata_assets.sandbox.hub.embedded import LOCAL_REPOSITORY
from marketdata_assets.sandbox.hub.store import HubStore
from marketdata_assets.sandbox.transport import sandbox_tushare
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import Platform, failure_text, metadata_of
from marketdata_assets_tests.publishing.prices import store

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


def test_a_day_without_prices_or_beyond_a_gap_fails_with_what_to_do(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_at(tmp_path, instance)
    publish(platform, DAYS[0])
    text = failure_text(publish(platform, DAYS[2]), "hf_dataset")
    assert f"{DAYS[1]}: not published yet" in text
    platform.lake.path(DAILY_PRICES, DAYS[1]).unlink()
    text = failure_text(publish(platform, DAYS[1]), "hf_dataset")
    assert f"daily_prices is not stored for 1 day(s): {DAYS[1]}" in text
    assert commits(tmp_path) == [str(DAYS[0])]


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
