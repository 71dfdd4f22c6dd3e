"""How the platform is: the last evening, what is late, what runs next, the allowance, the disk.

Here belong the facts, read from files and from Dagster's databases, without Dagster. `marketdata
status` prints them, and the API tells them.
"""

import datetime as dt
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from marketdata_assets.allowance_counter import calls_of_the_last_minute, shared_path
from marketdata_assets.hosts import hosts
from marketdata_assets.profile import (
    Profile,
    calls_per_minute,
    origin,
    profile,
    profile_root,
    upstream,
)
from marketdata_assets.settings import day as day_of_setting
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.storage.run_history import daemon_beats, days_made, switched_off
from marketdata_assets.storage.series import has_been_made, newest_day
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM, Table
from marketdata_assets.timetable import FUNDS, STOCKS, TIMETABLE, sessions_due
from marketdata_assets.trading_calendar import FIRST_SESSION, SHANGHAI, is_known

PUBLISHED = "hf_dataset"
BEYOND = dt.datetime.max.replace(tzinfo=dt.UTC)
# Each is told with all that lies below it.
FOLDERS = ("lake", "superseded", "copies", "series", "dataset", "publishing", "exports", "dagster")

# Of several hosts, in the table that pyrate-limiter names.
CALLS = """
    SELECT count(*) FROM "ratelimit___{}"
    WHERE item_timestamp > clock_timestamp() AT TIME ZONE 'UTC' - interval '60 s'
"""


@dataclass(frozen=True)
class Evening:
    """What there is of one table that an evening ends with.

    Days are `late` that are over, among the last 60 sessions, and not stored; `unpublished`, that
    are stored and not published. Of funds nothing is published, and nothing late where none were
    ever stored: not every account may ask for them. `stored_at` and `published_at` are of the last
    day, in UTC. `series_to` is the last day of the copy by code.
    """

    schedule: str
    table: str
    last_stored: dt.date | None
    stored_at: dt.datetime | None
    last_published: dt.date | None
    published_at: dt.datetime | None
    series_to: dt.date | None
    late: tuple[dt.date, ...]
    unpublished: tuple[dt.date, ...]


@dataclass(frozen=True)
class NextRun:
    """When a schedule runs next, in Shanghai; None beyond the installed calendar."""

    schedule: str
    at: dt.datetime | None
    is_on: bool


@dataclass(frozen=True)
class Status:
    """The facts at `now`. Bytes are by folder; calls are of the last minute, of all hosts, None in
    the sandbox. `switched_off` are the schedules and sensors that somebody has switched off.

    Nothing runs by itself unless `dev_runs`: a `dev` or a `daemon`, of several hosts that of any.
    """

    now: dt.datetime
    profile: str
    origin: str
    dev_runs: bool
    evenings: tuple[Evening, ...]
    next_runs: tuple[NextRun, ...]
    switched_off: tuple[str, ...]
    calls: int | None
    calls_per_minute: int | None
    bytes_on_disk: dict[str, int]
    bytes_free: int

    @property
    def is_late(self) -> bool:
        return any(one.late or one.unpublished for one in self.evenings)

    @property
    def calendar_has_ended(self) -> bool:
        return not is_known(self.now.astimezone(SHANGHAI).date())


def status(env: Mapping[str, str], now: dt.datetime) -> Status:
    """The status of the profile that `env` sets.

    Reads the size of every file, a second where there are twenty years. Raises `SettingError`.
    """
    root = profile_root(env)
    lake, history = open_lake(root, "reader"), root / "dagster"
    published, off = days_made(history, PUBLISHED), switched_off(history)
    first = day_of_setting(env, "DEFAULT_START_DATE", FIRST_SESSION)
    due = [day for day in sessions_due(now) if day >= first]
    runs = [
        NextRun(one.schedule, one.next_after(now), one.schedule not in off) for one in TIMETABLE
    ]
    is_live = profile(env) is Profile.LIVE
    return Status(
        now=now,
        profile=root.name,
        origin=origin(env),
        dev_runs=daemon_beats(history, now) if lake.is_shared else bool(programs_running(root)),
        evenings=(
            _evening(lake, STOCKS.schedule, DAILY_PRICES, due, published),
            _evening(lake, FUNDS.schedule, ETF_PREMIUM, due, None),
        ),
        next_runs=tuple(sorted(runs, key=lambda run: run.at or BEYOND)),
        switched_off=tuple(sorted(off)),
        calls=_calls(env) if is_live else None,
        calls_per_minute=calls_per_minute(env) if is_live else None,
        bytes_on_disk={name: size for name in FOLDERS if (size := _size_below(root / name))},
        bytes_free=shutil.disk_usage(root).free,
    )


def _evening(
    lake: Lake,
    schedule: str,
    table: Table,
    due: list[dt.date],
    published: Mapping[dt.date, dt.datetime] | None,
) -> Evening:
    stored = lake.days(table)
    last = stored[-1] if stored else None
    described = lake.describe(table, last) if last else None
    is_expected = bool(stored) or published is not None or has_been_made(lake, table)
    there = set(stored)
    last_published = max(published, default=None) if published else None
    return Evening(
        schedule=schedule,
        table=table.name,
        last_stored=last,
        stored_at=described.stored_at if described else None,
        last_published=last_published,
        published_at=published[last_published] if published and last_published else None,
        series_to=newest_day(lake, table),
        late=tuple(day for day in due if is_expected and day not in there),
        unpublished=tuple(
            day for day in due if published is not None and day in there and day not in published
        ),
    )


def _calls(env: Mapping[str, str]) -> int:
    counter = shared_path(env["TUSHARE_TOKEN"], upstream(env))
    if shared := hosts():
        from marketdata_assets.storage.database_turns import ask

        counted = ask(shared.database, CALLS.format(counter.stem))
        return counted[0][0] if counted else 0
    try:
        return calls_of_the_last_minute(counter)
    except sqlite3.OperationalError:
        # Whoever counts holds the file for a moment.
        return 0


def programs_running(root: Path) -> str:
    """Whose programs are there, `dev` or `daemon`: each holds this file, which names it. Empty
    where nothing runs by itself."""
    try:
        held = os.open(root / "dagster" / "programs.lock", os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(held, 80).decode() or "dev"
    finally:
        os.close(held)
    return ""


def _size_below(folder: Path) -> int:
    """The bytes of all files below a folder; what goes meanwhile is not counted."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(f"{place}/{name}").st_size
    return total
