"""A small stored world in which bits flip: what it holds, what it is asked, and how it is mended.

Here belongs what is right. How many bits flip, where, and in which processes is `flips`.
"""

import asyncio
import datetime as dt
import json
import logging
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from starlette.types import ASGIApp, Message

from benchmarks.synthetic import code_of
from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.api.app import create_app
from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.measuring import Metrics
from marketdata_assets.assets.restatements import restated_days
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import Adjust, ExportQuery
from marketdata_assets.serving.requests import Requests
from marketdata_assets.storage.as_of import NotReadableAsOf, as_of
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.lake import Lake, Part, UnfitPartitions
from marketdata_assets.storage.series import SERIES_ASSETS, DamagedSeries, difference, refresh
from marketdata_assets.storage.series.reader import CHECK
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_KLINE,
    DAILY_PRICES,
    ETF_PREMIUM,
    INSTRUMENT_HISTORY,
    STORED_TABLES,
    Column,
    Table,
)
from marketdata_assets.trading_calendar import sessions_between

SHARES = [code_of(number) for number in range(150)]
FUNDS = ["510300.SH", "513100.SH"]
INDEX = "HSI"
# Two years, and so two segments of a series.
DAYS = sessions_between(dt.date(2023, 12, 11), dt.date(2024, 1, 26))
RESTATED_DAYS, RESTATED_CODES = DAYS[5:11], SHARES[:3]
# What the vendor said first, and what it said later.
VERSIONS = 3
TABLES = {DAILY_PRICES: SHARES, DAILY_KLINE: SHARES, ADJ_FACTOR: SHARES, ETF_PREMIUM: FUNDS}
RESTATED_COLUMNS = {DAILY_PRICES: "close", DAILY_KLINE: "close", ADJ_FACTOR: "adj_factor"}
SERIES_TABLES = [STORED_TABLES[name] for name in SERIES_ASSETS]
# Who reads the views looks at no checksum of the lake: they are asked while the lake is whole.
VIEWS = {
    "views": "SELECT view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
    "comments": "SELECT table_name, column_name, comment FROM duckdb_columns() ORDER BY ALL",
    "fund view": "FROM etf_premium ORDER BY ALL",
    "index view": "FROM instrument_history ORDER BY ALL",
}
ORIGIN = "flips: made up"
LAKE, SUPERSEDED = "lake", "superseded"
QUEUE = Path("state", "requests.sqlite3")
NEW_QUEUE = Path("state", "requests.damaged.sqlite3")
DAMAGED_FILES = "marketdata_damaged_files"
PATIENCE_SECONDS = 60
SILENT = logging.getLogger("flips")


class Restated(NamedTuple):
    """A row of the restatements, without when it was seen."""

    table_name: str
    ts_code: str
    column_name: str
    kind: str
    old: str
    new: str


class Refused(Exception):
    """A reader said that what it was asked for is damaged."""


class Profile(NamedTuple):
    """What was stored under a root: moments, and the ids of requests."""

    moments: list[dt.datetime]
    requests: list[str]


def store_world(root: Path) -> Profile:
    lake, moments = Lake(root, ORIGIN), []
    lake.write(INSTRUMENT_HISTORY, INDEX, rows_of(INSTRUMENT_HISTORY, [INDEX] * len(DAYS), DAYS))
    for version in range(VERSIONS):
        for table, codes in TABLES.items():
            for day in DAYS if version == 0 else RESTATED_DAYS:
                if version == 0 or table in RESTATED_COLUMNS:
                    lake.write(table, day, rows_of(table, codes, [day] * len(codes), version))
        moments.append(dt.datetime.now(dt.UTC))
    for table in SERIES_TABLES:
        refresh(lake, table)
    publish_catalog(root)
    queue = Requests(root)
    asked = [queue.request_history(f"{100_000 + number}.CSI") for number in range(40)]
    asked += [queue.request_export(ExportQuery(codes=[code])) for code in SHARES[:15]]
    for one in asked[:10]:
        queue.fail(one.id, "nobody has it")
    return Profile(moments, [one.id for one in asked])


def rows_of(
    table: Table, codes: Sequence[str], days: Sequence[dt.date], version: int = 0
) -> pa.Table:
    """Made-up rows of a table, the same for the same arguments; versions differ in one column."""
    chance = np.random.default_rng(zlib.crc32(f"{table.name} {days[0]}".encode()))

    def values(column: Column) -> list[Any]:
        if column.name in ("code", "ts_code"):
            return list(codes)
        if column.name == table.date_column or (table.code_column and column.name == "date"):
            return list(days)
        if pa.types.is_floating(column.type):
            made = [round(float(value), 2) for value in chance.uniform(1, 2_000, len(codes))]
            return made if column.nullable is False else _with_gaps(made, chance)
        usual: Mapping[str, object] = {"date32[day]": days[0], "bool": True, "string": "x"}
        return [usual.get(str(column.type), 1)] * len(codes)

    columns = {column.name: values(column) for column in table.columns}
    if name := RESTATED_COLUMNS.get(table):
        columns[name] = [
            1_000.0 + number + version if code in RESTATED_CODES else 10.0 + number
            for number, code in enumerate(codes)
        ]
    return pa.table(columns, schema=table.schema)


def _with_gaps(made: list[float], chance: np.random.Generator) -> list[float | None]:
    return [None if chance.random() < 0.02 else value for value in made]


def copy_world(template: Path, root: Path) -> None:
    """The template's files under `root`, by a second name where nobody writes into them."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root, copy_function=_second_name)


def _second_name(source: str, target: str) -> None:
    if Path(source).suffix in (".parquet", ".arrow", ".duckdb", ".json"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def flip(path: Path, bit: int) -> None:
    """Another file with one other bit: whoever has the whole one keeps it."""
    raw = bytearray(path.read_bytes())
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    path.unlink()
    path.write_bytes(raw)


def partition_of(path: Path) -> tuple[Table, Part]:
    """Table and part of a file below a root, one that is true now or an earlier one."""
    table = STORED_TABLES[path.parts[1]]
    name = path.stem if path.parts[0] == "lake" else path.parent.name
    return table, name if table.code_column else dt.date.fromisoformat(name)


class Answers:
    """What the readers of a world say, each of them as new as a process that has just begun."""

    def __init__(self, root: Path, world: Profile, file: Path) -> None:
        self._root, self._world, self._file = root, world, file
        self._lake, self._shelf = Lake(root, ORIGIN), PriceReader(root)
        self._queue = Requests(root, patience=dt.timedelta(0))
        self._client: duckdb.DuckDBPyConnection | None = None

    def questions(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """What is asked when `file`, a path below the root, may have got another bit."""
        if self._file.parts[0] in (LAKE, SUPERSEDED):
            table, part = partition_of(self._file)
            yield "lake", partial(self.stored, table, part)
            yield "as of now", partial(self.known, table, part, dt.datetime.now(dt.UTC))
            for number, moment in enumerate(self._world.moments[:-1]):
                yield f"as of {number}", partial(self.known, table, part, moment)
        if self._file.parts[0] == SUPERSEDED:
            first = self._world.moments[0]
            yield "slice as of", partial(self.sliced, SHARES[2], DAYS[6], DAYS[8], as_of=first)
        for code in (SHARES[0], SHARES[70], SHARES[-1]):
            yield f"slice {code}", partial(self.sliced, code, DAYS[2], DAYS[-2])
        yield "qfq", partial(self.sliced, SHARES[1], adjust=Adjust.QFQ)
        yield "fund", partial(self.sliced, FUNDS[0])
        yield "history", partial(self.sliced, INDEX)
        yield "day", self.day
        if self._file.name.startswith("catalog"):
            with ExitStack() as opened:
                for name, query in VIEWS.items():
                    yield name, partial(self.seen, query, opened)
        if self._file == QUEUE:
            state = AppState(self._root, self._shelf, self._queue, ApiSettings())
            app = create_app(state)
            for request in self._world.requests[::5]:
                yield f"request {request}", partial(self.requested, app, request)

    def stored(self, table: Table, part: Part) -> object:
        with _refusing(UnfitPartitions):
            return self._lake.load(table, part).rows.replace_schema_metadata()

    def known(self, table: Table, part: Part, moment: dt.datetime) -> object:
        with (
            _refusing(NotReadableAsOf),
            as_of(_connection(), self._lake, table, [part], moment) as rows,
        ):
            return rows.order("ALL").to_arrow_table()

    def sliced(
        self, code: str, start: dt.date | None = None, end: dt.date | None = None, **more: Any
    ) -> object:
        with _refusing(DamagedSeries, UnfitPartitions, NotReadableAsOf):
            found = self._shelf.ohlcv(code, start, end, **more)
            return found.rows, found.available, found.missing

    def day(self) -> object:
        with _refusing(DamagedSeries):
            return self._shelf.cross_section(DAYS[8]).rows

    def seen(self, query: str, opened: ExitStack) -> object:
        """What a client with the catalog open is answered; it is closed with `opened`."""
        with _refusing(duckdb.Error):
            if self._client is None:
                place = str(self._root / "catalog.duckdb")
                client = duckdb.connect(place, read_only=True, config={"threads": 1})
                self._client = opened.enter_context(client)
            return self._client.execute(query).fetchall()

    def requested(self, app: ASGIApp, request: str) -> object:
        status, body = asyncio.run(_asked(app, f"/api/v1/requests/{request}"))
        told = json.loads(body)
        # What was open is gone with a queue that was damaged.
        is_gone = status == 404 and (self._root / NEW_QUEUE).exists()
        if is_gone or status == 503:
            raise Refused(told["error"])
        return status, told

    def restated(self) -> set[Restated]:
        """What is said that the vendor restated on the day whose file may have got another bit."""
        part = partition_of(self._file)[1] if self._file.parts[0] in (LAKE, SUPERSEDED) else None
        days = [part] if isinstance(part, dt.date) else []
        return {
            Restated(*(row[name] for name in Restated._fields))
            for compared in restated_days(self._lake, days, SILENT)
            for row in compared.found.to_pylist()
        }

    def damaged_files(self) -> dict[str, int]:
        """What /metrics tells of damage."""
        metrics = Metrics()
        metrics.note(self._root, self._shelf, self._queue)
        [told] = [one for one in metrics.registry.collect() if one.name == DAMAGED_FILES]
        return {one.labels["where"]: int(one.value) for one in told.samples}


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


@contextmanager
def _refusing(*damage: type[Exception]) -> Iterator[None]:
    try:
        yield
    except damage as said:
        raise Refused(str(said)) from said


def await_checks() -> None:
    """Until what compares series in the background has ended."""
    for thread in threading.enumerate():
        if thread.name == CHECK:
            thread.join(PATIENCE_SECONDS)


def mend(root: Path, template: Path, file: Path) -> None:
    """Do what the messages about `file` say, and what is done by itself."""
    lake, kind = Lake(root, ORIGIN), file.parts[0]
    if kind == "lake":
        table, part = partition_of(file)
        # What fetching it again brings: the vendor says what it said.
        again = Lake(template, ORIGIN).load(table, part).rows
        lake.write(table, part, again.replace_schema_metadata())
    elif kind == "superseded":
        (root / file).unlink()
        shutil.copy2(template / file, root / file)
    elif kind.startswith("catalog"):
        publish_catalog(root)
    elif kind == "state":
        queue = Requests(root)
        asked = queue.request_history("NDX")
        assert Requests(root).get(asked.id) == asked
    for table in SERIES_TABLES:
        # As the sensor does, which looks every half minute.
        if difference(lake, table):
            refresh(lake, table)


async def _asked(app: ASGIApp, path: str) -> tuple[int, bytes]:
    """The answer of an application to a GET, without a socket in between."""
    answered: list[Message] = []
    has_asked = False

    async def receive() -> Message:
        nonlocal has_asked
        if has_asked:
            await asyncio.Event().wait()
        has_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return answered[0]["status"], b"".join(one.get("body", b"") for one in answered[1:])
