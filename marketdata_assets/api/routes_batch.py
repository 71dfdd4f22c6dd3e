"""Prices of many codes in one answer.

Here belongs what many codes need beside what one does: limits, and failures that stay with their
code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, TypeAlias

import orjson
from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from marketdata_assets.api.answers import BatchAnswer
from marketdata_assets.api.app_state import AppState, may_answer
from marketdata_assets.api.asking import nothing_asked
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.price_answers import (
    JSON,
    NO_DATA,
    ohlcv_json,
    query_of,
    refuse_missing,
)
from marketdata_assets.api.questions import BatchQuestion
from marketdata_assets.api.waiting import Waiting
from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument, UnknownCode, identify
from marketdata_assets.serving.answers import NotStored, Slice
from marketdata_assets.serving.gaps import MissingSessions
from marketdata_assets.serving.queries import MOST_CODES, RangeQuery

Found: TypeAlias = Slice | MarketdataError


def batch_routes(state: AppState) -> APIRouter:
    router = APIRouter(dependencies=[Depends(nothing_asked)])
    waiting = Waiting(state)

    @router.post("/api/v1/ohlcv/batch", response_model=BatchAnswer, responses=may_answer(400, 413))
    async def batch(question: Annotated[BatchQuestion, Body()], request: Request) -> Response:
        """Daily prices of many codes. A code that has none says why and fails no other; one that is
        not stored yet is requested, and the answer says where to look."""
        _refuse_too_much(question, state)
        known, unknown = await run_in_threadpool(_identified, state, question.codes)
        if not known:
            return _response(state, question, unknown, fetched=set())
        query = query_of(question, [one.code for one in known.values()])
        found = await run_in_threadpool(_read, state, query)
        missing = {
            one.code: one for one in known.values() if isinstance(found[one.code], NotStored)
        }
        if missing:
            # The others are there: nobody waits for one of many unless asked to.
            why = await waiting.for_all(list(missing.values()), question.wait or 0, request)
            again = query.model_copy(update={"codes": list(missing)})
            found |= await run_in_threadpool(_read, state, again)
            found |= why
        results = {asked: _asked_as(found[one.code], one) for asked, one in known.items()}
        return await run_in_threadpool(
            _response, state, question, results | unknown, fetched=set(missing)
        )

    return router


def _refuse_too_much(question: BatchQuestion, state: AppState) -> None:
    if not question.codes:
        raise ApiError(400, "Missing or invalid parameter: codes (must be a list)")
    if len(question.codes) > MOST_CODES:
        raise ApiError(
            413,
            f"{len(question.codes):,} codes are too many: up to {MOST_CODES:,} are answered at "
            "once. Ask in parts, or POST /api/v1/exports.",
        )
    start, end = question.days()
    asked, most = len(question.codes) * ((end - start).days + 1), state.settings.limits.rows
    if asked > most:
        raise ApiError(
            413,
            f"{asked:,} days of codes are too many: codes times days may be up to {most:,}. Ask "
            "in parts, or POST /api/v1/exports.",
        )


def _identified(
    state: AppState, codes: Sequence[str]
) -> tuple[dict[str, Instrument], dict[str, Found]]:
    """The instruments by code as asked, and why others are none."""
    known: dict[str, Instrument] = {}
    unknown: dict[str, Found] = {}
    for code in codes:
        try:
            known[code] = state.reader.instrument(code)
        except UnknownCode as reason:
            unknown[code] = reason
    return known, unknown


def _read(state: AppState, query: RangeQuery) -> dict[str, Found]:
    return dict(state.reader.each(query))


def _asked_as(found: Found, instrument: Instrument) -> Found:
    return replace(found, instrument=instrument) if isinstance(found, Slice) else found


def _response(
    state: AppState, question: BatchQuestion, results: Mapping[str, Found], fetched: set[str]
) -> Response:
    """`fetched` are the codes that were not stored before this call."""
    start, end = question.days()
    found = {asked: _complete(results[asked], question) for asked in question.codes}
    there = {asked: one for asked, one in found.items() if isinstance(one, Slice)}
    were_stored = [one.code not in fetched for one in there.values()]
    written = ohlcv_json(list(there.values()), question, "none", were_stored)
    answers = dict(zip(there, written, strict=True)) | {
        asked: orjson.dumps(_failure(state, asked, one))
        for asked, one in found.items()
        if not isinstance(one, Slice)
    }
    pieces = [
        piece
        for number, asked in enumerate(found)
        for piece in (b"," if number else b"", orjson.dumps(asked), b":", answers[asked])
    ]
    counts = {
        "success_count": len(there),
        "failed_count": len(found) - len(there),
        "total": len(found),
        "start": start,
        "end": end,
    }
    body = b"".join((b'{"results":{', *pieces, b"},", orjson.dumps(counts)[1:]))
    return Response(body, media_type=JSON)


def _complete(found: Found, question: BatchQuestion) -> Found:
    try:
        if isinstance(found, Slice):
            refuse_missing(found, question)
    except MissingSessions as missing:
        return missing
    return found


def _failure(state: AppState, asked: str, reason: MarketdataError) -> dict[str, object]:
    try:
        kind = identify(asked).kind.value
    except UnknownCode:
        kind = "unknown"
    body = {"error": NO_DATA} if isinstance(reason, NotStored) else state.error_body(reason)
    return {**body, "code": asked, "asset_type": kind, "data": [], "count": 0}
