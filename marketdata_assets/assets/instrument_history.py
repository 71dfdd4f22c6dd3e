"""The full daily history of any code, a partition a code: an index, a fund, futures, a coin."""

import datetime as dt

import dagster as dg
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import Pool, described, failing_at_once
from marketdata_assets.assets.refreshing import NoSource, Refreshed, refresh
from marketdata_assets.instruments import Instrument, identify
from marketdata_assets.partitions import INSTRUMENTS
from marketdata_assets.resources.sources.routing import InstrumentSources
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.tables import INSTRUMENT_HISTORY

BEGINS = "history from"


@dg.asset(
    **described(
        INSTRUMENT_HISTORY,
        "instruments",
        partitions_def=INSTRUMENTS,
        # A code that fails must not take others with it, and shows its own outcome.
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        pool=Pool.INSTRUMENTS.value,
        kinds={"parquet"},
    )
)
def instrument_history(
    context: dg.AssetExecutionContext, instrument_sources: InstrumentSources, lake: LakeResource
) -> pa.Table:
    instrument = _instrument(context.partition_key)
    first = dt.date.fromisoformat(instrument_sources.first_day)
    last = instrument.market.last_final_day(dt.datetime.now(dt.UTC))
    stored = None
    if _begun(context) == first.isoformat():
        stored = lake.open().read(INSTRUMENT_HISTORY, instrument.code)
    try:
        refreshed = refresh(
            instrument, instrument_sources.for_instrument(instrument), stored, first, last
        )
    except NoSource as nobody:
        kept = f" What is stored, up to {stored['date'][-1]}, stays." if stored is not None else ""
        raise dg.Failure(f"{nobody}{kept} Run it again later.") from None
    for failure in refreshed.failures:
        context.log.warning(f"{failure} The next source was asked.")
    if refreshed.restatement:
        context.log.warning(
            f"instrument_history {instrument.code}: {refreshed.source.name} has restated the past, "
            f"{refreshed.restatement}. The whole history was taken again; the old one is kept."
        )
    context.add_output_metadata({BEGINS: first.isoformat(), **_facts(refreshed)})
    return refreshed.table


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


def _begun(context: dg.AssetExecutionContext) -> str | None:
    """The first day that was asked for when the code was last made."""
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(context.asset_key, asset_partitions=[context.partition_key]), limit=1
    ).records
    record = records[0].asset_materialization if records else None
    begun = record.metadata.get(BEGINS) if record else None
    return str(begun.value) if begun else None


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
    if refreshed.restatement:
        facts["restated days"] = sum(refreshed.restatement[:3])
        facts["restatement"] = str(refreshed.restatement)
    return facts
