"""When days are asked for: on the market's evening, and afterwards what that left unfinished.

Schedules ask the trading calendar which days trade, never the partitions' last key, which on a
holiday is the next session's. Here belongs which days are looked at, and when. What they lack is
`day_runs`.

Of the tables that EXTRA_TABLES names nothing is made, so one that is late or refused costs neither
prices nor another table its day: they have a job and a pool of their own, and are asked for when
nothing else is under way, of days whose prices are stored.
"""

import datetime as dt
from collections.abc import Collection

import dagster as dg

from marketdata_assets import timetable
from marketdata_assets.assets.fetched_tables import fetched
from marketdata_assets.assets.trade_calendar import trade_calendar
from marketdata_assets.automation.chains import CHAINS, FUNDS, RETRY_OUTAGE, STOCKS, DayChain
from marketdata_assets.automation.day_runs import (
    FIRST,
    Lacking,
    are_days_made,
    is_under_way,
    missing_datasets,
    requests_for,
)
from marketdata_assets.partitions import start_date
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES, STORED_TABLES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.timetable import EVENING_IS_OVER, SESSIONS_WATCHED
from marketdata_assets.trading_calendar import (
    SHANGHAI,
    is_session,
    last_session_over,
    previous_session,
)

UNDER_WAY = "a run is under way; looking again afterwards"


def evening_schedule(chain: DayChain) -> dg.ScheduleDefinition:
    """Makes the day of a chain on its evening."""
    begins, *again = [f"{at:%H:%M}" for at in chain.evening.at]

    @dg.schedule(
        name=chain.evening.schedule,
        job=chain.job,
        cron_schedule=chain.evening.crons,
        execution_timezone=SHANGHAI.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every trading day at {begins} in Shanghai: {chain.doc[0].lower()}"
        f"{chain.doc[1:]}. What is late is asked for again at {', '.join(again)}.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        now, moment = dt.datetime.now(SHANGHAI), context.scheduled_execution_time
        return of_evening(chain, moment, context.instance, lake.open(), now)

    return schedule


evening_schedules = [evening_schedule(chain) for chain in CHAINS]


calendar_check = dg.define_asset_job(
    "calendar_check",
    selection=dg.AssetSelection.assets(trade_calendar),
    description="Fetches the vendor's calendar and fails if the partitions disagree with it.",
    # At 20:35 and 20:40, to be out of the evening's way.
    op_retry_policy=dg.RetryPolicy(max_retries=2, delay=300),
    tags={"dagster/max_runtime": "1500"},
)


@dg.schedule(
    job=calendar_check,
    cron_schedule=timetable.CALENDAR_CHECK.crons,
    execution_timezone=SHANGHAI.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 20:30 in Shanghai, closed days too: a wrong holiday must show.",
)
def calendar_check_schedule() -> dg.RunRequest:
    return dg.RunRequest()


def of_evening(
    chain: DayChain,
    scheduled: dt.datetime,
    instance: dg.DagsterInstance,
    lake: Lake,
    now: dt.datetime,
) -> dg.RunRequest | dg.SkipReason:
    """A run for the day of the evening, unless it is complete, under way, or the sensors' at `now`.

    It goes before the waiting runs of a backfill.
    """
    moment = scheduled.astimezone(SHANGHAI)
    day = moment.date()
    if not is_session(day):
        return dg.SkipReason(f"{day} is not a trading day")
    if now >= dt.datetime.combine(day, sensors_from(chain, lake, now), SHANGHAI):
        return dg.SkipReason(f"{day} is asked for by the sensor, with the days missed before it")
    if is_under_way(instance, chain.name, day):
        return dg.SkipReason(f"a run of {day} is under way")
    if not missing_datasets(instance, lake, [day], chain.names):
        return dg.SkipReason(f"{day} is complete")
    return dg.RunRequest(
        run_key=f"{moment:%Y-%m-%d %H:%M}",
        partition_key=day.isoformat(),
        tags={"dagster/priority": FIRST},
    )


def missing_days_sensor(chain: DayChain, name: str) -> dg.SensorDefinition:
    """Asks for what the last days of a chain lack."""

    @dg.sensor(
        name=name,
        job=chain.job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Requests exactly what is missing among the last {SESSIONS_WATCHED} trading "
        f"days, at once: today's every half hour from {EVENING_IS_OVER:%H:%M} in Shanghai, that of "
        "earlier days once a day.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        stored = lake.open()
        # Of several hosts a question for each day would cost more than the lists of their years.
        with stored.looking_once():
            return missing_days(chain, context.instance, stored, dt.datetime.now(SHANGHAI))

    return sensor


missing_partitions_sensor = missing_days_sensor(STOCKS, "missing_partitions_sensor")
missing_etf_partitions_sensor = missing_days_sensor(FUNDS, "missing_etf_partitions_sensor")


def missing_days(
    chain: DayChain, instance: dg.DagsterInstance, stored: Lake, now: dt.datetime
) -> dg.SensorResult | dg.SkipReason:
    """What to ask for at `now`, in Shanghai: days in order, neighbouring ones in one run."""
    if are_days_made(instance, [one for one in Chain if one is not chain.name]):
        return dg.SkipReason(UNDER_WAY)
    due = sessions_due(now, sensors_from(chain, stored, now))
    watched = [day for day in due if day >= chain.result.first_date]
    lacking = chain.lacking(instance, stored, watched, chain.names)
    if not lacking.names:
        return dg.SkipReason(f"nothing is missing in the last {len(watched)} trading days")
    return dg.SensorResult(run_requests=list(requests_for(watched, lacking, now)))


def sensors_from(chain: DayChain, lake: Lake, now: dt.datetime) -> dt.time:
    """From when on the day of the evening is the sensors' to ask for and no longer a schedule's.

    That is at its end; or at once when the session before was not made, as when nothing ran for
    some evenings: one who asks for all of them has them made in order, each once.
    """
    table = chain.result
    before = previous_session(last_session_over(now))
    is_missed = before >= max(start_date(), table.first_date) and not lake.has(table, before)
    return STOCKS.evening.at[0] if is_missed else EVENING_IS_OVER


def sessions_due(now: dt.datetime, since: dt.time = EVENING_IS_OVER) -> list[dt.date]:
    """The last sessions up to `now` that are partitions, the day itself `since` an hour."""
    return [day for day in timetable.sessions_due(now, since) if day >= start_date()]


EXTRAS = fetched(Chain.EXTRAS)

extra_tables_job = dg.define_asset_job(
    Chain.EXTRAS.value,
    selection=dg.AssetSelection.assets(*EXTRAS),
    description="Tables beside the evening's; also to backfill with.",
    op_retry_policy=RETRY_OUTAGE,
)


@dg.sensor(
    name="extra_tables_sensor",
    job=extra_tables_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests what EXTRA_TABLES names and the last "
    f"{SESSIONS_WATCHED} trading days with prices lack: today's every half hour from "
    f"{EVENING_IS_OVER:%H:%M} in Shanghai, that of earlier days once a day from when it is out.",
)
def extra_tables_sensor(
    context: dg.SensorEvaluationContext,
    lake: LakeResource,
    extra_tables: dg.ResourceParam[list[str]],
) -> dg.SensorResult | dg.SkipReason:
    now, stored = dt.datetime.now(SHANGHAI), lake.open()
    with stored.looking_once():
        return missing_extras(extra_tables, context.instance, stored, now)


def missing_extras(
    names: Collection[str], instance: dg.DagsterInstance, stored: Lake, now: dt.datetime
) -> dg.SensorResult | dg.SkipReason:
    """What to ask for at `now`, in Shanghai: days in order, neighbouring ones in one run."""
    if not names:
        return dg.SkipReason("EXTRA_TABLES names no table")
    if are_days_made(instance, ()):
        return dg.SkipReason(UNDER_WAY)
    days = sessions_due(now)
    made = [day for day in days if stored.has(DAILY_PRICES, day)]
    lacking: dict[dt.date, frozenset[str]] = {}
    for name in names:
        table = STORED_TABLES[name]
        for day in made:
            is_due = day >= table.first_date and now >= table.tushare.out_at(day)
            if is_due and not stored.has(table, day):
                lacking[day] = lacking.get(day, frozenset()) | {name}
    if not lacking:
        return dg.SkipReason(f"nothing is missing in the last {len(days)} trading days")
    return dg.SensorResult(run_requests=list(requests_for(days, Lacking(lacking), now)))
