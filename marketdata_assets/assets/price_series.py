"""The code-major copy of the merged prices, for slices by code."""

import dagster as dg

from marketdata_assets.assets.declaring import column_schema
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.series import Refreshed, refresh
from marketdata_assets.tables import DAILY_PRICES


@dg.asset(
    name="price_series",
    group_name="serving",
    description=(
        "The merged prices by code instead of by day, brought to what the lake holds: what slices "
        "are read from. 按代码排列的合并行情，供按代码区间读取；每次只更新有变化的交易日。"
    ),
    deps=[dg.AssetKey(DAILY_PRICES.name)],
    kinds={"arrow"},
    owners=["team:market-data"],
    metadata={
        "dagster/column_schema": column_schema(DAILY_PRICES),
        "order": "code, date",
    },
)
def price_series(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    done = refresh(lake.open(), DAILY_PRICES)
    context.log.info(in_words(done))
    return dg.MaterializeResult(metadata=metadata_of(done))


def metadata_of(done: Refreshed) -> dict[str, dg.MetadataValue]:
    difference = done.difference
    return {
        "generation": dg.MetadataValue.int(done.generation),
        "days": dg.MetadataValue.int(done.days),
        "days new": dg.MetadataValue.int(len(difference.new)),
        "days rewritten": dg.MetadataValue.int(len(difference.rewritten)),
        "days removed": dg.MetadataValue.int(len(difference.removed)),
        "dagster/row_count": dg.MetadataValue.int(done.rows),
        "bytes": dg.MetadataValue.int(done.bytes),
        "bytes written": dg.MetadataValue.int(done.written),
        "seconds": dg.MetadataValue.float(round(done.seconds, 3)),
    }


def in_words(done: Refreshed) -> str:
    new, rewritten, removed = map(len, done.difference)
    return (
        f"generation {done.generation}: {new} day(s) new, {rewritten} rewritten, {removed} "
        f"removed; {done.days} days, {done.rows:,} rows, {done.written / 1e6:,.1f} MB written in "
        f"{done.seconds:.1f} s"
    )
