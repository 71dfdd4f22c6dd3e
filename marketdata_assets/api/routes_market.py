"""The market as a whole: one day of it, what was found on it, which instruments there are.

Here belongs what is not asked by code.
"""

import datetime as dt
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from marketdata_assets.api.answers import (
    CrossSectionAnswer,
    FindingsAnswer,
    InstrumentsAnswer,
)
from marketdata_assets.api.app_state import AppState, in_any_format, may_answer
from marketdata_assets.api.asking import asked, parameters
from marketdata_assets.api.encoding import (
    MEDIA_TYPES,
    json_records,
    json_response,
    table_bytes,
)
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.etags import ASK_AGAIN, NOT_MODIFIED, etag_of, not_modified
from marketdata_assets.api.questions import (
    CrossSectionQuestion,
    FindingsQuestion,
    InstrumentsQuestion,
)
from marketdata_assets.api.ranges import FileAnswer
from marketdata_assets.serving.ohlcv_view import CROSS_SECTIONS, DAILY_VIEWS, OHLCV
from marketdata_assets.serving.queries import Format
from marketdata_assets.serving.table_rows import NoSuchDay, why_absent
from marketdata_assets.storage.finding_list import finding_list
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.tables import FINDINGS


def market_routes(state: AppState) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/api/v1/cross-section",
        response_model=CrossSectionAnswer,
        responses={**may_answer(400, 404), **in_any_format(), **NOT_MODIFIED},
        openapi_extra=parameters(CrossSectionQuestion),
    )
    def cross_section(
        question: Annotated[CrossSectionQuestion, Depends(asked(CrossSectionQuestion))],
        request: Request,
    ) -> Response:
        """All A-shares, or all funds, of one trading day, by code."""
        if question.kind not in CROSS_SECTIONS:
            raise ApiError(400, f"kind may be {' or '.join(CROSS_SECTIONS)}; others by code alone")
        columns = question.columns() or ("date", *OHLCV[1:])
        columns = ("code", *(name for name in columns if name != "code"))
        if series := state.reader.series(DAILY_VIEWS[question.kind].table):
            unchanged = not_modified(request, etag_of(question, series.generation))
            if unchanged:
                return unchanged
        found = state.reader.cross_section(question.date, columns, question.kind)
        headers = {"ETag": etag_of(question, found.generation), **ASK_AGAIN}
        if question.format is not Format.JSON:
            body = table_bytes(found.rows, question.format, question.encoding)
            return FileAnswer(body, MEDIA_TYPES[question.format], headers)
        facts = {
            "date": found.date,
            "kind": question.kind,
            "count": found.rows.num_rows,
            "columns": found.rows.column_names,
            "source": found.source.name,
            "stored_at": found.stored_at,
        }
        body = b'{"data":' + json_records(found.rows) + b"," + orjson.dumps(facts)[1:]
        return Response(body, headers=headers, media_type=MEDIA_TYPES[Format.JSON])

    @router.get(
        "/api/v1/findings",
        response_model=FindingsAnswer,
        responses=may_answer(400, 404),
        openapi_extra=parameters(FindingsQuestion),
    )
    def findings(
        question: Annotated[FindingsQuestion, Depends(asked(FindingsQuestion))],
    ) -> Response:
        """What the checks found on a day: what is refused, held, flagged or excused, and why."""
        stored = open_lake(state.root, "reader").days(FINDINGS)
        day = question.date or (stored[-1] if stored else None)
        if day is None:
            raise ApiError(404, "No findings are stored of any day")
        if question.since is None and day not in stored:
            raise NoSuchDay(why_absent(FINDINGS, day, dt.datetime.now(dt.UTC)))
        if question.since and question.since > day:
            raise ApiError(400, f"since {question.since} lies after {day}")
        outcomes = [question.outcome.value] if question.outcome else []
        found = finding_list(
            state.root, day, question.since, question.code.strip(), outcomes, question.limit
        )
        rows = [one._asdict() for one in found]
        return json_response({"date": day, "findings": rows, "count": len(rows)})

    @router.get(
        "/api/v1/instruments",
        response_model=InstrumentsAnswer,
        responses=may_answer(400),
        openapi_extra=parameters(InstrumentsQuestion),
    )
    def instruments(
        question: Annotated[InstrumentsQuestion, Depends(asked(InstrumentsQuestion))],
    ) -> Response:
        """Instruments whose code or name holds `q`, the closest first."""
        found = [
            {
                "code": one.code,
                "name": one.name,
                "asset_type": one.kind,
                "stored_in": one.stored_in,
            }
            for one in state.reader.instruments(question.q, question.limit)
        ]
        return json_response({"instruments": found, "count": len(found)})

    return router
