"""Everything the platform is, for Dagster: assets, jobs, schedules, sensors, resources.

Here belongs the assembly alone. `build_definitions` is the seam: tests and commands hand in
other resources, and nothing else differs between the sandbox and the live market.
"""

import os
from collections.abc import Mapping
from functools import partial

import dagster as dg

from marketdata_assets import environment
from marketdata_assets.api.api_settings import page_address
from marketdata_assets.assets.instrument_history import instrument_history
from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.assets.range_query import range_query
from marketdata_assets.assets.trade_calendar import trade_calendar
from marketdata_assets.automation.alerting import (
    calendar_end_alert,
    failed_checks_alert,
    incomplete_day_alert,
    run_failure_alert,
)
from marketdata_assets.automation.chains import CHAINS
from marketdata_assets.automation.evenings import (
    EXTRAS,
    calendar_check,
    calendar_check_schedule,
    evening_schedules,
    extra_tables_job,
    extra_tables_sensor,
    missing_etf_partitions_sensor,
    missing_partitions_sensor,
)
from marketdata_assets.automation.pruning import (
    history_pruning,
    history_pruning_schedule,
    history_size_sensor,
)
from marketdata_assets.automation.refetching import (
    late_navs_sensor,
    past_month_again_schedule,
    recent_days_again_schedule,
)
from marketdata_assets.automation.requests_sensor import (
    instrument_histories,
    instrument_histories_schedule,
    range_queries,
    requests_sensor,
    tracked_codes_sensor,
)
from marketdata_assets.automation.series_sensor import price_series_sensor, series_refresh
from marketdata_assets.console import leave_out_expected_traces
from marketdata_assets.settings import log_level
from marketdata_assets.tables import STORED_TABLES


def out_of_reach(resource: object) -> object:
    """`resource` as it is, but without a field that the config of a run could set.

    What it is configured with, a setting's name in place of a secret, is read when a run begins.
    """
    if not isinstance(resource, dg.ConfigurableResource | dg.ConfigurableIOManagerFactory):
        return resource
    definition = resource.get_resource_definition()
    values = definition.config_schema.default_value
    return definition.configured(lambda _: values, config_schema={})


def link_to_days(spec: dg.AssetSpec, page: str) -> dg.AssetSpec:
    """`spec` with a link to what the page shows of a table that is stored by day.

    It is told of the table, not of each day, so that it is right when the page has moved.
    """
    table = STORED_TABLES.get(spec.key.path[-1])
    if not page or table is None or table.date_column is None or table.code_column:
        return spec
    link = dg.MetadataValue.url(f"{page}/#/coverage/{table.name}")
    return spec.merge_attributes(metadata={"page": link})


def build_definitions(
    resources: Mapping[str, object],
    executor: dg.ExecutorDefinition = dg.in_process_executor,
    page: str = "",
) -> dg.Definitions:
    """The platform over `resources`: `tushare`, `lake`, `lake_io`, `publisher`,
    `alerts`, `instrument_sources`, `run_history_days`, `extra_tables`.

    No run may set them: its config comes from whoever can launch one, and would say where the
    token is sent to, and which folders are written.

    Runs stay in one process: starting a process a step costs seconds, and the fetching steps
    already keep as many calls in flight as the allowance can use. Several hosts hand in another
    executor. `page` is the address of the page, where one is known.
    """
    assets = [
        trade_calendar,
        *(asset for chain in CHAINS for asset in chain.assets),
        *EXTRAS,
        *SERIES.values(),
        instrument_history,
        range_query,
    ]
    return dg.Definitions(
        assets=dg.map_asset_specs(partial(link_to_days, page=page), assets) if page else assets,
        jobs=[
            *(chain.job for chain in CHAINS),
            extra_tables_job,
            calendar_check,
            series_refresh,
            instrument_histories,
            range_queries,
            history_pruning,
        ],
        schedules=[
            *evening_schedules,
            recent_days_again_schedule,
            past_month_again_schedule,
            calendar_check_schedule,
            instrument_histories_schedule,
            history_pruning_schedule,
        ],
        sensors=[
            missing_partitions_sensor,
            missing_etf_partitions_sensor,
            late_navs_sensor,
            extra_tables_sensor,
            price_series_sensor,
            tracked_codes_sensor,
            requests_sensor,
            history_size_sensor,
            run_failure_alert,
            failed_checks_alert,
            incomplete_day_alert,
            calendar_end_alert,
        ],
        resources={
            # Dagster's own, for outputs without a value.
            "io_manager": out_of_reach(dg.FilesystemIOManager()),
            **{name: out_of_reach(resource) for name, resource in resources.items()},
        },
        executor=executor,
    )


# Of Dagster's own commands nothing is left out: `dev` alone sets a level.
leave_out_expected_traces(log_level(os.environ, "debug"))
defs = build_definitions(environment.resources(), environment.executor(), page_address(os.environ))
