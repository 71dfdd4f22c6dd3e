"""What /metrics tells: requests by endpoint and status, how long they took, what is waiting.

Here belongs the counting, in Prometheus' text form. An endpoint is counted by its path as
declared, so codes and ids make no series of their own.
"""

import datetime as dt
import logging
import os
import time
from collections import Counter as Counted
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.requests import Requests
from marketdata_assets.storage import catalog, damage_notes
from marketdata_assets.storage.series import noted_segments
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, ETF_PREMIUM

logger = logging.getLogger(__name__)

# The setting of `prometheus_client` by which processes count together.
COUNTED_IN = "PROMETHEUS_MULTIPROC_DIR"
SERIES_TABLES = (DAILY_PRICES, ADJ_FACTOR, ETF_PREMIUM)
BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The counters of one application, or of all that are told the folder COUNTED_IN."""

    def __init__(self) -> None:
        if COUNTED_IN in os.environ:
            _forget_what_ended_workers_are_doing(Path(os.environ[COUNTED_IN]))
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "marketdata_api_requests",
            "Answered requests",
            ["endpoint", "method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "marketdata_api_seconds",
            "Seconds to the end of the answer",
            ["endpoint"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        now: Any = {"registry": self.registry, "multiprocess_mode": "livesum"}
        self.in_flight = Gauge("marketdata_api_in_flight", "Requests being answered", **now)
        self.waiting = Gauge(
            "marketdata_api_waiting", "Calls that wait for what is not stored yet", **now
        )
        last: Any = {"registry": self.registry, "multiprocess_mode": "mostrecent"}
        self.open_requests = Gauge(
            "marketdata_requests_open",
            "Requests for histories and exports without an outcome",
            ["kind", "state"],
            **last,
        )
        self.readable = Gauge(
            "marketdata_readable",
            "Whether the queue of requests, or a series, can be read: 1, or 0 where it is damaged",
            ["what"],
            **last,
        )
        self.damaged = Gauge(
            "marketdata_damaged_files",
            "Files that somebody noticed to be damaged, those kept aside included",
            ["where"],
            **last,
        )
        self.newest_day = Gauge(
            "marketdata_series_newest_day_seconds",
            "Midnight (UTC) of the last day of a series, since 1970",
            ["table"],
            **last,
        )
        self.generation = Gauge(
            "marketdata_series_generation",
            "Generation of a series that is served",
            ["table"],
            **last,
        )

    def note(self, root: Path, reader: PriceReader, requests: Requests) -> None:
        """Look at what is served and what is open; a moment's work, whatever is damaged."""
        with self._noting_whether_readable("requests"):
            for (kind, state), count in requests.open_counts().items():
                self.open_requests.labels(kind, state).set(count)
        for table in SERIES_TABLES:
            with self._noting_whether_readable(table.name):
                if series := reader.series(table):
                    self.generation.labels(table.name).set(series.generation)
                    midnight = dt.datetime.combine(series.days[-1], dt.time(), dt.UTC)
                    self.newest_day.labels(table.name).set(midnight.timestamp())

        self._count_damage(root, requests)

    def as_text(self) -> bytes:
        """All of it in Prometheus' form, with what the other processes of the API have counted."""
        if COUNTED_IN not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def _count_damage(self, root: Path, requests: Requests) -> None:
        """Count what somebody has noticed; of the lake nothing is read."""
        noted = Counted(path.parts[0] for path in damage_notes.noted(root))
        for where in ("lake", "superseded"):
            self.damaged.labels(where).set(noted[where])
        self.damaged.labels("series").set(len(noted_segments(root)))
        self.damaged.labels("catalog").set(not catalog.is_as_written(root))
        self.damaged.labels("requests").set(requests.has_damaged_copy())

    @contextmanager
    def _noting_whether_readable(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            # Who looks after the service reads why in the log; what can be read is told anyway.
            logger.exception("%s can't be read", what)
            self.readable.labels(what).set(0)
        else:
            self.readable.labels(what).set(1)


def _forget_what_ended_workers_are_doing(folder: Path) -> None:
    for file in folder.glob("gauge_live*_*.db"):
        worker = file.stem.rpartition("_")[2]
        if not Path("/proc", worker).exists():
            mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


class Measured:
    """ASGI middleware that counts into `metrics`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with self._metrics.in_flight.track_inprogress():
                await self._app(scope, receive, noting)
        finally:
            endpoint = getattr(scope.get("route"), "path", "none")
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - began)
            method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
            self._metrics.requests.labels(endpoint, method, status).inc()
