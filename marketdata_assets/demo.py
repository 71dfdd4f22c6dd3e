"""The demo: the last trading days through the platform's own jobs, and a summary of what is there.

Here belongs what a newcomer sees. Everything it runs is what production runs.
"""

import datetime as dt
import json
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from marketdata_assets.assets.hf_dataset import hf_dataset
from marketdata_assets.assets.trade_calendar import trade_calendar
from marketdata_assets.automation.chains import CHAINS, FUNDS, STOCKS
from marketdata_assets.definitions import defs
from marketdata_assets.demo_premiums import SESSIONS, premium_grid
from marketdata_assets.environment import publisher
from marketdata_assets.finding_commands import findings_grid
from marketdata_assets.partitions import start_date
from marketdata_assets.profile import Profile, profile, profile_root
from marketdata_assets.publishing import layout
from marketdata_assets.storage import lake as lake_module
from marketdata_assets.storage.finding_list import finding_list
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.trading_calendar import SHANGHAI, last_closed_sessions

FINDINGS_SHOWN = 12
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_demo(count: int) -> int:
    """Materialize the last `count` sessions of every dataset; the exit code of the command."""
    console = Console(highlight=False)
    days = published_sessions(count, dt.datetime.now(dt.UTC))
    console.print(f"\n[bold]marketdata-assets[/] · {_profile_line()}")
    console.print(f"{len(days)} trading days, {days[0]} … {days[-1]}\n")
    began = time.monotonic()
    with dg.DagsterInstance.get() as instance, stored_partitions_shown(console, len(days)):
        tags = {
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[-1].isoformat(),
        }
        failures = _materialize([trade_calendar], instance, {})
        failures = failures or _materialize(STOCKS.made_together, instance, tags)
        funds_failures = [] if failures else _materialize(FUNDS.made_together, instance, tags)
    if not failures:
        _summary(console, days, time.monotonic() - began, not funds_failures)
    for failure in failures + funds_failures:
        console.print(f"[bold red]failed[/] {failure}", soft_wrap=True)
    return 1 if failures or funds_failures else 0


def published_sessions(count: int, now: dt.datetime) -> list[dt.date]:
    """The last sessions whose data are certainly out: today's not before its evening."""
    sessions = last_closed_sessions(count + 1, now)
    if now < dt.datetime.combine(sessions[-1], STOCKS.evening.at[0], SHANGHAI):
        sessions.pop()
    return [day for day in sessions[-count:] if day >= start_date()] or [start_date()]


@contextmanager
def stored_partitions_shown(console: Console, days: int) -> Iterator[None]:
    """A progress bar that moves with every partition the lake reports as stored."""
    progress = Progress(
        TextColumn("{task.description:<26}"),
        BarColumn(bar_width=36),
        MofNCompleteColumn(),
        TextColumn("partitions"),
        TimeElapsedColumn(),
        console=console,
    )
    bar = progress.add_task("starting", total=days * sum(len(one.assets) for one in CHAINS) + 1)

    class Advance(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert isinstance(record.args, tuple)
            table, day, *_ = map(str, record.args)
            progress.update(bar, advance=1, description=f"{table} {day}")

    handler, logger = Advance(), lake_module.logger
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with progress:
            yield
            progress.update(bar, description="done" if progress.finished else "stopped")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _materialize(
    assets: Sequence[dg.AssetsDefinition], instance: dg.DagsterInstance, tags: dict[str, str]
) -> list[str]:
    """Materialize by hand, as in the UI; a line for every step that failed."""
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        run_config=QUIET,
        instance=instance,
        asset_selection=[asset.key for asset in assets],
        tags=tags,
        raise_on_error=False,
    )
    lines = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            assert error is not None
            reason = error.message.split(f"{error.cls_name}: ", 1)[-1].strip()
            lines.append(f"{event.step_key}: {reason}")
    return lines


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
    console.print("[bold]UI[/]       marketdata dev (or make dev): http://127.0.0.1:3000, API 5000")
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
