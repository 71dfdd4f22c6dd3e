"""The demo's table of premiums: a few well-known funds on the last day, and how usual that is.

Here belongs what is shown of the funds; everything else of the demo is `demo`.
"""

import datetime as dt

import duckdb
from rich.table import Table as Grid

from marketdata_assets.storage.premium_statistics import premium_statistics
from marketdata_assets.tables import ETF_PREMIUM

SHOWN = ("510300.SH", "159915.SZ", "513100.SH", "518880.SH", "161725.SZ", "511990.SH")
SESSIONS = 20


def premium_grid(connection: duckdb.DuckDBPyConnection, last: dt.date) -> Grid:
    """The funds `SHOWN` on the day `last`, beside mean and sd of the last 20 stored sessions.

    `connection` is to the catalog.
    """
    grid = Grid(box=None, padding=(0, 1), header_style="bold")
    grid.add_column("fund", no_wrap=True)
    grid.add_column("name", no_wrap=True)
    for name in ("close", "NAV", "premium", "mean", "sd"):
        grid.add_column(name, justify="right", no_wrap=True)
    for code in SHOWN:
        rows = connection.sql(
            f"SELECT * FROM {ETF_PREMIUM.name} WHERE ts_code = $code AND trade_date <= $last "
            "ORDER BY trade_date DESC LIMIT $count",
            params={"code": code, "last": last, "count": SESSIONS},
        ).to_arrow_table()
        usual = premium_statistics(rows)
        for row in rows.slice(0, 1).to_pylist():
            grid.add_row(
                code,
                row["name"] or "",
                f"{row['close']:.3f}",
                "not out" if row["unit_nav"] is None else f"{row['unit_nav']:.4f}",
                _percent(row["premium"]),
                _percent(usual.mean if usual else None),
                _percent(usual.sd if usual else None),
            )
    return grid


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2%}"
