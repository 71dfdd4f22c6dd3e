"""The command `backfill`: the days of a range that are not stored, in stretches, one after another.

Here belongs what is asked for, and what is said of it. A stretch is what a backfill of the UI makes
one run of, through the same jobs; what is stored stays, so that a backfill goes on where another
one ended.
"""

import datetime as dt
import itertools
import time
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import dagster as dg
from rich.console import Console
from rich.markup import escape

from marketdata_assets.assets.price_series import SERIES
from marketdata_assets.automation.chains import CHAINS
from marketdata_assets.automation.day_runs import are_days_made, missing_datasets
from marketdata_assets.automation.evenings import EXTRAS
from marketdata_assets.command_texts import text
from marketdata_assets.environment import lake_resource
from marketdata_assets.in_process_runs import (
    closed_to_the_account,
    ending_at_once,
    in_words,
    materialize,
    partitions_told,
)
from marketdata_assets.partitions import BACKFILL_POLICY, start_date
from marketdata_assets.serving.status import programs_running
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import SERIES_ASSETS
from marketdata_assets.tables import STORED_TABLES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    is_closed,
    last_session_over,
    sessions_between,
)

SECONDS_BETWEEN_LOOKS = 2
MOST_DAYS_NAMED = 5
LACKING = (
    "{some:,} of {all:,} sessions lack something, {first} … {last}: {runs} run(s). What is stored "
    "stays, so Ctrl-C is safe."
)


class Stretch(NamedTuple):
    """Neighbouring days that lack the same datasets, which one run makes."""

    names: frozenset[str]
    days: list[dt.date]

    @property
    def partitions(self) -> int:
        return len(self.names) * len(self.days)


def backfill(first: dt.date, last: dt.date, tables: Sequence[str]) -> int:
    """Make what is lacking from `first` to `last`, of some tables or of all the evening's.

    0 when nothing is lacking any more, 130 after Ctrl-C. Raises `SettingError`.
    """
    console, lake = Console(highlight=False, soft_wrap=True), lake_resource().open()
    days, wanted = sessions_to_make(first, last), wanted_datasets(tables)
    named = f" --tables {','.join(tables)}" if tables else ""
    again = {"command": f"marketdata backfill {first} {last}{named}"}
    interrupted = text("Interrupted. What is stored is whole; go on with: {command}", **again)
    began = time.monotonic()
    with (
        dg.DagsterInstance.get() as instance,
        ending_at_once(instance, console, interrupted),
    ):
        if not tables and (closed := closed_to_the_account(Chain.FUNDS)):
            console.print(text("The funds are left out: {closed}.", closed=closed))
            del wanted[Chain.FUNDS]
        stretches = list(lacking(instance, lake, days, wanted))
        if not stretches:
            span = {"count": len(days), "first": days[0], "last": days[-1]}
            console.print(text("Nothing is lacking: {count:,} sessions, {first} … {last}.", **span))
            return 0
        due = {day for one in stretches for day in one.days}
        counts = {"some": len(due), "all": len(days), "runs": len(stretches)}
        console.print(text(LACKING, **counts, first=min(due), last=max(due)))
        failures = _make(console, instance, stretches)
        left = sorted({day for one in lacking(instance, lake, days, wanted) for day in one.days})
    for failure in failures:
        console.print(f"[bold red]{text('failed')}[/] {escape(failure)}")
    took = in_words(time.monotonic() - began)
    if not left:
        console.print(text("Nothing is lacking any more, after {took}.", took=took))
        return 0
    more = " …" if len(left) > MOST_DAYS_NAMED else ""
    shown = ", ".join(map(str, left[:MOST_DAYS_NAMED])) + more
    still = "{count:,} sessions still lack something after {took}: {days}"
    console.print(text(still, count=len(left), took=took, days=shown))
    console.print(text("See marketdata findings DAY; go on with: {command}", **again))
    return 1


def lacking(
    instance: dg.DagsterInstance,
    lake: Lake,
    days: Sequence[dt.date],
    wanted: dict[Chain, frozenset[str]],
) -> Iterator[Stretch]:
    """The stretches that make what `days` lack of the datasets `wanted`, by chain."""
    most = BACKFILL_POLICY.max_partitions_per_run or len(days)
    for chain, names in wanted.items():
        # What is published is no table, and has no first day of its own.
        begin = (STORED_TABLES[name].first_date for name in names if name in STORED_TABLES)
        first = min(begin, default=FIRST_SESSION)
        due = [day for day in days if day >= first]
        missing = missing_datasets(instance, lake, due, names)
        shared = frozenset(
            asset.key.path[-1] for one in CHAINS if one.name is chain for asset in one.shared
        )
        for lacks, neighbours in itertools.groupby(due, key=missing.get):
            block = list(neighbours)
            if lacks is None:
                continue
            for start in range(0, len(block), most):
                yield Stretch(lacks | shared, block[start : start + most])


def _make(
    console: Console, instance: dg.DagsterInstance, stretches: Sequence[Stretch]
) -> list[str]:
    """Run the stretches, up to one that fails; the copies by code follow."""
    total, done = sum(one.partitions for one in stretches), 0
    failures: list[str] = []
    with partitions_told(console, total) as at_least:
        for one in stretches:
            _let_others_go_first(console, instance)
            failures = materialize(one.names, instance, one.days)
            if failures:
                break
            done += one.partitions
            at_least(done)
    stored = lake_resource().open()
    copies = [SERIES_ASSETS[table.name] for table in SERIES if stored.days(table)]
    return failures + (materialize(copies, instance) if copies else [])


def _let_others_go_first(console: Console, instance: dg.DagsterInstance) -> None:
    """Wait for runs of `dev` that make days: one at a time uses the account's allowance."""
    is_told, root = False, lake_resource().open().root
    while programs_running(root) and are_days_made(instance, ()):
        if not is_told:
            console.print(text("A run of dev makes days; going on after it."))
            is_told = True
        time.sleep(SECONDS_BETWEEN_LOOKS)


def sessions_to_make(first: dt.date, last: dt.date) -> list[dt.date]:
    """Those of a range that are over. Raises `SettingError`, and `CalendarExhausted` beyond it."""
    begin, now = start_date(), dt.datetime.now(SHANGHAI)
    known = sessions_between(max(first, begin), min(last, now.date()))
    days = [day for day in known if is_closed(day, now)]
    if not days:
        how = "write FROM TO with trading days between {first} and {last}"
        span = {"first": begin, "last": last_session_over(now)}
        raise SettingError("the range", f"{first} {last}", how, **span)
    return days


def wanted_datasets(tables: Collection[str]) -> dict[Chain, frozenset[str]]:
    """The datasets of each chain to make; of the extras those alone that are named."""
    there = {chain.name: frozenset(chain.names) for chain in CHAINS}
    if not tables:
        return there
    there[Chain.EXTRAS] = frozenset(asset.key.path[-1] for asset in EXTRAS)
    known = sorted(name for names in there.values() for name in names)
    if unknown := set(tables) - set(known):
        names = ", ".join(known)
        raise SettingError(
            "--tables", ", ".join(sorted(unknown)), "write some of {names}", names=names
        )
    wanted = {chain: names & set(tables) for chain, names in there.items()}
    return {chain: names for chain, names in wanted.items() if names}
