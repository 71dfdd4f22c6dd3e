"""The published dataset: the stored days of a run at once, as `publishing` builds them.

Here belongs what a run publishes, how it ends, and what it says: metadata, lines of its log, the
check of the holes.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping

import dagster as dg
import pyarrow.parquet as pq

from marketdata_assets.assets.asset_arguments import Group, Pool, failing_at_once
from marketdata_assets.partitions import BACKFILL_POLICY, TRADING_DAYS, days_of, refuse_open_days
from marketdata_assets.publishing.beside_prices import refusals, why_missing
from marketdata_assets.publishing.build import Content, build
from marketdata_assets.publishing.layout import MAIN_BOARD, Choices
from marketdata_assets.publishing.manifest import Manifest, spans
from marketdata_assets.publishing.workspace import Published, Workspace
from marketdata_assets.resources.hub_errors import HubError
from marketdata_assets.resources.publisher import Publication, Publisher
from marketdata_assets.storage.io_manager import LakeResource, RecordedDays
from marketdata_assets.storage.lake import Lake, MissingPartitions
from marketdata_assets.tables import DAILY_PRICES, FINDINGS, SUSPENDED
from marketdata_assets.tables.daily_prices import ADDED

STRETCHES_SHOWN = 5
PUBLISH = "marketdata publish"
MISSING_CHECK = dg.AssetCheckSpec(
    "no_missing_sessions",
    asset="hf_dataset",
    description=(
        "No session between the first and the last published day is missing. "
        "首个与最后一个已发布交易日之间没有缺失的交易日。"
    ),
    blocking=False,
)
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
        there = set(stored.days(DAILY_PRICES))
        published = [day for day in days if day in there]
        left_out = [day for day in days if day not in there]
        if not published:
            raise MissingPartitions(DAILY_PRICES, days)
        try:
            done = publish_days(publisher, stored, published, choices, repository, left_out)
        except HubError as error:
            # It was tried for minutes. Who waits for the pool goes on, and what is not published
            # is asked for again.
            raise dg.Failure(str(error), allow_retries=False) from None
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


def missing_result(manifest: Manifest) -> dg.AssetCheckResult:
    """The state of the check: it warns while there are holes, whichever run made them."""
    count = len(manifest.missing)
    missing = days_in_words(manifest.missing)
    return dg.AssetCheckResult(
        check_name=MISSING_CHECK.name,
        passed=not count,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{count:,} session(s) are missing: {missing}" if count else None,
        metadata={
            "missing sessions": dg.MetadataValue.int(count),
            "complete up to": dg.MetadataValue.text(str(manifest.complete_to)),
        },
    )


def days_in_words(reasons: Mapping[dt.date, str]) -> str:
    """The first stretches of days with their reasons; empty without any day."""
    stretches = spans(reasons)
    shown = [
        f"{one.first}{f' … {one.last}' if one.last > one.first else ''} ({one.reason})"
        for one in stretches[:STRETCHES_SHOWN]
    ]
    if more := stretches[STRETCHES_SHOWN:]:
        shown.append(f"and {len(more):,} more stretch(es) up to {more[-1].last}")
    return ", ".join(shown)


def unpublished_in_words(done: Publication, lake: Lake, repository: str = "") -> str:
    """How much of the lake the dataset lacks, and the cure; empty when it lacks nothing.

    So it is with a repository that is new, was recreated or emptied, or has lost a file.
    """
    stored = set(lake.days(DAILY_PRICES))
    held = len(stored & done.content.manifest.days())
    if held == len(stored):
        return ""
    command = f"{PUBLISH} --repository {repository}" if repository else PUBLISH
    return (
        f"the dataset holds {held:,} of {len(stored):,} stored days; "
        f"publish the others with: {command}"
    )


def metadata_of(done: Publication, days: int) -> dict[str, dg.MetadataValue]:
    manifest = done.content.manifest
    facts: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(done.outcome.value),
        "revision": dg.MetadataValue.text(done.revision),
        "bytes of changed files": dg.MetadataValue.int(done.bytes_of_files),
        "files changed": dg.MetadataValue.text(", ".join(done.files_changed) or "none"),
        "days in this run": dg.MetadataValue.int(days),
        "dagster/row_count": dg.MetadataValue.int(manifest.rows),
        "coverage": dg.MetadataValue.text(f"{manifest.first} … {manifest.last}"),
        "complete up to": dg.MetadataValue.text(str(manifest.complete_to)),
        "missing sessions": dg.MetadataValue.int(len(manifest.missing)),
    }
    if done.bytes_sent is None:
        facts["folder"] = dg.MetadataValue.path(done.place)
    else:
        facts["link"] = dg.MetadataValue.url(done.place)
        facts[sent_as(done)] = dg.MetadataValue.int(done.bytes_sent)
    if adopted := done.content.adopted:
        facts["adopted"] = dg.MetadataValue.text(adopted.in_words())
        facts |= {
            f"rows left out: {reason}": dg.MetadataValue.int(count)
            for reason, count in adopted.left_out.items()
            if count
        }
    if suspended := suspended_in_words(done.content):
        facts["suspended shares"] = dg.MetadataValue.text(suspended)
    return facts


def suspended_in_words(content: Content) -> str:
    """Which days got their suspended shares later, and which lack them; empty when all is told.

    So it is with a dataset that was published before there were any.
    """
    added, lacking = set(content.caught_up), set(content.manifest.without_suspended)
    told = []
    if added:
        when = days_in_words(dict.fromkeys(added, "published before"))
        told.append(f"added for {len(added):,} day(s): {when}")
    if lacking:
        when = days_in_words(dict.fromkeys(lacking, "materialize suspended of them"))
        told.append(f"not told for {len(lacking):,} day(s): {when}")
    return "; ".join(told)


def in_words(done: Publication) -> str:
    adopted = f"{done.content.adopted.in_words()}; " if done.content.adopted else ""
    told = suspended_in_words(done.content)
    suspended = f"; suspended shares {told}" if told else ""
    sent = "" if done.bytes_sent is None else f"; {done.bytes_sent:,} {sent_as(done)}"
    return (
        f"{adopted}{done.outcome}: {done.place}, {len(done.files_changed)} file(s) changed, "
        f"{done.bytes_of_files:,} bytes large{suspended}{sent}"
    )


def sent_as(done: Publication) -> str:
    """What the bytes are that were counted."""
    return "bytes sent besides those of xet" if done.through_xet else "bytes sent"
