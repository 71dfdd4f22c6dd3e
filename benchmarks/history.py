"""What run history takes on disk: evenings, and a range of a backfill, beside Dagster's own.

A year and twenty years are reckoned from what an evening and a range add, as told and once pruned;
ticks of schedules and sensors come on top. BENCH_HISTORY_DAYS says how many days the range has.
"""

import datetime as dt
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from benchmarks.measuring import console, in_own_process, show
from benchmarks.year import QUIET
from marketdata_assets import environment
from marketdata_assets.assets.fetching import FETCH_ALL, RANGE_END, RANGE_START
from marketdata_assets.automation.chains import CHAINS, FUNDS, STOCKS
from marketdata_assets.automation.pruning import prune_runs
from marketdata_assets.automation.refetching import RECENT_SESSIONS
from marketdata_assets.definitions import build_definitions
from marketdata_assets.storage.dagster_sqlite import EventLog, Runs
from marketdata_assets.storage.run_history import give_back_room
from marketdata_assets.trading_calendar import sessions_between

RANGE = int(os.environ.get("BENCH_HISTORY_DAYS", "60"))
EVENINGS = 4
DAYS = sessions_between(dt.date(2024, 1, 1), dt.date(2024, 12, 31))[: 1 + EVENINGS + RANGE]
YEAR, TWENTY_YEARS = 242, 4850
# Of the days of RUN_HISTORY_DAYS, those that trade.
KEPT = environment.DEFAULT_HISTORY_DAYS * 5 // 7


class Sizes(NamedTuple):
    """Bytes of the databases: of all runs, of what they made, and of each run's own events."""

    runs: float
    of_all: float
    own: float

    def added_since(self, other: "Sizes", shares: int) -> "Sizes":
        pairs = zip(self, other, strict=True)
        return Sizes(*((mine - others) / shares for mine, others in pairs))


class Grown(NamedTuple):
    """What one evening, and one day of a range, add."""

    evening: Sizes
    day_of_range: Sizes


def grow(root: str, is_ours: bool, is_pruned: bool) -> Grown:
    """Run some evenings and a range on a history of its own."""
    definitions = build_definitions(environment.resources({"MARKETDATA_HOME": root}))
    home = Path(root, f"history {is_ours} {is_pruned}")
    home.mkdir()
    ours = {
        name: {
            "module": kind.__module__,
            "class": kind.__name__,
            "config": {"base_dir": str(home / "history" / folder)},
        }
        for name, kind, folder in (
            ("run_storage", Runs, ""),
            ("event_log_storage", EventLog, "runs"),
        )
    }
    with dg.DagsterInstance.local_temp(str(home), overrides=ours if is_ours else {}) as instance:

        def run(job: str, first: dt.date, last: dt.date, **tags: str) -> None:
            definitions.resolve_job_def(job).execute_in_process(
                run_config=QUIET,
                instance=instance,
                tags={RANGE_START: str(first), RANGE_END: str(last), **tags},
            )

        def measured() -> Sizes:
            log = instance.event_log_storage
            if is_pruned and isinstance(log, EventLog):
                prune_runs(instance, log, dt.datetime.now(dt.UTC))
                give_back_room(log.index)
            return sizes(home)

        for number, day in enumerate(DAYS[: 1 + EVENINGS]):
            run(STOCKS.name, day, day)
            run(FUNDS.name, day, day)
            run(
                STOCKS.name,
                DAYS[max(0, number + 1 - RECENT_SESSIONS)],
                day,
                **{FETCH_ALL: "true"},
            )
            if number == 0:
                first = measured()
        evenings = measured()
        for job in CHAINS:
            run(job.name, DAYS[-RANGE], DAYS[-1])
        return Grown(evenings.added_since(first, EVENINGS), measured().added_since(evenings, RANGE))


def sizes(home: Path) -> Sizes:
    history = home / "history"
    index = history / "runs" / "index.db"
    own = [file for file in index.parent.glob("*.db") if file != index]
    return Sizes(
        (history / "runs.db").stat().st_size,
        index.stat().st_size,
        sum(file.stat().st_size for file in own),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        console.print(f"{EVENINGS} evenings and a range of {RANGE} days, three times …")
        made = {
            kind: in_own_process(grow, root, *kind).result
            for kind in ((False, False), (True, False), (True, True))
        }
    theirs, told, pruned = made.values()
    assert isinstance(theirs, Grown)
    assert isinstance(told, Grown)
    assert isinstance(pruned, Grown)
    show(
        "kB added",
        ("", "runs.db", "index.db", "runs' own", "ratio"),
        [
            (
                f"{what}, {how}",
                *(f"{bytes_ / 1e3:,.0f}" for bytes_ in one),
                f"{sum(one) / sum(by):.3f}",
            )
            for what, by, ones in (
                ("an evening", theirs.evening, (theirs.evening, told.evening, pruned.evening)),
                (
                    "a day of a range",
                    theirs.day_of_range,
                    (theirs.day_of_range, told.day_of_range, pruned.day_of_range),
                ),
            )
            for how, one in zip(("Dagster's own", "as told", "pruned"), ones, strict=True)
        ],
    )
    year = YEAR * sum(pruned.evening) + KEPT * (sum(told.evening) - sum(pruned.evening))
    twenty = TWENTY_YEARS * sum(told.day_of_range)
    show(
        "MB",
        ("", "Dagster's own", "this platform", "once pruned"),
        [
            (
                "a year of evenings",
                f"{YEAR * sum(theirs.evening) / 1e6:,.0f}",
                f"{year / 1e6:,.0f}",
                f"{YEAR * sum(pruned.evening) / 1e6:,.0f}",
            ),
            (
                "twenty years of ranges",
                f"{TWENTY_YEARS * sum(theirs.day_of_range) / 1e6:,.0f}",
                f"{twenty / 1e6:,.0f}",
                f"{TWENTY_YEARS * sum(pruned.day_of_range) / 1e6:,.0f}",
            ),
        ],
    )


if __name__ == "__main__":
    main()
