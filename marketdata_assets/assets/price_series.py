"""The code-major copies of daily tables: merged prices, factors, fund prices with premiums.

Here belongs which tables have one. What a copy is and how it is refreshed is `storage.series`.
"""

import dagster as dg

from marketdata_assets.assets.asset_arguments import Group, Pool, column_lineage, column_schema
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.series import SERIES_ASSETS, Refreshed, refresh
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, ETF_PREMIUM, Table


def _series(table: Table, what: str, what_zh: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=SERIES_ASSETS[table.name],
        group_name=Group.SERVED.value,
        description=(
            f"{what} by code instead of by day, brought to what the lake holds: what slices are "
            f"read from. 按代码排列的{what_zh}，供按代码区间读取；每次只更新有变化的交易日。"
        ),
        deps=[dg.AssetKey(table.name)],
        kinds={"arrow"},
        owners=["team:market-data"],
        pool=Pool.SERIES.value,
        metadata={
            "dagster/column_schema": column_schema(table),
            **column_lineage({name: [(table, name)] for name in table.column_names}),
            "order": "code, date",
        },
    )
    def series(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        done = refresh(lake.open(), table)
        context.log.info(in_words(done))
        return dg.MaterializeResult(metadata=metadata_of(done))

    return series


price_series = _series(DAILY_PRICES, "The merged prices", "合并行情")
adj_factor_series = _series(ADJ_FACTOR, "The adjustment factors", "复权因子")
etf_price_series = _series(ETF_PREMIUM, "The prices and premiums of funds", "场内基金行情与折溢价")

# Factors first: a price that is served can then be adjusted.
SERIES: dict[Table, dg.AssetsDefinition] = {
    ADJ_FACTOR: adj_factor_series,
    DAILY_PRICES: price_series,
    ETF_PREMIUM: etf_price_series,
}


def metadata_of(done: Refreshed) -> dict[str, dg.MetadataValue]:
    difference = done.difference
    return {
        "generation": dg.MetadataValue.int(done.generation),
        "days": dg.MetadataValue.int(done.days),
        "days new": dg.MetadataValue.int(len(difference.new)),
        "days rewritten": dg.MetadataValue.int(len(difference.rewritten)),
        "days removed": dg.MetadataValue.int(len(difference.removed)),
        "files damaged": dg.MetadataValue.int(len(difference.damaged)),
        "dagster/row_count": dg.MetadataValue.int(done.rows),
        "bytes": dg.MetadataValue.int(done.bytes),
        "bytes written": dg.MetadataValue.int(done.written),
        "seconds": dg.MetadataValue.float(round(done.seconds, 3)),
    }


def in_words(done: Refreshed) -> str:
    new, rewritten, removed, damaged = (len(part) for part in done.difference)
    return (
        f"generation {done.generation}: {new} day(s) new, {rewritten} rewritten, {removed} "
        f"removed, {damaged} file(s) damaged; {done.days} days, {done.rows:,} rows, "
        f"{done.written / 1e6:,.1f} MB written in {done.seconds:.1f} s"
    )
