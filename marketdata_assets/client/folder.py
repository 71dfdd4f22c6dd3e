"""Rows out of the folder of a profile, in this process, without a server.

Here belongs how a client's questions are those of `serving`. Nothing is written, nothing is
requested, and nobody upstream is asked.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from marketdata_assets.client.market_data import BadQuestion, PriceQuestion, Prices, RowsQuestion
from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Kind
from marketdata_assets.serving.coverage_by_day import CoverageByDay
from marketdata_assets.serving.ohlcv_view import CROSS_SECTIONS, OHLCV
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import RangeQuery
from marketdata_assets.serving.table_rows import (
    NoSuchDay,
    columns_of,
    daily_table,
    rows_of_codes,
    rows_of_day,
    why_absent,
)
from marketdata_assets.storage.bounded_duckdb import draw_no_progress
from marketdata_assets.storage.finding_list import finding_list
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.tables import FINDINGS
from marketdata_assets.tables.declaration import Outcome


def folder_of_profile(folder: Path) -> Path:
    """The folder of a profile at `folder` or in it. Raises `BadQuestion`."""
    if (folder / "lake").is_dir():
        return folder.resolve()
    found = sorted(one.parent for one in folder.glob("*/lake") if one.is_dir())
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise BadQuestion(f"{folder} has several profiles, never mixed: connect to one of {names}.")
    if not found:
        raise BadQuestion(
            f"{folder} holds no data: name the folder of a profile, like data/live. "
            "`marketdata demo` makes one."
        )
    return found[0].resolve()


class Folder:
    """The finished copies and the lake below a folder, the newest at every call."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lake = open_lake(root, "")
        self._reader = PriceReader(root)
        self._coverage = CoverageByDay(self._lake)

    def __repr__(self) -> str:
        return str(self._root)

    @property
    def origin(self) -> str:
        series = self._reader.sound_series()
        return ", ".join(sorted({one for each in series for one in each.origins}))

    def prices(self, asked: PriceQuestion) -> Prices:
        known: dict[str, str] = {}
        failed: dict[str, str] = {}
        for code in asked.codes:
            try:
                known[code] = self._reader.instrument(code).code
            except MarketdataError as reason:
                failed[code] = str(reason)
        columns = ["date", *(asked.columns or OHLCV[1:])]
        asked = asked._replace(codes=[*known.values()], columns=columns)
        found = self._reader.together(_query(asked))
        # What has no answer is named as it was asked for, as a server does.
        failed |= {
            written: str(found.failed[code])
            for written, code in known.items()
            if code in found.failed
        }
        return Prices(
            found.rows,
            {code: [str(day) for day in days] for code, days in found.missing.items()},
            {code: str(day) for code, day in found.unfinished.items()},
            {code: str(day) for code, day in found.stale.items()},
            failed,
            found.empty,
        )

    def cross_section(self, day: dt.date, fields: Sequence[str], kind: str) -> pa.Table:
        if kind not in CROSS_SECTIONS:
            raise BadQuestion(f"kind may be {' or '.join(CROSS_SECTIONS)}; others by code alone.")
        columns = ("code", *(fields or OHLCV))
        return self._reader.cross_section(day, columns, Kind(kind)).rows

    def table(self, asked: RowsQuestion) -> tuple[pa.Table, Sequence[str]]:
        table, code, span = daily_table(asked.name), asked.code, (asked.start, asked.end)
        columns, now = columns_of(table, asked.fields), dt.datetime.now(dt.UTC)
        codes = self._reader.codes_of(self._reader.instrument(code)) if code else None
        if asked.day:
            return rows_of_day(self._lake, table, asked.day, columns, codes, now).rows, ()
        found = rows_of_codes(self._lake, table, *span, columns, codes or (), now)
        return found.rows, [str(one) for one in found.missing]

    def instruments(self, search: str, limit: int) -> list[dict[str, Any]]:
        found = self._reader.instruments(search, limit)
        return [{**vars(one), "asset_type": one.asset_type.value} for one in found]

    def coverage(self, table: str, start: dt.date, end: dt.date) -> list[dict[str, Any]]:
        found = self._coverage.tables([table] if table else [], start, end, dt.datetime.now(dt.UTC))
        return [
            {"table": one.table.name, **vars(day), "state": day.state.value}
            for one in found
            for day in one.days
        ]

    def findings(
        self, day: dt.date | None, since: dt.date | None, code: str, outcome: str
    ) -> list[dict[str, Any]]:
        if outcome and outcome not in list(Outcome):
            raise BadQuestion(f"outcome is {outcome!r}: write one of {', '.join(Outcome)}.")
        stored = self._lake.days(FINDINGS)
        if not stored:
            raise NoSuchDay("No findings are stored of any day.")
        last = day or stored[-1]
        if since is None and last not in stored:
            raise NoSuchDay(why_absent(FINDINGS, last, dt.datetime.now(dt.UTC)))
        if since and since > last:
            raise BadQuestion(f"since {since} lies after {last}.")
        outcomes = [outcome] if outcome else []
        return [vars(one) for one in finding_list(self._root, last, since, code, outcomes)]

    def sql(self, query: str) -> pa.Table:
        import duckdb

        catalog = self._root / "catalog.duckdb"
        if not catalog.exists():
            raise BadQuestion(f"{catalog} is not there yet: it is made with the first run.")
        try:
            with duckdb.connect(str(catalog), read_only=True) as connection:
                draw_no_progress(connection)
                # An empty text has no answer.
                if (answer := connection.sql(query)) is None:
                    raise BadQuestion("No query is asked.")
                return answer.to_arrow_table()
        except duckdb.Error as error:
            raise BadQuestion(f"DuckDB: {error}") from None


def _query(asked: PriceQuestion) -> RangeQuery:
    try:
        return RangeQuery.model_validate(asked._asdict())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        message = str(problem["msg"]).removeprefix("Value error, ")
        raise BadQuestion(f"{where}: {message}" if where else message) from None
