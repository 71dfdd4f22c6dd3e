"""The published dataset: the days of a run in one commit, as `publishing` builds them."""

import datetime as dt

import dagster as dg
import pyarrow.parquet as pq

from marketdata_assets.assets.declaring import Pool
from marketdata_assets.partitions import BACKFILL_POLICY, TRADING_DAYS, days_of, refuse_open_days
from marketdata_assets.publishing.adoption import NotAdoptable
from marketdata_assets.publishing.build import Content, GapAhead, OtherOrigin, build
from marketdata_assets.publishing.content_checks import NotFitToPublish
from marketdata_assets.publishing.csv_file import NotInOrder
from marketdata_assets.publishing.layout import MAIN_BOARD, Choices
from marketdata_assets.publishing.manifest import UnreadableManifest
from marketdata_assets.publishing.workspace import NotAsInManifest, Workspace
from marketdata_assets.resources.hub_errors import NotALocalHub, NotAsSent, RefusedByHub
from marketdata_assets.resources.hub_repository import StateAt
from marketdata_assets.resources.hugging_face import HuggingFaceResource, Publication
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake, MissingPartitions
from marketdata_assets.tables import DAILY_PRICES

# Nothing that trying again could mend.
FINAL = (
    RefusedByHub,
    NotALocalHub,
    NotAsSent,
    NotAdoptable,
    NotAsInManifest,
    NotFitToPublish,
    NotInOrder,
    OtherOrigin,
    UnreadableManifest,
    MissingPartitions,
)


class HfDatasetConfig(dg.Config):
    """The dataset to publish to, by default HF_DATASET_REPO's; and what its CSV holds.

    `csv_universe` is a board, or empty for the whole market.
    """

    repository: str = ""
    csv_universe: str = MAIN_BOARD
    csv: bool = True


@dg.asset(
    name="hf_dataset",
    group_name="published",
    description=(
        "The published dataset: parquet by year, the CSV, calendar, manifest and card, a commit "
        "a run. 对外发布的数据集：年度 Parquet、CSV、交易日历、清单与说明，每次运行一次提交。"
    ),
    deps=[dg.AssetKey(DAILY_PRICES.name)],
    partitions_def=TRADING_DAYS,
    backfill_policy=BACKFILL_POLICY,
    pool=Pool.DAILY.value,
    kinds={"huggingface", "parquet"},
    owners=["team:market-data"],
)
def hf_dataset(
    context: dg.AssetExecutionContext,
    config: HfDatasetConfig,
    lake: LakeResource,
    hugging_face: HuggingFaceResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    days = days_of(context.partition_keys)
    refuse_open_days(days, dt.datetime.now(dt.UTC))
    choices = Choices(config.csv_universe, config.csv)
    try:
        done = publish_days(hugging_face, lake.open(), days, choices, config.repository)
    except FINAL as refusal:
        said = str(refusal)
    except GapAhead as gap:
        # The days before may be on their way: the run's own retries look again.
        raise dg.Failure(str(gap)) from None
    else:
        context.log.info(in_words(done))
        return dg.MaterializeResult(metadata=metadata_of(done, len(days)))
    raise dg.Failure(said, allow_retries=False)


def publish_days(
    hub: HuggingFaceResource,
    lake: Lake,
    days: list[dt.date],
    choices: Choices = Choices(),  # noqa: B008 (immutable)
    repository: str = "",
) -> Publication:
    """Publish days as the lake has them: one commit, or none when they are there."""
    name = repository or hub.repository

    def content(state: StateAt, workspace: Workspace) -> Content:
        return build(state, lake, days, choices, workspace, name)

    title = f"{days[0]}" if len(days) == 1 else f"{days[0]} … {days[-1]}, {len(days)} days"
    return hub.publish(content, title, origins(lake, days), name)


def origins(lake: Lake, days: list[dt.date]) -> set[str]:
    """Where the rows of these days come from: by the lake, and by the label of every file."""
    found = {lake.origin}
    for path in lake.paths(DAILY_PRICES, days):
        labels = pq.read_schema(path).metadata or {}
        found.add(labels.get(b"origin", b"").decode())
    return found


def metadata_of(done: Publication, days: int) -> dict[str, dg.MetadataValue]:
    manifest = done.content.manifest
    facts: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(done.outcome.value),
        "commit": dg.MetadataValue.text(done.commit),
        "link": dg.MetadataValue.url(done.url),
        sent_as(done): dg.MetadataValue.int(done.bytes_sent),
        "bytes of changed files": dg.MetadataValue.int(done.bytes_of_files),
        "files changed": dg.MetadataValue.text(", ".join(done.files_changed) or "none"),
        "days in this run": dg.MetadataValue.int(days),
        "dagster/row_count": dg.MetadataValue.int(manifest.rows),
        "coverage": dg.MetadataValue.text(f"{manifest.first} … {manifest.last}"),
        "complete up to": dg.MetadataValue.text(str(manifest.complete_to)),
        "missing sessions": dg.MetadataValue.int(len(manifest.missing_sessions)),
    }
    if done.content.adopted:
        facts["adopted"] = dg.MetadataValue.text(done.content.adopted.in_words())
    return facts


def in_words(done: Publication) -> str:
    adopted = f"{done.content.adopted.in_words()}; " if done.content.adopted else ""
    return (
        f"{adopted}{done.outcome}: {done.url}, {len(done.files_changed)} file(s) changed, "
        f"{done.bytes_of_files:,} bytes large; {done.bytes_sent:,} {sent_as(done)}"
    )


def sent_as(done: Publication) -> str:
    """What the bytes are that were counted."""
    return "bytes sent besides those of xet" if done.through_xet else "bytes sent"
