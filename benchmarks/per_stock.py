"""A backfill by day beside the original pipeline's full run, which asks stock by stock.

Both fetch the same rows from the same server on loopback, without a rate limit: seconds show the
work around the calls. With a limit the calls decide, so they are counted, and scaled to the whole
market at 200 calls a minute.
"""

import datetime as dt
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.measuring import in_own_process, show
from benchmarks.year import QUIET
from marketdata_assets.trading_calendar import sessions_between
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

DAYS = sessions_between(dt.date(2024, 1, 1), dt.date(2024, 3, 31))
STOCKS = 300
WHOLE_MARKET, A_YEAR, PER_MINUTE = 5_400, 242, 200
RENAMED = {
    "ts_code": "code",
    "trade_date": "date",
    "pre_close": "prev_close",
    "pct_chg": "quote_rate",
    "vol": "volume",
    "amount": "turnover",
    "up_limit": "high_limit",
    "down_limit": "low_limit",
}


class Quarter:
    """The first shares of the simulated market over some days, held in memory by day and code."""

    def __init__(self) -> None:
        exchange = SimulatedExchange()
        stocks = exchange.stock_basic(DAYS[-1])
        listed = exchange.daily(DAYS[0])["ts_code"][:STOCKS]
        self._stocks = _only(stocks, set(listed))
        calls = ("daily", "stk_limit", "daily_basic", "adj_factor", "suspend_d")
        self._days = {
            (call, day): _only(getattr(exchange, call)(day), set(listed))
            for call in calls
            for day in DAYS
        }

    def stock_basic(self, today: dt.date) -> Columns:
        return self._stocks

    def daily(self, day: dt.date) -> Columns:
        return self._days["daily", day]

    def stk_limit(self, day: dt.date) -> Columns:
        return self._days["stk_limit", day]

    def daily_basic(self, day: dt.date) -> Columns:
        return self._days["daily_basic", day]

    def adj_factor(self, day: dt.date) -> Columns:
        return self._days["adj_factor", day]

    def suspend_d(self, day: dt.date) -> Columns:
        return self._days["suspend_d", day]


def _only(columns: Columns, codes: set[object]) -> Columns:
    kept = [n for n, code in enumerate(columns["ts_code"]) if code in codes]
    return {name: [values[n] for n in kept] for name, values in columns.items()}


def by_stock(url: str, folder: str) -> None:
    """Three calls a stock through the stock client, joined in pandas, appended to one CSV."""
    from tushare.pro.client import DataApi

    DataApi._DataApi__http_url = url
    client, path = DataApi("x"), Path(folder) / "all.csv"
    stocks = client.stock_basic(fields="ts_code,name,area,industry,market,exchange,list_date")
    span = {"start_date": f"{DAYS[0]:%Y%m%d}", "end_date": f"{DAYS[-1]:%Y%m%d}"}
    for stock in stocks.itertuples(index=False):
        frames = [
            client.query(call, ts_code=stock.ts_code, **span).set_index(["ts_code", "trade_date"])
            for call in ("daily", "stk_limit", "daily_basic")
        ]
        frames[1] = frames[1].drop(columns="pre_close", errors="ignore")
        frames[2] = frames[2].drop(columns="close")
        merged = pd.concat(frames, axis=1).dropna(subset=["close"]).reset_index()
        for name in ("name", "area", "industry", "market", "exchange", "list_date"):
            merged[name] = getattr(stock, name)
        first = not path.exists()
        merged.rename(columns=RENAMED).to_csv(path, mode="a", header=first, index=False)


def by_day(url: str, folder: str) -> None:
    """The platform's chain over the same days."""
    import dagster as dg

    from marketdata_assets import environment
    from marketdata_assets.automation.chains import STOCKS
    from marketdata_assets.definitions import build_definitions
    from marketdata_assets.resources.tushare import TushareResource

    tushare = TushareResource(token="x", url=url, calls_per_minute=60_000, state_folder=folder)
    resources = environment.resources({"MARKETDATA_HOME": folder})
    definitions = build_definitions({**resources, "tushare": tushare})
    with dg.DagsterInstance.ephemeral() as instance:
        definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config=QUIET,
            asset_selection=[asset.key for asset in STOCKS.assets[:-1]],
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": DAYS[0].isoformat(),
                "dagster/asset_partition_range_end": DAYS[-1].isoformat(),
            },
        )


def main() -> None:
    figures = {}
    ways = ((by_day, "by day: this platform"), (by_stock, "by stock: the original"))
    with TushareServer(TushareProtocol(Quarter())).running() as server:
        for way, name in ways:
            server.requests.clear()
            with tempfile.TemporaryDirectory() as folder:
                figures[name] = (in_own_process(way, server.url, folder), len(server.requests))
    whole = {
        "by day: this platform": A_YEAR * 6 + 3,
        "by stock: the original": WHOLE_MARKET * 3 + 1,
    }
    base = figures[ways[0][1]][0].seconds
    rows = [
        (
            name,
            f"{measured.seconds:.1f}",
            f"{measured.seconds / base:.1f}",
            f"{calls:,}",
            f"{whole[name]:,}",
            f"{whole[name] / PER_MINUTE:.0f}",
        )
        for name, (measured, calls) in figures.items()
    ]
    show(
        f"{STOCKS} stocks × {len(DAYS)} days, and a year of the whole market",
        ("", "seconds", "ratio", "calls", "calls for a year", f"minutes at {PER_MINUTE}/min"),
        rows,
    )


if __name__ == "__main__":
    main()
