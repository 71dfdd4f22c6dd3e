"""The stored tables: what they hold, and rows of any that is stored by day.

Here belongs which answer follows. What is read, and what is missing, is `serving.table_rows`.
"""

import datetime as dt

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from marketdata_assets.api.answers import TableRowsAnswer, TablesAnswer
from marketdata_assets.api.app_state import AppState, in_any_format, may_answer
from marketdata_assets.api.asking import endpoint, nothing_asked
from marketdata_assets.api.encoding import json_response, rows_response
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.price_answers import FACTS, HEADERS, in_a_header
from marketdata_assets.api.questions import TableRowsQuestion, names_in
from marketdata_assets.api.ranges import FileAnswer
from marketdata_assets.api.waiting import Turns
from marketdata_assets.instruments import Instrument
from marketdata_assets.serving.gaps import MissingSessions
from marketdata_assets.serving.queries import Format
from marketdata_assets.serving.table_rows import (
    TableRows,
    columns_of,
    daily_table,
    rows_of_codes,
    rows_of_day,
)
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.tables import STORED_TABLES, Table

TOLD_OF_FILES = ("X-Code", "X-Renamed-From", "X-Missing-Sessions")


def table_routes(state: AppState) -> APIRouter:
    router = APIRouter()
    lake, limits = open_lake(state.root, "reader"), state.settings.limits
    reading_days = Turns(
        limits.table_ranges_at_once, limits.table_ranges_waiting, "the days of a code"
    )

    @router.get(
        "/api/v1/tables",
        response_model=TablesAnswer,
        responses=may_answer(400),
        dependencies=[Depends(nothing_asked)],
    )
    def tables() -> Response:
        """Every stored table: its columns, types and units."""
        described = [_described(table) for table in STORED_TABLES.values()]
        return json_response({"tables": described, "count": len(described)})

    @endpoint(
        router,
        "/api/v1/tables/{name}/rows",
        TableRowsQuestion,
        TableRowsAnswer,
        *(400, 404, 409, 413, 429),
        more=in_any_format({name: HEADERS[name] for name in TOLD_OF_FILES}),
        of_path={"name": "as /api/v1/tables lists it, like moneyflow"},
    )
    async def rows(question: TableRowsQuestion, request: Request) -> Response:
        """Rows of a table that is stored by day: all of a `date`, or those of a `code` in a range.

        A day that is not stored, is not over or does not trade is a 404 that says so.
        """
        table = daily_table(request.path_params["name"])
        columns = columns_of(table, names_in(question.fields))
        start, end = question.days()
        if not question.date and (end - start).days >= limits.table_days:
            raise ApiError(
                413,
                f"{start} to {end} is more than {limits.table_days} days, the most that one "
                "question about a table may ask for: it reads every day as a whole. Ask for "
                "parts of it; prices over years are /api/v1/ohlcv.",
            )

        def read() -> tuple[TableRows, Instrument | None]:
            asked = state.reader.instrument(question.code) if question.code else None
            codes = state.reader.codes_of(asked) if asked else None
            now = dt.datetime.now(dt.UTC)
            if question.date:
                return rows_of_day(lake, table, question.date, columns, codes, now), asked
            assert codes is not None, "without a date there is a code"
            return rows_of_codes(lake, table, start, end, columns, codes, now), asked

        if question.date:
            found, instrument = await run_in_threadpool(read)
        else:
            async with reading_days.one(request):
                found, instrument = await run_in_threadpool(read)
        if question.strict and found.missing:
            raise MissingSessions(str(question.code), table.name, found.missing, from_series=False)
        return await run_in_threadpool(_response, found, instrument, question)

    return router


def _response(
    found: TableRows, instrument: Instrument | None, question: TableRowsQuestion
) -> Response:
    if question.format is not Format.JSON:
        headers = {"X-Missing-Sessions": in_a_header(found.missing)}
        if instrument:
            headers["X-Code"] = instrument.code
        if instrument and instrument.renamed_from:
            headers["X-Renamed-From"] = instrument.renamed_from
        # A header has room for some of them alone.
        told = {FACTS: orjson.dumps({"missing": found.missing})}
        rows = found.rows.replace_schema_metadata(told)
        return FileAnswer(rows, question, headers)
    start, end = (question.date, question.date) if question.date else question.days()
    facts = {
        "table": found.table.name,
        "code": instrument.code if instrument else None,
        "renamed_from": (instrument.renamed_from or None) if instrument else None,
        "start": start,
        "end": end,
        "count": found.rows.num_rows,
        "columns": found.rows.column_names,
        "missing_sessions": found.missing,
        "stored_at": found.stored_at,
    }
    return rows_response(found.rows, facts)


def _described(table: Table) -> dict[str, object]:
    return {
        "name": table.name,
        "doc": table.doc,
        "doc_zh": table.doc_zh,
        "key": table.key,
        "partitioned_by": table.date_column or table.code_column,
        "first_date": table.first_date,
        "columns": [
            {
                "name": column.name,
                "type": str(column.type),
                "unit": column.unit,
                "doc": column.doc,
                "doc_zh": column.doc_zh,
                "nullable": column.nullable,
            }
            for column in table.columns
        ],
    }
