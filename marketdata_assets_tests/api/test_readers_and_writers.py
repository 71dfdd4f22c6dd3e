"""Clients over HTTP while days are written anew and series refreshed: every answer is whole."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from marketdata_assets.serving.caches import Histories
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import DAILY_PRICES, INSTRUMENT_HISTORY
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import DAYS, SHARES, close_of, history_of, prices_of

CLIENTS, REFRESHES = 4, 20
SPAN = DAYS[:6]
CODES = ("BTC", "ETH", "HSI", "NDX", "SPX", "DJI")


def version_of(rows: list[dict[str, Any]], code: str) -> set[float]:
    """By how much the closes of rows are shifted."""
    days = {day.isoformat(): day for day in SPAN}
    return {round(row["close"] - close_of(code, days[row["date"]]), 6) for row in rows}


def test_answers_are_whole_while_days_are_rewritten_and_refreshed(tmp_path: Path) -> None:
    lake, done = Lake(tmp_path, "test"), threading.Event()

    def store(version: int, count: int) -> None:
        # All days of a version are of one generation: what an answer mixes shows.
        for day in SPAN[:count]:
            lake.write(DAILY_PRICES, day, prices_of(day, shift=float(version)))
        refresh(lake, DAILY_PRICES)

    def write() -> int:
        try:
            for version in range(1, REFRESHES + 1):
                store(version, len(SPAN))
            return version
        finally:
            done.set()

    def read(client: Client, number: int) -> set[float]:
        code, seen, is_over = SHARES[number % len(SHARES)], set(), False
        while not is_over:
            is_over = done.is_set()
            told = client.get("/api/v1/ohlcv", code=code, start=SPAN[0], end=SPAN[-1]).json()
            assert [row["date"] for row in told["data"]] == [str(day) for day in SPAN]
            [version] = version_of(told["data"], code)
            seen.add(version)
            day = client.get("/api/v1/cross-section", date=SPAN[number]).json()
            assert [row["code"] for row in day["data"]] == list(SHARES)
            versions = [version_of([row], row["code"]) for row in day["data"]]
            assert all(one == versions[0] for one in versions)
            body = {"codes": SHARES, "start": str(SPAN[0]), "end": str(SPAN[-1])}
            many = client.post("/api/v1/ohlcv/batch", body).json()["results"]
            together = {v for c in SHARES for v in version_of(many[c]["data"], c)}
            assert len(together) == 1
        return seen

    store(0, len(SPAN))
    with served(tmp_path) as client, ThreadPoolExecutor(CLIENTS + 1) as pool:
        # A session of its own for each: connections are not shared.
        clients = [Client(client.url, client.state, client.queue) for _ in range(CLIENTS)]
        readers = [pool.submit(read, one, number) for number, one in enumerate(clients)]
        assert pool.submit(write).result() == REFRESHES
        for reader in readers:
            assert len(reader.result()) > 2
        # A reader may be answered from the generation before while another opens the newest.
        told = client.get("/api/v1/ohlcv", code=SHARES[0], start=SPAN[0], end=SPAN[-1]).json()
        assert version_of(told["data"], SHARES[0]) == {REFRESHES}
        for one in clients:
            one.session.close()


def test_the_memory_of_histories_stays_bounded_and_right_under_threads(tmp_path: Path) -> None:
    lake, stop = Lake(tmp_path, "test"), threading.Event()
    for code in CODES:
        lake.write(INSTRUMENT_HISTORY, code, history_of(code, DAYS[:20], close=0.0))
    with served(tmp_path) as client:
        client.state.reader.histories = Histories(lake, most_codes=3)

        def write() -> None:
            version = 1.0
            while not stop.wait(0.005):
                lake.write(INSTRUMENT_HISTORY, "BTC", history_of("BTC", DAYS[:20], version))
                version += 1

        def ask(number: int) -> None:
            one = Client(client.url, client.state, client.queue)
            for turn in range(40):
                code = CODES[(number + turn) % len(CODES)]
                told = one.get("/api/v1/ohlcv", code=code, start=DAYS[0], end=DAYS[19]).json()
                closes = [row["close"] for row in told["data"]]
                # One version as a whole, and of this code.
                assert closes == [closes[0] + n for n in range(20)]
                assert code == "BTC" or closes[0] == 0.0
                stats = one.get("/api/v1/cache/stats").json()["lru_cache"]
                assert stats["currsize"] <= stats["maxsize"] == 3
                if turn % 10 == 9:
                    assert one.post("/api/v1/cache/clear").status_code == 200
            one.session.close()

        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            writing = pool.submit(write)
            try:
                list(pool.map(ask, range(CLIENTS)))
            finally:
                stop.set()
            writing.result()
        # Nothing is counted that is not kept: an empty memory weighs nothing.
        after = client.post("/api/v1/cache/clear").json()["after"]
        assert (after["lru_cache"]["currsize"], after["bytes"]) == (0, 0)
