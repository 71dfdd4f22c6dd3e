"""Everything the platform is, for Dagster: assets, jobs, schedules, sensors, resources.

Here belongs the assembly alone. `build_definitions` is the seam: tests and commands hand in
other resources, and nothing else differs between the sandbox and the live market.
"""

from collections.abc import Mapping

import dagster as dg

from marketdata_assets import environment
from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.instrument_history import instrument_history
from marketdata_assets.assets.trade_calendar import trade_calendar
from marketdata_assets.automation.instruments import (
    instrument_histories,
    instrument_histories_schedule,
    tracked_codes_sensor,
)
from marketdata_assets.automation.jobs import CHAIN, calendar_check, daily_chain
from marketdata_assets.automation.schedules import calendar_check_schedule, daily_chain_schedule
from marketdata_assets.automation.sensors import missing_partitions_sensor


def build_definitions(resources: Mapping[str, object]) -> dg.Definitions:
    """The platform over `resources`: `tushare`, `lake`, `lake_io`, `hugging_face` and
    `instrument_sources`.

    Runs stay in one process: starting a process a step costs seconds, and the fetching steps
    already keep as many calls in flight as the allowance can use.
    """
    return dg.Definitions(
        assets=[trade_calendar, *CHAIN, hf_dataset, instrument_history],
        jobs=[daily_chain, calendar_check, instrument_histories],
        schedules=[
            daily_chain_schedule,
            calendar_check_schedule,
            instrument_histories_schedule,
        ],
        sensors=[missing_partitions_sensor, tracked_codes_sensor],
        resources=resources,
        executor=dg.in_process_executor,
    )


defs = build_definitions(environment.resources())
