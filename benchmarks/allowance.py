"""How much of the allowance is used when every call takes two seconds, and whether it is exceeded.

Two processes with one token fetch days from a server that refuses more than 200 calls in any 60 s.
"""

import datetime as dt
import json
import multiprocessing
import tempfile
import threading
import time

import dagster as dg

from benchmarks.measuring import show
from marketdata_assets.resources.rate_limit import WINDOW_MS
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.tables import DAILY_KLINE
from marketdata_assets.trading_calendar import sessions_between
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.protocol import Market, TushareProtocol
from marketdata_sandbox.server import TushareServer

ALLOWED_PER_MINUTE = 200
LATENCY_SECONDS = 2.0
WINDOWS = 3
# As on a session of these years.
ONE_DAY_FITS = [5_500]
PROCESSES = 2


class OneShare:
    """A market of one share: only the calls count."""

    def daily(self, day: dt.date) -> Columns:
        values = dict.fromkeys(DAILY_KLINE.column_names[2:], 10.0)
        row = {"ts_code": "600000.SH", "trade_date": f"{day:%Y%m%d}", **values}
        return {name: [value] for name, value in row.items()}


class CountingProtocol(TushareProtocol):
    """Counts what it answers and what it refuses."""

    def __init__(self, market: Market, calls_per_minute: int) -> None:
        super().__init__(market, calls_per_minute=calls_per_minute)
        self.answered_at: list[float] = []
        self.refusals = 0
        self._counting = threading.Lock()

    def answer(self, body: bytes) -> bytes:
        answer = super().answer(body)
        with self._counting:
            if json.loads(answer)["code"]:
                self.refusals += 1
            else:
                self.answered_at.append(time.monotonic())
        return answer


def fetch(url: str, folder: str, days: list[dt.date]) -> None:
    resource = TushareResource(
        token="x", url=url, calls_per_minute=ALLOWED_PER_MINUTE, state_folder=folder
    )
    with resource.yield_for_execution(dg.build_init_resource_context()) as tushare:
        for one in tushare.days(DAILY_KLINE, days, ONE_DAY_FITS):
            if isinstance(one.outcome, Exception):
                raise one.outcome


def main() -> None:
    protocol = CountingProtocol(OneShare(), ALLOWED_PER_MINUTE)  # type: ignore[arg-type]
    days = sessions_between(dt.date(2005, 1, 4), dt.date(2025, 12, 31))
    span = WINDOWS * WINDOW_MS / 1000
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        TushareServer(protocol, latency_seconds=LATENCY_SECONDS).running() as server,
    ):
        children = [
            context.Process(target=fetch, args=(server.url, folder, days[number::PROCESSES]))
            for number in range(PROCESSES)
        ]
        for child in children:
            child.start()
        while not protocol.answered_at:
            time.sleep(0.1)
        time.sleep(span)
        for child in children:
            child.kill()
            child.join()
    began = protocol.answered_at[0]
    used = sum(moment < began + span for moment in protocol.answered_at)
    allowed = ALLOWED_PER_MINUTE * span / 60
    show(
        f"the allowance: {PROCESSES} processes, {LATENCY_SECONDS:.0f} s a call, for {span:.0f} s",
        ("calls used", "calls allowed", "used ÷ allowed", "refused (40203)"),
        [(str(used), f"{allowed:.0f}", f"{used / allowed:.3f}", str(protocol.refusals))],
    )


if __name__ == "__main__":
    main()
