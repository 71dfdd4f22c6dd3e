"""What a series of premiums amounts to: mean, spread, extremes, and where it stands.

Here belongs pure arithmetic over a column. Whose premiums they are belongs to the caller.
"""

import datetime as dt
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc


class PremiumStatistics(NamedTuple):
    """Of the days that have a premium; ratios, 0.05 is 5 %.

    `sd` is the standard deviation of a sample (n - 1 in the divisor), None for a single day.
    """

    days: int
    mean: float
    sd: float | None
    min: float
    max: float
    median: float
    latest: float
    latest_date: dt.date


def premium_statistics(rows: pa.Table) -> PremiumStatistics | None:
    """The statistics of `rows`, which has `trade_date` and `premium`; None without any premium.

    Days whose premium is NULL count for nothing; the order of the rows does not matter.
    """
    known = rows.select(["trade_date", "premium"]).filter(pc.is_valid(rows["premium"]))
    if known.num_rows == 0:
        return None
    known = known.sort_by("trade_date").combine_chunks()
    premiums = known["premium"]
    extremes = pc.min_max(premiums).as_py()
    # Interpolated, so that an even count has the mean of the middle two.
    [median] = pc.quantile(premiums, q=0.5).to_pylist()
    return PremiumStatistics(
        days=known.num_rows,
        mean=pc.mean(premiums).as_py(),
        sd=pc.stddev(premiums, ddof=1).as_py(),
        min=extremes["min"],
        max=extremes["max"],
        median=median,
        latest=premiums[-1].as_py(),
        latest_date=known["trade_date"][-1].as_py(),
    )
