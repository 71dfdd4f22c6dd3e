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
from rich.console import Console
from rich.table import Table as Grid

from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.assets.trade_calendar import trade_calendar
from marketdata_assets.automation.chains import CHAINS, FUNDS, STOCKS, DayChain
from marketdata_assets.demo_premiums import SESSIONS, premium_grid
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
from marketdata_assets.storage.series import SERIES_ASSETS
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.trading_calendar import SHANGHAI, last_closed_sessions

FINDINGS_SHOWN = 12


def run_demo(count: int) -> int:
    """Materialize the last `count` sessions of every dataset; the exit code of the command."""
    console = Console(highlight=False)
    days = published_sessions(count, dt.datetime.now(dt.UTC))
    console.print(f"\n[bold]marketdata-assets[/] · {_profile_line()}")
    console.print(f"{len(days)} trading days, {days[0]} … {days[-1]}\n")
    began = time.monotonic()
    closed = closed_to_the_account(FUNDS.name)
    chains = [chain for chain in CHAINS if not (closed and chain is FUNDS)]
    partitions = len(days) * sum(len(chain.assets) for chain in chains) + 1
    with (
        dg.DagsterInstance.get() as instance,
        ending_at_once(instance, console, "Interrupted. Run it again; what is stored is whole."),
        partitions_told(console, partitions) as at_least,
    ):
        failures = materialize([trade_calendar.key.path[-1]], instance)
        made: list[DayChain] = []
        for chain in chains:
            if failures:
                break
            names = [asset.key.path[-1] for asset in chain.made_together]
            failures = materialize(names, instance, days)
            made += [] if failures else [chain]
        stored = {name for chain in made for name in chain.names}
        copies = [SERIES_ASSETS[table.name] for table in SERIES if table.name in stored]
        if copies:
            failures += materialize(copies, instance)
        at_least(0 if failures else partitions)
    if STOCKS in made:
        _summary(console, days, time.monotonic() - began, FUNDS in made)
    if closed:
        console.print(f"[yellow]funds[/]    left out, for {closed}; the rest needs 2,000\n")
    for failure in failures:
        console.print(f"[bold red]failed[/] {failure}", soft_wrap=True)
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
    for name, side in (("table", "left"), ("days", "right"), ("first", "left"), ("last", "left")):
        grid.add_column(name, justify=side)  # type: ignore[arg-type]
    grid.add_column("rows", justify="right")
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
        premiums = premium_grid(connection, days[-1]) if with_funds else None
    console.print()
    console.print(grid)
    found = finding_list(root, days[-1], days[0], rows=FINDINGS_SHOWN)
    console.print(
        "\n[bold]findings[/], share by share; the vendor's data have some nearly every day"
    )
    console.print(findings_grid(found) if found else "  none")
    if premiums is not None:
        console.print(f"\n[bold]premiums[/] on {days[-1]}; mean and sd of the last {SESSIONS} days")
        console.print(premiums)
    console.print("\n[bold]checks[/]")
    for holds, line in checks:
        console.print(f"  [{'green' if holds else 'red'}]{'ok' if holds else 'NO'}[/]  {line}")
    sql = "SELECT code, name, close, quote_rate FROM daily_prices WHERE quote_rate > 9.9 LIMIT 5"
    console.print(f"\n[bold]files[/]    {root / 'lake'}", soft_wrap=True)
    code = f"import duckdb; duckdb.connect({_quoted(catalog)}, read_only=True).sql({_quoted(sql)})"
    console.print(f"[bold]try[/]      {_python(f'{code}.show()')}", soft_wrap=True)
    with dg.DagsterInstance.get() as instance:
        for line in _published(instance):
            console.print(line, soft_wrap=True)
    ask = "http://127.0.0.1:5000/api/v1/ohlcv?code=600000.SH"
    console.print(f"[bold]API[/]      marketdata serve (or make serve), then {ask}", soft_wrap=True)
    console.print("[bold]UI[/]       marketdata dev (or make dev), then http://127.0.0.1:3000")
    if profile() is Profile.SANDBOX:
        console.print("[bold]real[/]     write TUSHARE_TOKEN=… into a file .env here")
    console.print(f"\n{len(days)} days in {seconds:.1f} s\n")


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
        (True, "the vendor's calendar agrees with the partitions"),
        (stored == len(days), f"{stored} of {len(days)} days are stored"),
        (
            prices + held == bars,
            f"{prices:,} of {bars:,} bars are in daily_prices, each once; {held:,} are held",
        ),
        (unexplained == 0, f"{unexplained:,} rows lack a name or limits without a word about it"),
        (outside == 0, f"{outside:,} closes lie outside their limits"),
    ]


def _published(instance: dg.DagsterInstance) -> Iterator[str]:
    """What was published, and how to load it."""
    event = instance.get_latest_materialization_event(hf_dataset.key)
    if event is None or event.asset_materialization is None:
        return
    metadata = {name: one.value for name, one in event.asset_materialization.metadata.items()}
    where = publisher()
    year = str(metadata["coverage"])[-10:-6]
    yield (
        f"[bold]dataset[/]  {metadata.get('folder') or where.repository}: "
        f"{metadata['outcome']}, {metadata['coverage']}"
    )
    if "link" in metadata:
        yield f"         {metadata['link']}"
    else:
        shard = Path(str(metadata["folder"])) / layout.shard(int(year))
        code = f"import pandas; print(pandas.read_parquet({_quoted(shard)}))"
        yield f"[bold]load[/]     {_python(code)}"


def _quoted(text: str | Path) -> str:
    """A string of Python in double quotes, so that the shell's single ones need no escaping."""
    return json.dumps(str(text), ensure_ascii=False)


def _python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def _profile_line() -> str:
    if profile() is Profile.SANDBOX:
        return "the [bold]sandbox[/]: a simulated exchange, not a real market"
    return "the [bold]live[/] market, from Tushare"
