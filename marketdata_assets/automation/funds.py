"""What is looked after of the funds: days that an evening left out, and values published late.

Funds that invest abroad publish the value of a day on the next one, long after the evening's run.
Here belongs who is waited for, and when the day is asked for again.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow.compute as pc

from marketdata_assets.automation import sensors
from marketdata_assets.automation.jobs import ETF_CHAIN, daily_chain, etf_chain
from marketdata_assets.partitions import start_date
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import ETF_NAV, ETF_PREMIUM
from marketdata_assets.trading_calendar import SHANGHAI, is_session, last_closed_sessions

# How long a value is waited for; what is missing even then, the vendor does not have.
SESSIONS_WAITED = 10
# Who has published nothing for so many sessions is not waited for: some funds tell quarterly.
SESSIONS_OF_SILENCE = 10
MORNING = dt.time(9, 0)
CODES_SHOWN = 10
LATE = frozenset({ETF_NAV.name, ETF_PREMIUM.name})


@dg.sensor(
    job=etf_chain,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the fund tables that are missing among the last 60 trading days, at "
    "once: today's every half hour from 22:30 in Shanghai, those of earlier days once a day.",
)
def missing_etf_partitions_sensor(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    if sensors.are_days_made(context.instance, daily_chain.name):
        return dg.SkipReason(sensors.UNDER_WAY)
    now = dt.datetime.now(SHANGHAI)
    stored = lake.open()
    due = sensors.sessions_due(now, sensors.sensors_from(stored, ETF_PREMIUM, now))
    watched = [day for day in due if day >= ETF_PREMIUM.first_date]
    missing = missing_fund_tables(stored, watched)
    if not missing:
        return dg.SkipReason(f"nothing is missing in the last {len(watched)} trading days")
    return dg.SensorResult(run_requests=list(sensors.requests_for(watched, missing, now)))


@dg.sensor(
    job=etf_chain,
    minimum_interval_seconds=30 * 60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every trading morning from 9:00 in Shanghai: asks once more for the net asset "
    "values that funds had not published yet, up to 10 trading days.",
)
def late_navs_sensor(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    return late_navs(lake.open(), dt.datetime.now(SHANGHAI), context.cursor)


def missing_fund_tables(lake: Lake, days: Sequence[dt.date]) -> dict[dt.date, frozenset[str]]:
    """For every day that lacks something, the tables to ask for.

    A day that has all but its premiums was refused for what the other tables say: all are asked
    for again. Where another one is missing, it is asked for with the premiums made of it. Premiums
    that do not know the stored values are asked for alone.
    """
    names = frozenset(sensors.names_of(ETF_CHAIN))
    premium = frozenset({ETF_PREMIUM.name})
    missing = {
        day: names if lacking == premium else lacking | premium
        for day, lacking in sensors.missing_tables(lake, days, sorted(names)).items()
    }
    outdated = [day for day in days if day not in missing and are_premiums_outdated(lake, day)]
    return missing | dict.fromkeys(outdated, premium)


def are_premiums_outdated(lake: Lake, day: dt.date) -> bool:
    """Whether values were stored after the premiums of `day` that these do not know.

    What is stored later and would make the same premiums, as values of funds without a bar, is not
    asked for: premiums that stay the same keep the hour they were stored at.
    """
    values_stored, premiums_stored = lake.describe(ETF_NAV, day), lake.describe(ETF_PREMIUM, day)
    if values_stored is None or premiums_stored is None:
        return False
    if values_stored.stored_at <= premiums_stored.stored_at:
        return False
    navs, premiums = lake.read(ETF_NAV, day), lake.read(ETF_PREMIUM, day)
    if navs is None or premiums is None:
        return False
    own = navs.filter(pc.equal(navs["nav_date"], navs["trade_date"]))
    columns = (own[name].to_pylist() for name in ("ts_code", "unit_nav", "ann_date"))
    values = {code: told for code, *told in zip(*columns, strict=True)}
    known = (premiums[name].to_pylist() for name in ("ts_code", "unit_nav", "nav_ann_date"))
    return any(told != values.get(code, [None, None]) for code, *told in zip(*known, strict=True))


def late_navs(lake: Lake, now: dt.datetime, asked: str | None) -> dg.SensorResult | dg.SkipReason:
    """What to ask for at `now` (in Shanghai); `asked` is the last morning on which it was done."""
    today = now.date()
    if not is_session(today) or now.time() < MORNING:
        return dg.SkipReason("looking on trading days from 9:00 in Shanghai")
    watched = sessions_waited_for(now)
    waited = waited_for(lake, watched)
    if not waited:
        return dg.SkipReason("no net asset value is waited for")
    if asked == today.isoformat():
        return dg.SkipReason(f"asked this morning already; waiting for {in_words(waited)}")
    # A day by itself: one that is refused keeps no other from its premiums.
    runs = [sensors.request([day], LATE, f"values of {day} on {today}") for day in sorted(waited)]
    return dg.SensorResult(run_requests=runs, cursor=today.isoformat())


def sessions_waited_for(now: dt.datetime) -> list[dt.date]:
    """The sessions before the day of `now` whose values may still come, oldest first."""
    closed = last_closed_sessions(SESSIONS_WAITED + 1, now)
    before_today = [day for day in closed if day < now.astimezone(SHANGHAI).date()]
    first = max(start_date(), ETF_PREMIUM.first_date)
    return [day for day in before_today[-SESSIONS_WAITED:] if day >= first]


def waited_for(lake: Lake, days: Sequence[dt.date]) -> dict[dt.date, list[str]]:
    """For every day the funds whose value has not come, those that have long been silent apart."""
    if not days:
        return {}
    stored = [day for day in lake.days(ETF_PREMIUM) if day <= days[-1]]
    silent: Counter[str] = Counter()
    waited: dict[dt.date, list[str]] = {}
    for day in stored[-SESSIONS_OF_SILENCE - len(days) :]:
        premiums = lake.read(ETF_PREMIUM, day)
        if premiums is None:
            continue
        is_late = pc.is_null(premiums["unit_nav"])
        late = premiums.filter(is_late)["ts_code"].to_pylist()
        awaited = [code for code in late if silent[code] < SESSIONS_OF_SILENCE]
        if day in days and awaited:
            waited[day] = awaited
        for code in premiums.filter(pc.invert(is_late))["ts_code"].to_pylist():
            del silent[code]
        silent.update(late)
    return waited


def in_words(waited: Mapping[dt.date, Sequence[str]]) -> str:
    return "; ".join(
        f"{day}: {len(codes)} fund(s), {', '.join(codes[:CODES_SHOWN])}"
        + (" …" if len(codes) > CODES_SHOWN else "")
        for day, codes in sorted(waited.items())
    )
