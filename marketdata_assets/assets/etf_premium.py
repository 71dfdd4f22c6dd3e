"""The premium of every exchange-listed fund: its close over its net asset value of the same day.

A value is never carried forward: a fund that has not published the day's has no premium yet, and
a value of a day without a bar makes none.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.assets.asset_arguments import Group, column_lineage, computed
from marketdata_assets.assets.quality_gate import Checked, CheckedDay, QualityGate
from marketdata_assets.assets.stored_days import complete_days, premiums_before, tables_of
from marketdata_assets.checks.excuses import Excuses, excuses_in
from marketdata_assets.checks.ledger import held_rows
from marketdata_assets.checks.premium import (
    IS_OUT_OF_BOUNDS,
    OUT_OF_BOUNDS,
    PREMIUM_CHECKS,
    check_inputs,
)
from marketdata_assets.checks.running import run_checks
from marketdata_assets.checks.sessions import calendar_around
from marketdata_assets.storage.io_manager import FetchedDays, LakeResource, by_day, tell_of_day
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.premium_statistics import premium_statistics
from marketdata_assets.tables import ETF_KLINE, ETF_LIST, ETF_NAV, ETF_PREMIUM

Relation = duckdb.DuckDBPyRelation

PREMIUMS_ARE_OF = (ETF_KLINE, ETF_NAV, ETF_LIST)
NOT_PUBLISHED = "nav not published"
OTHER_SCALE = "nav on another scale"
_LINEAGE = {
    **{c: [(ETF_KLINE, c)] for c in ETF_PREMIUM.column_names if c in ETF_KLINE.column_names},
    "name": [(ETF_LIST, "name")],
    "unit_nav": [(ETF_NAV, "unit_nav")],
    "nav_ann_date": [(ETF_NAV, "ann_date")],
    "premium": [(ETF_KLINE, "close"), (ETF_NAV, "unit_nav")],
    "no_premium": [
        (ETF_KLINE, "close"),
        (ETF_NAV, "unit_nav"),
        (ETF_LIST, "fund_type"),
        (ETF_LIST, "invest_type"),
    ],
}


@dg.asset(
    **computed(
        ETF_PREMIUM,
        Group.FUNDS,
        PREMIUMS_ARE_OF,
        PREMIUM_CHECKS,
        metadata=column_lineage(_LINEAGE),
    )
)
def etf_premium(context: dg.AssetExecutionContext, lake: LakeResource) -> Checked:
    stored = lake.open()
    excuses = excuses_in(stored)
    days = complete_days(context, ETF_PREMIUM, stored, PREMIUMS_ARE_OF)
    judged = judged_funds(stored, days, excuses)
    findings = run_checks(ETF_PREMIUM.name, judged.inputs, PREMIUM_CHECKS, excuses)
    gate = QualityGate(context, ETF_PREMIUM, PREMIUM_CHECKS, stored)

    def checked() -> Iterator[CheckedDay]:
        for day, data in by_day(ETF_PREMIUM, judged.premiums):
            tell_of_day(context, day, told(data))
            yield CheckedDay(day, data, [finding for finding in findings if finding.day == day])

    yield dg.Output(FetchedDays([], gate.passing(checked())))
    yield from gate.outcomes()


class JudgedFunds(NamedTuple):
    """ETF_PREMIUM of stored days without bars that are held, what is checked of it, and what both
    are made of: the bars, the lists, and SESSIONS."""

    premiums: Relation
    inputs: Relation
    kline: Relation
    funds: Relation
    sessions: pa.Table


def judged_funds(lake: Lake, days: Sequence[dt.date], excuses: Excuses) -> JudgedFunds:
    """Stored days of funds as their premiums, their ledger and the findings judge them."""
    kline, navs, funds = tables_of(lake, PREMIUMS_ARE_OF, days).values()
    rows = premiums(kline.filter(f"NOT {held_rows(excuses, ETF_KLINE)}"), navs, funds)
    before = premiums_before(lake, days[0])
    sessions = calendar_around(days, pc.unique(before["trade_date"]).to_pylist())
    inputs = check_inputs(rows, kline, navs, funds, before, sessions)
    return JudgedFunds(rows, inputs, kline, funds, sessions)


def premiums(kline: Relation, navs: Relation, funds: Relation) -> Relation:
    """ETF_PREMIUM: every bar of `kline`, with the value of the same day where there is one.

    `kline` has ETF_KLINE, `navs` ETF_NAV, `funds` ETF_LIST. premium = close / unit_nav - 1, a
    ratio. The value of a money market fund is often told for one yuan while a share is quoted at
    100: where the two differ by more than half, there is no premium. A fund that is not in the list
    may be one. Nor is there a premium where price and value can't belong together, as when a split
    is told on one side only.
    """
    values = navs.filter("nav_date = trade_date").select("ts_code, trade_date, unit_nav, ann_date")
    names = funds.select(
        "ts_code, trade_date, name, "
        "contains(concat(fund_type, invest_type), '货币') AS is_money_market"
    )
    return (
        kline.join(values, "ts_code, trade_date", how="left")
        .join(names, "ts_code, trade_date", how="left")
        .select(
            f"""
            *,
            CASE
                WHEN unit_nav IS NULL THEN '{NOT_PUBLISHED}'
                WHEN coalesce(is_money_market, true) AND abs(close / unit_nav - 1) > 0.5
                    THEN '{OTHER_SCALE}'
                WHEN {IS_OUT_OF_BOUNDS} THEN '{OUT_OF_BOUNDS}'
            END AS no_premium
            """
        )
        .select(
            """
            trade_date, ts_code, name, open, high, low, close, pre_close, pct_chg, vol, amount,
            unit_nav, ann_date AS nav_ann_date,
            CASE WHEN no_premium IS NULL THEN close / unit_nav - 1 END AS premium,
            no_premium
            """
        )
    )


def told(day: pa.Table) -> dict[str, dg.MetadataValue]:
    """What the UI shows of one day of ETF_PREMIUM: who has a premium, and how large they are."""
    reasons = pc.value_counts(day["no_premium"]).to_pylist()
    counts = {entry["values"]: entry["counts"] for entry in reasons}
    facts: dict[str, dg.MetadataValue] = {
        "funds": dg.MetadataValue.int(day.num_rows),
        "nav not published": dg.MetadataValue.int(counts.get(NOT_PUBLISHED, 0)),
        "nav on another scale": dg.MetadataValue.int(counts.get(OTHER_SCALE, 0)),
        OUT_OF_BOUNDS: dg.MetadataValue.int(counts.get(OUT_OF_BOUNDS, 0)),
    }
    statistics = premium_statistics(day)
    if statistics is not None:
        for name in ("mean", "sd", "min", "max", "median"):
            value = getattr(statistics, name)
            if value is not None:
                facts[f"premium, {name}"] = dg.MetadataValue.float(value)
    return facts
