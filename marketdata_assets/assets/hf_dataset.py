"""The published dataset: the stored days of a run at once, as `publishing` builds them.

Here belongs what a run publishes and how it ends. What it says of it is `telling_published`.
"""

import datetime as dt
from collections.abc import Collection, Iterator

import dagster as dg
import pyarrow.parquet as pq

from marketdata_assets.assets.asset_arguments import Group, Pool, failing_at_once
from marketdata_assets.assets.telling_published import (
    MISSING_CHECK,
    days_in_words,
    in_words,
    metadata_of,
    missing_result,
    unpublished_in_words,
)
from marketdata_assets.partitions import BACKFILL_POLICY, TRADING_DAYS, days_of, refuse_open_days
from marketdata_assets.publishing.build import Content, build
from marketdata_assets.publishing.layout import MAIN_BOARD, Choices
from marketdata_assets.publishing.missing import refusals, why_missing
from marketdata_assets.publishing.workspace import Published, Workspace
from marketdata_assets.resources.publisher import Publication, Publisher
from marketdata_assets.storage.io_manager import LakeResource, RecordedDays
from marketdata_assets.storage.lake import Lake, MissingPartitions
from marketdata_assets.tables import DAILY_PRICES, FINDINGS, SUSPENDED
from marketdata_assets.tables.daily_prices import ADDED

# Plain types: those of `dg.Config` take any variable of the environment, a token for one, where a
# name belongs.
CONFIG = {
    "repository": dg.Field(
        str, default_value="", description="Where to publish, by default HF_DATASET_REPO."
    ),
    "csv_universe": dg.Field(
        str,
        default_value=MAIN_BOARD,
        description="What the CSV holds: a board, or empty for the whole market.",
    ),
    "csv": dg.Field(bool, default_value=True),
    "csv_all_columns": dg.Field(
        bool,
        default_value=False,
        description="Whether the CSV has the columns that were added, too: "
        f"{', '.join(merged.column.name for merged in ADDED)}.",
    ),
}


@dg.asset(
    name="hf_dataset",
    group_name=Group.PUBLISHED.value,
    description=(
        "The published dataset: parquet by year, the CSV, findings, calendar, manifest and card, "
        "at once for all days of a run; days that are not stored are left out and named. "
        "对外发布的数据集：年度 Parquet、CSV、检查结果、交易日历、清单与说明，每次运行整体发布；"
        "未入库的交易日不发布，并列明原因。"
    ),
    deps=[dg.AssetKey(table.name) for table in (DAILY_PRICES, SUSPENDED, FINDINGS)],
    io_manager_key="lake_io",
    check_specs=[MISSING_CHECK],
    partitions_def=TRADING_DAYS,
    backfill_policy=BACKFILL_POLICY,
    pool=Pool.DAILY.value,
    config_schema=CONFIG,
    kinds={"huggingface", "parquet"},
    owners=["team:market-data"],
)
def hf_dataset(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    publisher: Publisher,
) -> Iterator[dg.Output[RecordedDays] | dg.AssetCheckResult]:
    days = days_of(context.partition_keys)
    refuse_open_days(days, dt.datetime.now(dt.UTC))
    config = context.op_execution_context.op_config
    choices = Choices(config["csv_universe"], config["csv"], config["csv_all_columns"])
    repository = config["repository"]
    stored = lake.open()
    with failing_at_once():
        published = stored_days(stored, days)
        left_out = [day for day in days if day not in published]
        done = publish_days(publisher, stored, published, choices, repository, left_out)
    context.log.info(in_words(done))
    metadata = metadata_of(done, len(published))
    reasons = why_missing(stored, left_out, refusals(stored, left_out))
    for name, text in {
        "left out": days_in_words(reasons),
        "not published": unpublished_in_words(done, stored, repository),
    }.items():
        if text:
            context.log.warning(f"{name}: {text}")
            metadata[name] = dg.MetadataValue.text(text)
    yield dg.Output(RecordedDays(published), metadata=metadata)
    yield missing_result(done.content.manifest)


def stored_days(lake: Lake, days: list[dt.date]) -> list[dt.date]:
    """The days of a run that are published: those that are stored. The others are left out.

    Raises `MissingPartitions` when none is.
    """
    there = set(lake.days(DAILY_PRICES))
    if stored := [day for day in days if day in there]:
        return stored
    raise MissingPartitions(DAILY_PRICES, days)


def publish_days(
    publisher: Publisher,
    lake: Lake,
    days: list[dt.date],
    choices: Choices = Choices(),  # noqa: B008 (immutable)
    repository: str = "",
    left_out: Collection[dt.date] = (),
) -> Publication:
    """Publish days as the lake has them, at once, or nothing when they are there.

    Of the days that are `left_out`, because they are not stored, the findings are published.
    """
    name = repository or publisher.repository

    def content(state: Published, workspace: Workspace) -> Content:
        return build(state, lake, days, choices, workspace, name, left_out)

    title = f"{days[0]}" if len(days) == 1 else f"{days[0]} … {days[-1]}, {len(days)} days"
    return publisher.publish(content, title, origins(lake, days), repository)


def origins(lake: Lake, days: list[dt.date]) -> set[str]:
    """Where the rows of these days come from: by the lake, and by the label of every file."""
    found = {lake.origin}
    for path in lake.paths(DAILY_PRICES, days):
        labels = pq.read_schema(path).metadata or {}
        found.add(labels.get(b"origin", b"").decode())
    return found
