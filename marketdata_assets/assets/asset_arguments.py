"""What every asset says of itself, and how it fails: descriptions from `tables`, partitions, kinds.

Here belongs what is the same for all assets. What one dataset is, is in its own file.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import dagster as dg

from marketdata_assets.assets.quality_gate import check_specs
from marketdata_assets.checks.days import fetched_checks
from marketdata_assets.errors import MarketdataError
from marketdata_assets.partitions import BACKFILL_POLICY, TRADING_DAYS
from marketdata_assets.tables import DAILY_KLINE, Table
from marketdata_assets.tables.declaration import ANSWER, Chain, Check


class Pool(StrEnum):
    """Of each pool one run at a time; runs of different pools don't wait for each other.

    The daily runs share one allowance of calls, and publish their days in order; no extra table
    keeps them waiting. What somebody waits for, a history or an export, is answered meanwhile.
    """

    DAILY = "daily"
    EXTRAS = "extras"
    SERIES = "series"
    INSTRUMENTS = "instruments"
    EXPORTS = "exports"


class Group(StrEnum):
    """The parts of the graph in the UI, whose names take ASCII alone."""

    # A 股的行情与资料
    SHARES = "a_shares"
    # 场内基金
    FUNDS = "funds"
    # 附加表
    EXTRAS = "extra_tables"
    # 合并行情
    PRICES = "prices"
    # 数据质量
    QUALITY = "data_quality"
    # 数据更正
    RESTATEMENTS = "restatements"
    # 按代码的历史
    HISTORIES = "histories_by_code"
    # 供查询的副本
    SERVED = "served_copies"
    # 发布的数据集
    PUBLISHED = "published_dataset"


@contextmanager
def failing_at_once() -> Iterator[None]:
    """Within the block an error that is final is a `dg.Failure`, which is not tried again."""
    try:
        yield
    except MarketdataError as error:
        if not error.is_final:
            raise
        raise dg.Failure(str(error), allow_retries=False) from None


def described(table: Table, group: Group, **more: Any) -> Mapping[str, Any]:
    """Arguments of `dg.asset` for a dataset that holds `table`.

    What is the same on every day is told here; what a run tells is kept for each of its days.
    """
    metadata = {
        "dagster/table_name": table.name,
        "dagster/column_schema": column_schema(table),
        "first_date": table.first_date.isoformat(),
        "key": ", ".join(table.key),
        **more.pop("metadata", {}),
    }
    return {
        "name": table.name,
        "group_name": group.value,
        "description": table.description,
        "metadata": metadata,
        "owners": ["team:market-data"],
        "io_manager_key": "lake_io",
        "pool": Pool.DAILY.value,
        **more,
    }


def daily(table: Table, group: Group, **more: Any) -> Mapping[str, Any]:
    """Arguments of `dg.asset` for a dataset with a partition a trading day."""
    return described(
        table, group, partitions_def=TRADING_DAYS, backfill_policy=BACKFILL_POLICY, **more
    )


def computed(
    table: Table, group: Group, made_of: Iterable[Table], checks: Iterable[Check] = (), **more: Any
) -> Mapping[str, Any]:
    """Arguments of `dg.asset` for a daily dataset that is computed from stored days of others."""
    return daily(
        table,
        group,
        deps=[dg.AssetKey(one.name) for one in made_of],
        check_specs=check_specs(table, checks),
        kinds={"duckdb", "parquet"},
        **more,
    )


def fetched_daily(table: Table, chain: Chain) -> Mapping[str, Any]:
    """Arguments of `dg.asset` for a daily dataset of a chain that comes from Tushare as it is."""
    group = {Chain.STOCKS: Group.SHARES, Chain.FUNDS: Group.FUNDS, Chain.EXTRAS: Group.EXTRAS}
    checks = check_specs(table, (*fetched_checks(table), ANSWER))
    pool = Pool.EXTRAS if chain is Chain.EXTRAS else Pool.DAILY
    # Bars come first: by them it shows whether days of the other tables are whole.
    tags = {"dagster/priority": "1"} if table is DAILY_KLINE else {}
    kinds = {"tushare", "parquet"}
    return daily(
        table, group[chain], kinds=kinds, check_specs=checks, pool=pool.value, op_tags=tags
    )


def column_lineage(
    sources: Mapping[str, Iterable[tuple[Table, str]]],
) -> dict[str, dg.TableColumnLineage]:
    """Metadata of which columns each column is made from."""
    deps = {
        name: [dg.TableColumnDep(dg.AssetKey(table.name), column) for table, column in of_name]
        for name, of_name in sources.items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def column_schema(table: Table) -> dg.TableSchema:
    """The columns as Dagster's UI shows them: type, unit and both languages."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                str(column.type),
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )
