"""The full daily history of any code, a partition a code: an index, a fund, futures, a coin."""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence

import dagster as dg
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import Group, Pool, described, failing_at_once
from marketdata_assets.assets.refreshing import Explain, NoSource, Refreshed, in_words, refresh
from marketdata_assets.checks.histories import Fault, Flaw
from marketdata_assets.instruments import Instrument, identify
from marketdata_assets.partitions import INSTRUMENTS
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.serving.gaps import ExplainedAbsences
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import INSTRUMENT_HISTORY

BEGINS = "history from"
ALIKE = "sessions that two sources lack"

CHECKS = [
    dg.AssetCheckSpec(
        flaw.value,
        asset=INSTRUMENT_HISTORY.name,
        description=f"{flaw.doc} Where no source has a better history it warns. · {flaw.doc_zh}",
        partitions_def=INSTRUMENTS,
        blocking=False,
    )
    for flaw in Flaw
]


@dg.asset(
    **described(
        INSTRUMENT_HISTORY,
        Group.HISTORIES,
        partitions_def=INSTRUMENTS,
        # A code that fails must not take others with it, and shows its own outcome.
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        pool=Pool.INSTRUMENTS.value,
        kinds={"parquet"},
        check_specs=CHECKS,
    )
)
def instrument_history(
    context: dg.AssetExecutionContext, instrument_sources: InstrumentSources, lake: LakeResource
) -> Iterator[dg.Output[pa.Table] | dg.AssetCheckResult]:
    instrument = _instrument(context.partition_key)
    first = dt.date.fromisoformat(instrument_sources.first_day)
    last = instrument.market.last_final_day(dt.datetime.now(dt.UTC))
    known = _told_before(context)
    alike = {dt.date.fromisoformat(day) for day in _listed(known.get(ALIKE))}
    opened, stored = lake.open(), None
    if known.get(BEGINS) == first.isoformat():
        stored = opened.read(INSTRUMENT_HISTORY, instrument.code)
    try:
        refreshed = refresh(
            instrument,
            instrument_sources.for_instrument(instrument),
            stored,
            first,
            last,
            _explaining(instrument, opened, alike),
        )
    except NoSource as nobody:
        kept = f" What is stored, up to {stored['date'][-1]}, stays." if stored is not None else ""
        raise dg.Failure(f"{nobody}{kept} Run it again later.") from None
    for failure in refreshed.failures:
        context.log.warning(f"{failure} Another source was asked.")
    if refreshed.untold:
        context.log.warning(
            f"instrument_history {instrument.code}: which contract was the main one is not known "
            f"on some days, and prices across them can't be adjusted. {refreshed.untold}"
        )
    if refreshed.faults:
        context.log.warning(
            f"instrument_history {instrument.code}: no source has a whole history. That of "
            f"{refreshed.source.name} was taken: {in_words(refreshed.faults)}"
        )
    if refreshed.restatement:
        context.log.warning(
            f"instrument_history {instrument.code}: {refreshed.source.name} has restated the past, "
            f"{refreshed.restatement}. The whole history was taken again; the old one is kept."
        )
    facts = {BEGINS: first.isoformat(), **_facts(refreshed)}
    if refreshed.alike or alike:
        facts[ALIKE] = dg.MetadataValue.json(sorted(map(str, alike.union(refreshed.alike))))
    yield dg.Output(refreshed.table, metadata=facts)
    for flaw in Flaw:
        yield _outcome(flaw, [fault for fault in refreshed.faults if fault.flaw is flaw])


def _outcome(flaw: Flaw, faults: Sequence[Fault]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=flaw.value,
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        description=in_words(faults) if faults else None,
        metadata={"days": dg.MetadataValue.int(sum(len(fault.days) for fault in faults))},
    )


def _explaining(instrument: Instrument, lake: Lake, alike: Collection[dt.date]) -> Explain:
    """Which sessions without a bar are known: from two sources, of a share from the ledger too."""
    ledger = ExplainedAbsences(lake)

    def explain(days: Sequence[dt.date]) -> set[dt.date]:
        known = set(days).intersection(alike)
        return known | ledger.days_of(instrument.code, days) if days else known

    return explain


def _instrument(key: str) -> Instrument:
    with failing_at_once():
        instrument = identify(key)
    if instrument.code != key:
        raise dg.Failure(
            f"instrument_history {key}: the code of this instrument is {instrument.code}. Delete "
            f"the partition {key} and add {instrument.code}.",
            allow_retries=False,
        )
    return instrument


def _told_before(context: dg.AssetExecutionContext) -> dict[str, object]:
    """What was told when the code was last made."""
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(context.asset_key, asset_partitions=[context.partition_key]), limit=1
    ).records
    record = records[0].asset_materialization if records else None
    return {name: value.value for name, value in record.metadata.items()} if record else {}


def _listed(value: object) -> list[str]:
    return value if isinstance(value, list) else []


def _facts(refreshed: Refreshed) -> dict[str, str | int | dg.MetadataValue]:
    days = refreshed.table["date"]
    facts: dict[str, str | int | dg.MetadataValue] = {
        "source": refreshed.source.name,
        "host": refreshed.source.host,
        "fetched": "the whole history" if refreshed.was_whole else "what is new, with an overlap",
        "first day": str(days[0]),
        "last day": str(days[-1]),
        "new days": refreshed.new_days,
        "failed sources": dg.MetadataValue.md(
            "\n".join(f"- {failure}" for failure in refreshed.failures) or "none"
        ),
    }
    if refreshed.untold:
        facts["main contract not known"] = refreshed.untold
    if refreshed.restatement:
        facts["restated days"] = sum(refreshed.restatement[:3])
        facts["restatement"] = str(refreshed.restatement)
    return facts
