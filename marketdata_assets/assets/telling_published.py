"""What a run says of the published dataset: metadata, lines of its log, the check of its holes.

Here belong words and numbers for people. What is published, and when that fails, is `hf_dataset`.
"""

import datetime as dt
from collections.abc import Mapping

import dagster as dg

from marketdata_assets.publishing.build import Content
from marketdata_assets.publishing.manifest import Manifest, spans
from marketdata_assets.resources.publisher import Publication
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES

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
        "missing sessions": dg.MetadataValue.int(len(manifest.missing_sessions)),
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
