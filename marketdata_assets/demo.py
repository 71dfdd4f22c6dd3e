"""The demo: the last trading days through the platform's own jobs, and a summary of what is there.

Here belongs what a newcomer sees. Everything it runs is what production runs.
"""

import datetime as dt
import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.assets.trade_calendar import trade_calendar
from marketdata_assets.automation.chains import CHAINS, FUNDS, STOCKS, DayChain
from marketdata_assets.command_texts import text
from marketdata_assets.environment import publisher
from marketdata_assets.finding_commands import findings_grid
from marketdata_assets.in_process_runs import (
    closed_to_the_account,
    ending_at_once,
    materialize,
    partitions_told,
)
from marketdata_assets.partitions import start_date
from marketdata_assets.profile import Profile, profile, profile_root
from marketdata_assets.publishing import layout
from marketdata_assets.storage.finding_list import finding_list
from marketdata_assets.storage.premium_statistics import premium_statistics
from marketdata_assets.storage.series import SERIES_ASSETS
from marketdata_assets.tables import ETF_PREMIUM, STORED_TABLES
from marketdata_assets.trading_calendar import SHANGHAI, last_closed_sessions

FINDINGS_SHOWN = 12
WIDEST_NAME = 9
# A few well-known funds, and of how many sessions mean and sd are.
SHOWN = ("510300.SH", "159915.SZ", "513100.SH", "518880.SH", "161725.SZ", "511990.SH")
SESSIONS = 20
EACH_ONCE = "{some:,} of {all:,} bars are in daily_prices, each once; {held:,} are held"


def run_demo(days: int) -> int:
    """Materialize the last `days` sessions of every dataset; the exit code of the command."""
    console = Console(highlight=False)
    sessions = published_sessions(days, dt.datetime.now(dt.UTC))
    market = "the [bold]live[/] market, from Tushare"
    if profile() is Profile.SANDBOX:
        market = "the [bold]sandbox[/]: a simulated exchange, not a real market"
    console.print(f"\n[bold]marketdata-assets[/] · {text(market)}")
    span = {"count": len(sessions), "first": sessions[0], "last": sessions[-1]}
    console.print(text("{count} trading days, {first} … {last}", **span), end="\n\n")
    began = time.monotonic()
    closed = closed_to_the_account(FUNDS.name)
    chains = [chain for chain in CHAINS if not (closed and chain is FUNDS)]
    partitions = len(sessions) * sum(len(chain.assets) for chain in chains) + 1
    interrupted = text("Interrupted. Run it again; what is stored is whole.")
    with (
        dg.DagsterInstance.get() as instance,
        ending_at_once(instance, console, interrupted),
        partitions_told(console, partitions) as at_least,
    ):
        failures = materialize([trade_calendar.key.path[-1]], instance)
        made: list[DayChain] = []
        for chain in chains:
            if failures:
                break
            names = [asset.key.path[-1] for asset in chain.made_together]
            failures = materialize(names, instance, sessions)
            made += [] if failures else [chain]
        stored = {name for chain in made for name in chain.names}
        copies = [SERIES_ASSETS[table.name] for table in SERIES if table.name in stored]
        if copies:
            failures += materialize(copies, instance)
        at_least(0 if failures else partitions)
    if STOCKS in made:
        _summary(console, sessions, time.monotonic() - began, FUNDS in made)
    if closed:
        left_out = text("left out, for {closed}; the rest needs 2,000", closed=closed)
        _line(console, "funds", f"{left_out}\n", style="yellow")
    for failure in failures:
        _line(console, "failed", failure, style="bold red")
    return 1 if failures else 0


def published_sessions(count: int, now: dt.datetime) -> list[dt.date]:
    """The last sessions whose data are certainly out: today's not before its evening."""
    sessions = last_closed_sessions(count + 1, now)
    if now < dt.datetime.combine(sessions[-1], STOCKS.evening.at[0], SHANGHAI):
        sessions.pop()
    return [day for day in sessions[-count:] if day >= start_date()] or [start_date()]


def _summary(console: Console, days: list[dt.date], seconds: float, with_funds: bool) -> None:
    root = profile_root()
    catalog = root / "catalog.duckdb"
    grid = Grid(box=None, padding=(0, 2), header_style="bold")
    for name in ("table", "days", "first", "last", "rows"):
        is_count = name in ("days", "rows")
        grid.add_column(text(name), justify="right" if is_count else "left")
    with duckdb.connect(str(catalog), read_only=True) as connection:
        for name in (*STOCKS.names, *(FUNDS.names if with_funds else ())):
            table = STORED_TABLES.get(name)
            if table is None or table.may_be_empty:
                continue
            [row] = connection.execute(
                f"SELECT count(DISTINCT {table.date_column}), min({table.date_column}), "
                f"max({table.date_column}), count(*) FROM {table.name}"
            ).fetchall()
            count, first, last, rows = row
            grid.add_row(table.name, f"{count:,}", str(first), str(last), f"{rows:,}")
        checks = _checks(connection, days)
        premiums = _premium_grid(connection, days[-1]) if with_funds else None
        usual = _usual_days(connection, days[-1]) if with_funds else 0
    console.print()
    console.print(grid)
    found = finding_list(root, days[-1], days[0], rows=FINDINGS_SHOWN)
    about = text("findings, share by share; the vendor's data have some nearly every day")
    console.print(f"\n[bold]{about}[/]")
    console.print(findings_grid(found) if found else f"  {text('none')}")
    if premiums is not None:
        about = "premiums on {day}; mean and sd of the last {count} days"
        console.print(f"\n[bold]{text(about, day=days[-1], count=usual)}[/]")
        console.print(premiums)
    console.print(f"\n[bold]{text('checks')}[/]")
    for holds, line in checks:
        console.print(
            f"  [{'green' if holds else 'red'}]{text('ok' if holds else 'NO')}[/]  {line}"
        )
    sql = "SELECT code, name, close, quote_rate FROM daily_prices WHERE quote_rate > 9.9 LIMIT 5"
    console.print()
    _line(console, "files", root / "lake")
    code = f"import duckdb; duckdb.connect({_quoted(catalog)}, read_only=True).sql({_quoted(sql)})"
    _line(console, "try", _python(f"{code}.show()"))
    with dg.DagsterInstance.get() as instance:
        for name, line in _published(instance):
            _line(console, name, line)
    _line(console, "page", text("marketdata serve (or make serve), then http://127.0.0.1:5000"))
    _line(console, "UI", text("marketdata dev (or make dev), then http://127.0.0.1:3000"))
    if profile() is Profile.SANDBOX:
        _line(console, "real", text("write TUSHARE_TOKEN=… into a file .env here"))
    took = text("{count} days in {seconds:.1f} s", count=len(days), seconds=seconds)
    console.print(f"\n{took}\n")


def _line(console: Console, name: str, what: object, style: str = "bold") -> None:
    """A thing by its name, all of them below each other."""
    said = text(name)
    pad = " " * max(1, WIDEST_NAME - cell_len(said))
    console.print(f"[{style}]{said}[/]{pad}{escape(str(what))}", soft_wrap=True)


def _checks(connection: duckdb.DuckDBPyConnection, days: list[dt.date]) -> list[tuple[bool, str]]:
    """What the demo can prove about the days it made; each line with whether it holds."""
    span = {"first": days[0], "last": days[-1]}
    [[bars, prices, held, stored, unexplained]] = connection.execute(
        """
        SELECT
            count(*), count(p.code),
            count(*) FILTER (p.code IS NULL AND c.reason = 'held'), count(DISTINCT p.date),
            count(*) FILTER (if(p.code IS NULL, c.reason IS DISTINCT FROM 'held',
                (p.name IS NULL OR p.high_limit IS NULL) AND c.reason IS NULL))
        FROM daily_kline AS k
        LEFT JOIN daily_prices AS p ON p.code = k.ts_code AND p.date = k.trade_date
        LEFT JOIN coverage AS c USING (ts_code, trade_date)
        WHERE k.trade_date BETWEEN $first AND $last
        """,
        span,
    ).fetchall()
    [[outside]] = connection.execute(
        """
        SELECT count(*) FROM daily_prices
        WHERE date BETWEEN $first AND $last AND close NOT BETWEEN low_limit AND high_limit
        """,
        span,
    ).fetchall()
    return [
        (True, text("the vendor's calendar agrees with the partitions")),
        (stored == len(days), text("{some} of {all} days are stored", some=stored, all=len(days))),
        (prices + held == bars, text(EACH_ONCE, some=prices, all=bars, held=held)),
        (
            unexplained == 0,
            text("{count:,} rows lack a name or limits without a word about it", count=unexplained),
        ),
        (outside == 0, text("{count:,} closes lie outside their limits", count=outside)),
    ]


def _published(instance: dg.DagsterInstance) -> Iterator[tuple[str, str]]:
    """What was published, and how to load it."""
    event = instance.get_latest_materialization_event(hf_dataset.key)
    if event is None or event.asset_materialization is None:
        return
    metadata = {name: one.value for name, one in event.asset_materialization.metadata.items()}
    where = publisher()
    year = str(metadata["coverage"])[-10:-6]
    place = metadata.get("folder") or where.repository
    yield "dataset", f"{place}: {text(str(metadata['outcome']))}, {metadata['coverage']}"
    if "link" in metadata:
        yield "", str(metadata["link"])
    else:
        shard = Path(str(metadata["folder"])) / layout.shard(int(year))
        code = f"import pandas; print(pandas.read_parquet({_quoted(shard)}))"
        yield "load", _python(code)


def _quoted(text: str | Path) -> str:
    """A string of Python in double quotes, so that the shell's single ones need no escaping."""
    return json.dumps(str(text), ensure_ascii=False)


def _python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def _usual_days(connection: duckdb.DuckDBPyConnection, last: dt.date) -> int:
    """Of how many sessions mean and sd are: those that are stored, `SESSIONS` at most."""
    stored = connection.execute(
        f"SELECT DISTINCT trade_date FROM {ETF_PREMIUM.name} WHERE trade_date <= $last "
        "LIMIT $count",
        {"last": last, "count": SESSIONS},
    ).fetchall()
    return len(stored)


def _premium_grid(connection: duckdb.DuckDBPyConnection, last: dt.date) -> Grid:
    """The funds `SHOWN` on the day `last`, beside mean and sd of the last 20 stored sessions.

    `connection` is to the catalog.
    """
    grid = Grid(box=None, padding=(0, 1), header_style="bold")
    for name in ("fund", "name", "close", "NAV", "premium", "mean", "sd"):
        is_text = name in ("fund", "name")
        grid.add_column(text(name), justify="left" if is_text else "right", no_wrap=True)
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
                text("not out") if row["unit_nav"] is None else f"{row['unit_nav']:.4f}",
                _percent(row["premium"]),
                _percent(usual.mean if usual else None),
                _percent(usual.sd if usual else None),
            )
    return grid


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2%}"
