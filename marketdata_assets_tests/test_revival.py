"""A power cut in the evening: the daemon, started again, ends as if it had not been.

Bounded to one cut; any number at random moments is `killed_dev`.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from marketdata_assets.run_launcher import PROCESS_TAG
from marketdata_assets.trading_calendar import last_closed_session
from marketdata_assets_tests.killed_dev import Profile, until

pytestmark = pytest.mark.slow

STARTED, FAILED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Profile]:
    profile = Profile(tmp_path, "daemon")
    profile.start()
    yield profile
    profile.kill()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_after_a_power_cut_the_day_is_made_once_and_no_run_is_left(profile: Profile) -> None:
    def at_work() -> list[dg.DagsterRun]:
        """A run that makes the evening's day, known by its process."""
        runs = [run for run in profile.runs(STARTED) if run.job_name == "daily_chain"]
        return [run for run in runs if run.tags.get(PROCESS_TAG)]

    until(at_work, "the evening's run is at work")
    [lost] = at_work()
    profile.kill()
    profile.start()
    until(profile.is_made, "the evening's day is stored and published")
    until(lambda: not profile.lost_runs(), "no lost run is left")
    assert lost.run_id in {run.run_id for run in profile.runs(FAILED)}
    published = profile.published()
    days = {day for day, _ in published}
    assert min(days) == profile.first
    # After nine in the evening the schedule makes the day that has just closed as well.
    assert max(days) in (profile.evening, last_closed_session(dt.datetime.now(dt.UTC)))
    assert len(published) == len(set(published))
