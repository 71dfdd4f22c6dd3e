"""What the checks find on every simulated session, of which all are good: it should be nothing.

The one exception is in the market itself: the vendor's factors of 2024-06-25 and 26 are off for
hundreds of shares, which is flagged. Takes minutes; BENCH_ALARMS_SINCE shortens it to the
sessions from a year on.
"""

import datetime as dt
import multiprocessing
import os
import resource
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from benchmarks.measuring import console, show
from benchmarks.simulated import tables_of
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.running import Finding
from marketdata_assets.checks.sessions import SESSIONS_BEFORE
from marketdata_assets.tables import DAILY_KLINE
from marketdata_assets.trading_calendar import last_published_session, sessions_between
from marketdata_assets_tests.checks.judging import before, check_days
from marketdata_sandbox.market.exchange import SimulatedExchange

SINCE = int(os.environ.get("BENCH_ALARMS_SINCE", "2005"))
DAYS = sessions_between(dt.date(SINCE, 1, 1), last_published_session())
PROCESSES = 2
FINDINGS_SHOWN = 5
# Every day is over for long: nothing that is missing is only late.
LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


class Judged(NamedTuple):
    """Sessions and their bars, the findings that fail, and the memory it took."""

    sessions: int
    bars: int
    findings: list[Finding]
    peak_megabytes: float


def judge_sessions(earlier: list[dt.date], days: list[dt.date]) -> Judged:
    """Judge `days` after `earlier` ones, in stretches of a few: no more is held at a time."""
    exchange = SimulatedExchange()
    known: list[dict[str, pa.Table]] = [tables_of(exchange, day) for day in earlier]
    bars, failing = 0, []
    for stretch in _stretches(days):
        tables = {day: tables_of(exchange, day) for day in stretch}
        failing += [one for one in check_days(tables, before(known), LATER, NONE) if one.fails]
        known = list(tables.values())
        bars += sum(each[DAILY_KLINE.name].num_rows for each in known)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Judged(len(days), bars, failing, peak)


def _stretches(days: list[dt.date]) -> Iterator[list[dt.date]]:
    for start in range(0, len(days), SESSIONS_BEFORE):
        yield days[start : start + SESSIONS_BEFORE]


def main() -> None:
    console.print(f"judging {len(DAYS):,} sessions, {DAYS[0]} … {DAYS[-1]} …")
    began = time.perf_counter()
    half = len(DAYS) // PROCESSES
    parts = [([], DAYS[:half]), (DAYS[max(half - SESSIONS_BEFORE, 0) : half], DAYS[half:])]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        done = pool.starmap(judge_sessions, parts)
    seconds = time.perf_counter() - began
    findings = [finding for part in done for finding in part.findings]
    refusing = [finding for finding in findings if finding.refuses]
    show(
        "false alarms on good sessions",
        ("sessions", "bars", "seconds", "peak MB a process", "refusals", "others"),
        [
            (
                f"{sum(part.sessions for part in done):,}",
                f"{sum(part.bars for part in done):,}",
                f"{seconds:.0f}",
                f"{max(part.peak_megabytes for part in done):.0f}",
                str(len(refusing)),
                str(len(findings) - len(refusing)),
            )
        ],
    )
    told: Counter[str] = Counter()
    for finding in findings:
        told[finding.check.name] += 1
        if told[finding.check.name] <= FINDINGS_SHOWN:
            console.print(finding.in_words())
    for name, count in told.items():
        if count > FINDINGS_SHOWN:
            console.print(f"… and {count - FINDINGS_SHOWN} more of {name}")


if __name__ == "__main__":
    main()
