"""The sandbox, everything of it killed at once as by a power cut, and started again.

Here belongs what `test_revival` and the acceptance have in common. The acceptance kills a profile
at random moments and tells how long each recovery took:

    python -m marketdata_assets_tests.killed_dev --kills 10
"""

import argparse
import datetime as dt
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg
from dagster import RunsFilter
from filelock import FileLock

from marketdata_assets.automation.day_runs import UNFINISHED
from marketdata_assets.run_launcher import PROCESS_TAG, identity_of
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import last_closed_sessions
from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.published_folder import keys

OURS = ("TUSHARE", "HF_", "API_", "UI_", "SSH_", "ALERT", "MARKETDATA", "DAGSTER", "DEFAULT_")
SESSIONS = 2
PATIENCE = 600.0


class Profile:
    """A sandbox of two sessions, the last of which is the evening's."""

    def __init__(self, home: Path, *command: str) -> None:
        self._command = command
        self.home, self.root = home, home / "sandbox"
        # While a session is open or just over, the one before is the last that is made.
        sessions = last_closed_sessions(SESSIONS, dt.datetime.now(dt.UTC) - dt.timedelta(hours=8))
        self.first, self.evening = sessions[0], sessions[-1]
        self.log = home / "out"

    def start(self) -> None:
        """Start the command, which starts runs."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        settings = {
            "MARKETDATA_HOME": str(self.home),
            "TUSHARE_TOKEN": "",
            "API_PORT": str(free_port()),
            "DEFAULT_START_DATE": str(self.first),
            "TRACKED_CODES": "",
            "PYTHONPATH": str(PROJECT),
        }
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "marketdata_assets", *self._command],
                env={**clean, **settings},
                cwd=self.home,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """End every process of this profile in no order and without a word, runs included."""
        while pids := self.processes():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            until(lambda killed=pids: not any(map(identity_of, killed)), "all are gone")

    def processes(self) -> list[int]:
        """All that were started with the settings of this profile."""
        return processes_of(self.home)

    def runs(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        """The runs of some statuses, the newest first; none before there is a history."""
        home = self.root / "dagster"
        if not (home / "dagster.yaml").exists():
            return []
        # Who opens it while it is made would make it too.
        with FileLock(home / "history.lock"), dg.DagsterInstance.from_config(str(home)) as instance:
            return list(instance.get_runs(RunsFilter(statuses=statuses)))

    def is_made(self) -> bool:
        """Whether the day of the evening is stored and published, and recorded as such."""
        if self.evening not in Lake(self.root, "test").days(DAILY_PRICES):
            return False
        with dg.DagsterInstance.from_config(str(self.root / "dagster")) as instance:
            recorded = instance.get_materialized_partitions(dg.AssetKey("hf_dataset"))
        return str(self.evening) in recorded and bool(self.published())

    def lost_runs(self) -> list[str]:
        """Runs told as being at work, or about to be, without a living process."""
        at_work = set(UNFINISHED) - {dg.DagsterRunStatus.QUEUED}
        told = {run.run_id: run.tags.get(PROCESS_TAG) for run in self.runs(*at_work)}
        return [
            run
            for run, process in told.items()
            if not process or identity_of(int(process.split()[0])) != process
        ]

    def published(self) -> list[tuple[dt.date, str]]:
        """Day and code of every row that is published."""
        return keys(self.root)


def processes_of(home: Path) -> list[int]:
    """All processes whose settings name `home`."""
    mine = f"MARKETDATA_HOME={home}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mine in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if identity_of(pid)]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def until(seen: Callable[..., object], what: str, patience: float = PATIENCE) -> float:
    """The seconds until something was seen. Raises `TimeoutError`."""
    began = time.monotonic()
    while not seen():
        if time.monotonic() - began > patience:
            raise TimeoutError(f"not seen within {patience:g} s: {what}")
        time.sleep(0.5)
    return time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=20.0, help="seconds at work before a kill")
    given = parser.parse_args()
    moments, is_good = random.Random(given.seed), True
    for number in range(given.kills):
        with tempfile.TemporaryDirectory() as folder:
            profile = Profile(Path(folder), "dev", "--port", str(free_port()))
            profile.start()
            until(lambda w=profile: w.runs(dg.DagsterRunStatus.STARTED), "a run is at work")
            waited = moments.uniform(0, given.longest)
            time.sleep(waited)
            at_work = [run.job_name for run in profile.runs(dg.DagsterRunStatus.STARTED)]
            profile.kill()
            profile.start()
            try:
                made = until(profile.is_made, "the evening's day is stored and published")
                calm = until(lambda w=profile: not w.lost_runs(), "no lost run is left", 180.0)
                rows = Counter(profile.published())
                twice = [row for row, count in rows.items() if count > 1]
                is_good = is_good and not twice
                told = f"made {made:.0f} s after the start, runs in order {calm:.0f} s later; "
                told += f"{len(rows):,} rows published, twice {twice}"
            except TimeoutError as error:
                is_good, told = False, str(error)
            finally:
                profile.kill()
        print(
            f"{number + 1}: killed after {waited:.0f} s of work, at {at_work}: {told}", flush=True
        )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
