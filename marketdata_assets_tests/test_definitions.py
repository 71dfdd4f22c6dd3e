"""The assembly: what is in the graph, and what importing it costs."""

import itertools
import subprocess
import sys

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.dependency import NodeHandle

from marketdata_assets.api.api_settings import page_address
from marketdata_assets.assets.asset_arguments import Group, Pool
from marketdata_assets.assets.instrument_history import instrument_history
from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.assets.range_query import ASKED, range_query
from marketdata_assets.automation.chains import CHAINS, RETRY_OUTAGE
from marketdata_assets.definitions import defs, link_to_days
from marketdata_assets.partitions import BACKFILL_POLICY, TRADING_DAYS
from marketdata_assets.serving.queries import ExportQuery
from marketdata_assets.storage.series import SERIES_ASSETS
from marketdata_assets.tables import DAILY_PRICES, ETF_LIST, ETF_PREMIUM, STORED_TABLES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets_tests import PROJECT

STOCKS_FETCHED = [table.name for table in STORED_TABLES.values() if table.chain is Chain.STOCKS]
FUNDS_FETCHED = [table.name for table in STORED_TABLES.values() if table.chain is Chain.FUNDS]
EXTRAS = [table.name for table in STORED_TABLES.values() if table.chain is Chain.EXTRAS]
EXPLAINED = [
    "adj_factor",
    "daily_basic",
    "daily_kline",
    "price_limits",
    "stock_list",
    "suspensions",
]
GRAPH = {
    "trade_calendar": [],
    "stock_list": [],
    **{name: [] for name in STOCKS_FETCHED},
    "coverage": EXPLAINED,
    "suspended": ["coverage", "suspensions"],
    "daily_prices": ["coverage", *EXPLAINED],
    "findings": [
        "daily_prices",
        "stock_list",
        *STOCKS_FETCHED,
        "etf_list",
        "etf_premium",
        *FUNDS_FETCHED,
    ],
    "restatements": ["daily_prices", "stock_list", *STOCKS_FETCHED],
    "hf_dataset": ["daily_prices", "suspended", "findings"],
    "price_series": ["daily_prices"],
    "adj_factor_series": ["adj_factor"],
    "etf_price_series": ["etf_premium"],
    "instrument_history": [],
    "etf_list": [],
    **{name: [] for name in (*FUNDS_FETCHED, *EXTRAS)},
    "etf_coverage": ["etf_kline", "etf_list", "etf_nav"],
    "etf_premium": ["etf_kline", "etf_list", "etf_nav"],
    "range_query": [
        "adj_factor_series",
        "etf_price_series",
        "instrument_history",
        "price_series",
    ],
}


def nodes() -> dict[str, dg.AssetSpec]:
    return {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs()}


def test_the_asset_graph() -> None:
    found = {
        name: sorted(dep.asset_key.path[-1] for dep in spec.deps) for name, spec in nodes().items()
    }
    assert found == {name: sorted(upstream) for name, upstream in GRAPH.items()}


def test_jobs_schedules_and_sensors_are_there() -> None:
    repository = defs.get_repository_def()
    assert {job for job in repository.job_names if not job.startswith("__")} == {
        "daily_chain",
        "etf_chain",
        "extra_tables",
        "calendar_check",
        "series_refresh",
        "instrument_histories",
        "range_queries",
        "history_pruning",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "daily_chain_schedule",
        "etf_chain_schedule",
        "calendar_check_schedule",
        "recent_days_again_schedule",
        "past_month_again_schedule",
        "instrument_histories_schedule",
        "history_pruning_schedule",
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "missing_partitions_sensor",
        "missing_etf_partitions_sensor",
        "late_navs_sensor",
        "extra_tables_sensor",
        "price_series_sensor",
        "tracked_codes_sensor",
        "requests_sensor",
        "history_size_sensor",
        "run_failure_alert",
        "failed_checks_alert",
        "incomplete_day_alert",
        "calendar_end_alert",
    }


def test_one_run_of_a_pool_at_a_time_and_every_asset_in_one() -> None:
    settings = yaml.safe_load((PROJECT / "dagster.yaml").read_text("utf-8"))["concurrency"]
    assert settings["pools"] == {"granularity": "run", "default_limit": 1}
    assert settings["runs"]["max_concurrent_runs"] > len(Pool)
    beside = {series.key: Pool.SERIES for series in SERIES.values()}
    beside |= {instrument_history.key: Pool.INSTRUMENTS, range_query.key: Pool.EXPORTS}
    beside |= {dg.AssetKey(name): Pool.EXTRAS for name in EXTRAS}
    for asset in defs.resolve_asset_graph().assets_defs:
        if asset.is_executable:
            assert asset.op.pool == beside.get(asset.key, Pool.DAILY)


def test_every_daily_asset_shares_the_partitions_and_the_backfill_policy() -> None:
    for asset in [asset for chain in CHAINS for asset in chain.assets]:
        assert asset.partitions_def == TRADING_DAYS
        assert asset.backfill_policy == BACKFILL_POLICY


def test_every_asset_is_described_grouped_and_shows_its_columns_with_units() -> None:
    for name, table in STORED_TABLES.items():
        spec = nodes()[name]
        assert table.doc in spec.description
        assert table.doc_zh in spec.description
        assert spec.group_name in list(Group)
        assert spec.kinds
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == table.column_names
        for column, declared in zip(columns, table.columns, strict=True):
            assert declared.unit in column.description
            assert declared.doc_zh in column.description


def test_what_no_day_changes_is_told_by_the_definition() -> None:
    for name in STORED_TABLES:
        assert nodes()[name].metadata["dagster/table_name"] == name
    copies = {SERIES_ASSETS[table.name]: table for table in SERIES}
    for name, table in {"daily_prices": DAILY_PRICES, "etf_premium": ETF_PREMIUM, **copies}.items():
        lineage = nodes()[name].metadata["dagster/column_lineage"].deps_by_column
        assert set(lineage) == set(table.column_names)
        upstream = {dep.asset_key for dep in nodes()[name].deps}
        for source in itertools.chain(*lineage.values()):
            assert source.asset_key in upstream
            assert source.column_name in STORED_TABLES[source.asset_key.path[-1]].column_names
    lineage = nodes()["etf_premium"].metadata["dagster/column_lineage"].deps_by_column
    of_the_list = {one.column_name for one in lineage["no_premium"]} & set(ETF_LIST.column_names)
    assert of_the_list == {"fund_type", "invest_type"}


@pytest.mark.parametrize(
    ("settings", "page"),
    [
        ({}, "http://127.0.0.1:5000"),
        ({"API_PORT": "5001"}, "http://127.0.0.1:5001"),
        ({"API_HOST": "0.0.0.0"}, ""),
        ({"API_ROOT_PATH": "/marketdata"}, ""),
    ],
)
def test_a_table_has_a_link_to_its_days_where_this_machine_knows_the_page(
    settings: dict[str, str], page: str
) -> None:
    assert page_address(settings) == page
    bare = {name: dg.AssetSpec(name) for name in ("daily_kline", "price_series")}
    told = {name: link_to_days(spec, page).metadata for name, spec in bare.items()}
    link = dg.MetadataValue.url(f"{page}/#/coverage/daily_kline")
    assert told["daily_kline"] == ({"page": link} if page else {})
    assert told["price_series"] == {}


def test_the_definitions_are_linked() -> None:
    assert nodes()["daily_prices"].metadata["page"].value.endswith("/#/coverage/daily_prices")


def test_the_retry_policy_is_applied_to_every_step_of_the_jobs() -> None:
    for name in ("daily_chain", "etf_chain", "extra_tables"):
        job = defs.resolve_job_def(name)
        steps = [NodeHandle(node.name, None) for node in job.nodes]
        assert {job.get_retry_policy_for_handle(step) for step in steps} == {RETRY_OUTAGE}
    waits = [RETRY_OUTAGE.calculate_delay(attempt) / 60 for attempt in (1, 2, 3)]
    assert waits == [10, 20, 30]


def test_importing_the_definitions_imports_no_heavy_client() -> None:
    code = (
        "import sys, marketdata_assets.definitions; "
        "heavy = ('tushare', 'akshare', 'apprise', 'asyncssh', 'huggingface_hub'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
    assert run.stderr == ""


def test_a_run_takes_all_that_an_export_may_ask_for() -> None:
    assert set(ASKED) == set(ExportQuery.model_fields)
