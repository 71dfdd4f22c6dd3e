"""Several hosts beside one machine: the CPU of a run, the calls of S3 a partition, a killed worker.

One run of the chain over the whole simulated market, whose server is in this process and counts in
neither. Both ways start a process for the run; the workers are there already. All have made a day,
so that what they import is compiled, as it is once a package is installed.
Needs the servers that `marketdata_assets_tests/distributed` starts.
"""

import contextlib
import datetime as dt
import os
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measuring import console, show
from marketdata_assets.hosts import FORMS, Hosts
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.conftest import CHAIN
from marketdata_assets_tests.distributed.programs import Program
from marketdata_assets_tests.distributed.running import (
    events,
    last_event,
    run,
    settings_of,
    worker,
)
from marketdata_assets_tests.distributed.servers import BUCKET, postgres, rabbitmq, s3
from marketdata_assets_tests.distributed.store_proxy import StoreProxy
from marketdata_assets_tests.killed_dev import processes_of
from marketdata_sandbox.market.exchange import SimulatedExchange
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

COUNT = int(os.environ.get("BENCH_DISTRIBUTED_DAYS", "20"))
WARM, *DAYS = sessions_between(dt.date(2024, 3, 1), dt.date(2024, 9, 30))[: COUNT + 1]
KILLED = sessions_between(dt.date(2024, 10, 8), dt.date(2024, 12, 31))[:COUNT]
CALLS = ("HEAD", "GET", "PUT", "LIST")


def cpu_of_run(folder: Path, settings: Mapping[str, str], days: Sequence[dt.date]) -> float:
    """The CPU seconds of the process of a run, and of all that it starts."""
    before = _used()
    with run(folder, settings, days):
        pass
    return _used() - before


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(one: Program) -> float:
    """The CPU seconds of a worker until now, and of all that it has started."""
    ticks = 0
    for pid in processes_of(one.folder):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # Its own as user and system, and those of what has ended.
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def recovery(folder: Path, settings: Mapping[str, str], database: str, victim: Program) -> float:
    """Seconds from the death of a worker with steps in hand until another begins one of them."""
    before = last_event(database)
    # It has a log already, of the runs before.
    seen = (victim.folder / "log").stat().st_size
    with run(folder, settings, KILLED) as process:
        while b"STEP_START" not in (victim.folder / "log").read_bytes()[seen:]:
            time.sleep(0.05)
        victim.kill()
        killed = time.monotonic()
        while max(events(database, "STEP_START", before).values()) < 2:
            assert process.is_alive(), "no step was begun again"
            time.sleep(0.05)
        return time.monotonic() - killed


def main() -> None:
    exchange = TushareServer(TushareProtocol(SimulatedExchange()))
    with (
        tempfile.TemporaryDirectory() as root,
        contextlib.ExitStack() as open_until_the_end,
        exchange.running(),
    ):
        here = Path(root)
        for name in ("postgres", "rabbitmq", "s3"):
            (here / name).mkdir()
        start = open_until_the_end.enter_context
        database = start(postgres(here / "postgres")).address
        broker = start(rabbitmq(here / "rabbitmq")).address
        store_settings = start(s3(here / "s3"))
        store = start(StoreProxy(store_settings["AWS_ENDPOINT_URL"]).running())
        settings = {
            **settings_of(Hosts(database, f"s3://{BUCKET}/benchmark", broker), exchange.url),
            **store_settings,
            "AWS_ENDPOINT_URL": store.url,
            "XDG_STATE_HOME": str(here / "state"),
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(here / "bytecode"),
        }
        alone = {**settings, **dict.fromkeys(FORMS, "")}
        console.print(f"{len(DAYS)} days of {len(CHAIN)} datasets, three times …")
        cpu_of_run(here / "warm alone", alone, [WARM])
        cpu_alone = cpu_of_run(here / "alone", alone, DAYS)
        victim = Program(here / "one", settings, "marketdata_assets", "worker")
        with worker(here / "other", settings) as other:
            try:
                cpu_of_run(here / "warm", settings, [WARM])
                workers = cpu_of(victim) + cpu_of(other)
                store.asked.clear()
                cpu = cpu_of_run(here / "run", settings, DAYS)
                cpu += cpu_of(victim) + cpu_of(other) - workers
                partitions = len(DAYS) * len(CHAIN)
                calls = [f"{store.count(kind) / partitions:.1f}" for kind in CALLS]
                seconds = recovery(here / "killed", settings, database, victim)
            finally:
                victim.kill()
    show(
        f"two workers beside one machine, {len(DAYS)} days of {len(CHAIN)} datasets",
        ("", "two workers", "one machine", "ratio"),
        [
            ("s CPU of a run", f"{cpu:.1f}", f"{cpu_alone:.1f}", f"{cpu / cpu_alone:.2f}"),
            (f"calls of S3 a partition: {' / '.join(CALLS)}", " / ".join(calls), "", ""),
            ("s until a killed worker's step is begun again", f"{seconds:.1f}", "", ""),
        ],
    )


if __name__ == "__main__":
    main()
