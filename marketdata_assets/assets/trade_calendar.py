"""The vendor's trading calendar, and the proof that the partitions agree with it."""

import datetime as dt

import dagster as dg
import pyarrow as pa

from marketdata_assets.assets.asset_arguments import Group, described, failing_at_once
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.tables import TRADE_CALENDAR
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    last_published_session,
    sessions_between,
)


@dg.asset(**described(TRADE_CALENDAR, Group.SHARES, kinds={"tushare", "parquet"}))
def trade_calendar(context: dg.AssetExecutionContext, tushare: TushareResource) -> pa.Table:
    last_day = dt.date(last_published_session().year, 12, 31)
    with failing_at_once():
        calendar = tushare.trade_cal(FIRST_SESSION, last_day)
    today = dt.datetime.now(SHANGHAI).date()
    differences = disagreements(calendar, today)
    if differences:
        raise dg.Failure(
            f"trade_calendar: the vendor and the partitions disagree on {len(differences)} day(s): "
            f"{'; '.join(differences[:5])}. Upgrade exchange_calendars if the vendor is right; "
            "until then, prices of these days are wrong or missing.",
            allow_retries=False,
        )
    days = sorted(calendar["cal_date"].to_pylist())
    context.add_output_metadata({"first day": str(days[0]), "last day": str(days[-1])})
    return calendar


def disagreements(calendar: pa.Table, today: dt.date) -> list[str]:
    """One line for every day on which the vendor's calendar and ours differ, oldest first.

    `calendar` has the columns of TRADE_CALENDAR and must cover every day from 2005-01-04 to
    `today`; what it says of later days is compared too.
    """
    open_by_day = dict(
        zip(calendar["cal_date"].to_pylist(), calendar["is_open"].to_pylist(), strict=True)
    )
    last = max(today, *open_by_day)
    ours = set(sessions_between(FIRST_SESSION, last))
    lines = []
    for day in (FIRST_SESSION + dt.timedelta(n) for n in range((last - FIRST_SESSION).days + 1)):
        if day not in open_by_day:
            lines.append(f"{day} is not in trade_cal")
        elif bool(open_by_day[day]) != (day in ours):
            vendor, own = ("open", "closed") if open_by_day[day] else ("closed", "open")
            lines.append(f"{day} is {vendor} in trade_cal and {own} in exchange_calendars")
    return lines
