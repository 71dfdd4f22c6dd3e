"""What run history takes on disk, beside what it may: a year of evenings, twenty years backfilled.

Both are reckoned from what some evenings and one run of a backfill add, as told and once all of it
is old. BENCH_HISTORY_DAYS says how many days that run has.
"""

import datetime as dt
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import console, in_own_process, show
from benchmarks.year import QUIET, instance_of
from marketdata_assets import environment
from marketdata_assets.assets.fetching import FETCH_ALL, RANGE_END, RANGE_START
from marketdata_assets.automation.chains import CHAINS, FUNDS, STOCKS
from marketdata_assets.automation.pruning import LOGS_AT_MOST, prune_runs
from marketdata_assets.automation.refetching import RECENT_SESSIONS
from marketdata_assets.definitions import build_definitions
from marketdata_assets.partitions import BACKFILL_POLICY
from marketdata_assets.storage.dagster_sqlite import EventLog
from marketdata_assets.storage.run_history import give_back_room
from marketdata_assets.trading_calendar import sessions_between

RANGE = int(os.environ.get("BENCH_HISTORY_DAYS", str(BACKFILL_POLICY.max_partitions_per_run)))
EVENINGS = 2
DAYS = sessions_between(dt.date(2024, 1, 1), dt.date(2024, 12, 31))[: 1 + EVENINGS + RANGE]
YEAR, TWENTY_YEARS = 242, 4850
YEAR_AT_MOST, TWENTY_YEARS_AT_MOST = 150e6, 1e9
# Of the days of RUN_HISTORY_DAYS, those that trade; each week asks for one past month again.
KEPT = environment.DEFAULT_HISTORY_DAYS * 5 // 7
KEPT_AGAIN = environment.DEFAULT_HISTORY_DAYS // 7 * 21
# That a backfill makes between two looks of `history_size_sensor`.
MEANWHILE = 400
# Of sensors, 26,000 a day of a kilobyte each; see `retention` in dagster.yaml.
TICKS = 30e6


class Sizes(NamedTuple):
    """Bytes of the runs, of what all of them made, and of each run's own events and output."""

    runs: float
    of_all: float
    own: float

    def added_since(self, other: "Sizes", shares: int) -> "Sizes":
        pairs = zip(self, other, strict=True)
        return Sizes(*((mine - others) / shares for mine, others in pairs))


class Stage(NamedTuple):
    """A history as it was told, and as it is when all of it is old."""

    told: Sizes
    pruned: Sizes


def grow(root: str) -> tuple[Stage, Stage, Stage]:
    """The history after one evening, after more, and after a run of a backfill."""
    definitions = build_definitions(environment.resources({"MARKETDATA_HOME": root}))
    home = Path(root, "dagster")
    stages = []
    with instance_of(home) as instance:

        def run(job: str, days: list[dt.date], **tags: str) -> None:
            definitions.resolve_job_def(job).execute_in_process(
                run_config=QUIET,
                instance=instance,
                tags={RANGE_START: str(days[0]), RANGE_END: str(days[-1]), **tags},
            )

        for number in range(1 + EVENINGS):
            evening = [DAYS[number]]
            run(STOCKS.name, evening)
            run(FUNDS.name, evening)
            recent = DAYS[max(0, number + 1 - RECENT_SESSIONS) : number + 1]
            run(STOCKS.name, recent, **{FETCH_ALL: "true"})
            if number in (0, EVENINGS):
                stages.append(Stage(sizes(home), sizes_once_pruned(home)))
        for job in CHAINS:
            run(job.name, DAYS[-RANGE:])
        stages.append(Stage(sizes(home), sizes_once_pruned(home)))
    first, evenings, backfilled = stages
    return first, evenings, backfilled


def sizes(home: Path) -> Sizes:
    runs, of_all = (
        (home / "history" / name).stat().st_size for name in ("runs.db", "runs/index.db")
    )
    whole = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    return Sizes(runs, of_all, whole - runs - of_all)


def sizes_once_pruned(home: Path) -> Sizes:
    """What would be left of a history if all of it were old."""
    copy = home.with_name("pruned")
    shutil.copytree(home, copy)
    with instance_of(copy) as instance:
        log = instance.event_log_storage
        assert isinstance(log, EventLog)
        prune_runs(instance, log, dt.datetime.now(dt.UTC))
        for database in (log.index, copy / "history" / "runs.db"):
            give_back_room(database)
    left = sizes(copy)
    shutil.rmtree(copy)
    return left


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        console.print(f"{1 + EVENINGS} evenings, then {RANGE} days in one run …")
        grown = in_own_process(grow, root).result
    assert isinstance(grown, tuple)
    first, evenings, backfilled = grown
    evening = Stage(*(b.added_since(a, EVENINGS) for a, b in zip(first, evenings, strict=True)))
    day = Stage(*(b.added_since(a, RANGE) for a, b in zip(evenings, backfilled, strict=True)))
    show(
        "kB a stored day",
        ("", "runs.db", "index.db", "runs' own", "together"),
        [
            (what, *(f"{bytes_ / 1e3:,.0f}" for bytes_ in (*one, sum(one))))
            for what, one in (
                ("an evening", evening.told),
                ("an evening, once old", evening.pruned),
                ("a day of a backfill", day.told),
                ("a day of a backfill, once old", day.pruned),
            )
        ],
    )
    year = (
        YEAR * sum(evening.pruned)
        + KEPT * (sum(evening.told) - sum(evening.pruned))
        + KEPT_AGAIN * sum(day.told)
        + TICKS
    )
    twenty = Sizes(*(TWENTY_YEARS * bytes_ for bytes_ in day.told))
    at_most = twenty._replace(own=min(twenty.own, LOGS_AT_MOST + MEANWHILE * day.told.own))
    show(
        "MB",
        ("", "at most", "goal", "ratio"),
        [
            (what, f"{bytes_ / 1e6:,.0f}", f"{goal / 1e6:,.0f}", f"{bytes_ / goal:.2f}")
            for what, bytes_, goal in (
                ("a year of evenings, with ticks", year, YEAR_AT_MOST),
                ("twenty years backfilled at once", sum(at_most), TWENTY_YEARS_AT_MOST),
                ("… without pruning", sum(twenty), TWENTY_YEARS_AT_MOST),
                ("… once old", TWENTY_YEARS * sum(day.pruned), TWENTY_YEARS_AT_MOST),
            )
        ],
    )


if __name__ == "__main__":
    main()
