"""Prices of many codes in one answer.

Here belongs what many codes need beside what one does: limits, and failures that stay with their
code.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated, TypeAlias
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from marketdata_assets.api.answers import BatchAnswer
from marketdata_assets.api.app_state import AppState, in_any_format, may_answer
from marketdata_assets.api.asking import endpoint, nothing_asked
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.price_answers import (
    FACTS,
    JSON,
    NO_DATA,
    in_a_header,
    ohlcv_json,
    query_of,
    refuse_missing,
    rows_in,
)
from marketdata_assets.api.questions import BatchInUrl, BatchQuestion, names_in
from marketdata_assets.api.ranges import ASK_AGAIN, NOT_MODIFIED, FileAnswer, etag_of, not_modified
from marketdata_assets.api.waiting import Turns, Waiting
from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument, UnknownCode, identify
from marketdata_assets.serving.answers import NotStored, Slice, in_one_table
from marketdata_assets.serving.gaps import MissingSessions
from marketdata_assets.serving.ohlcv_view import OHLCV
from marketdata_assets.serving.queries import MOST_CODES, Format, RangeQuery

Found: TypeAlias = Slice | MarketdataError
TOLD_OF_FILES = {
    "X-Missing-Codes": "how many codes have no answer, and the first of them, percent-encoded; not "
    "there where all have one",
    "X-Missing-Sessions": "sessions that one of the codes at least should have and nobody stored",
    "X-Unfinished": "the dates of last bars whose week or month has days to come",
}


def batch_routes(state: AppState, reading_the_past: Turns) -> APIRouter:
    """`reading_the_past` are the turns of all who ask for a former moment."""
    router = APIRouter()
    waiting = Waiting(state)
    errors, form = (400, 413, 429), in_any_format(TOLD_OF_FILES)

    @router.post(
        "/api/v1/ohlcv/batch",
        response_model=BatchAnswer,
        responses={**may_answer(*errors), **form},
        dependencies=[Depends(nothing_asked)],
    )
    async def batch(question: Annotated[BatchQuestion, Body()], request: Request) -> Response:
        """Prices of many codes. A code that has none says why and fails no other; one that is
        not stored yet is requested, and the answer says where to look."""
        return await answered(question, request)

    @endpoint(
        router,
        "/api/v1/ohlcv/batch",
        BatchInUrl,
        BatchAnswer,
        *errors,
        more={**form, **NOT_MODIFIED},
    )
    async def batch_in_url(question: BatchInUrl, request: Request) -> Response:
        """The same in a URL, with the codes separated by commas."""
        return await answered(question, request)

    async def answered(question: BatchQuestion, request: Request) -> Response:
        _refuse_too_much(question, state)
        known, unknown = await run_in_threadpool(_identified, state, question.codes)
        query = query_of(question, [one.code for one in known.values()])

        def versions() -> list[tuple[object, ...]] | None:
            if query.as_of:
                return None
            each = [state.reader.version_of(one, query.range) for one in known.values()]
            return None if None in each else [one for one in each if one]

        async def read(asked: RangeQuery) -> dict[str, Found]:
            async with reading_the_past.one(request) if query.as_of else nullcontext():
                return await run_in_threadpool(lambda: dict(state.reader.each(asked)))

        of = await run_in_threadpool(versions) if request.method == "GET" else None
        etag = etag_of(question, question.days(), of) if of else ""
        if unchanged := not_modified(request, etag):
            return unchanged
        found = await read(query)
        missing = {
            one.code: one for one in known.values() if isinstance(found[one.code], NotStored)
        }
        if missing:
            # The others are there: nobody waits for one of many unless asked to.
            why = await waiting.for_all(list(missing.values()), question.wait or 0, request)
            again = query.model_copy(update={"codes": list(missing)})
            found |= await read(again) | why
        # Read by their present codes, they are answered as those who had another before.
        results = {
            written: replace(its, instrument=one)
            if one.renamed_from and isinstance(its := found[one.code], Slice)
            else found[one.code]
            for written, one in known.items()
        }
        answer = await run_in_threadpool(
            _response, state, question, results | unknown, fetched=set(missing)
        )
        if of and of == await run_in_threadpool(versions):
            answer.headers.update({"ETag": etag, **ASK_AGAIN})
        return answer

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


def _response(
    state: AppState, question: BatchQuestion, results: Mapping[str, Found], fetched: set[str]
) -> Response:
    """`fetched` are the codes that were not stored before this call."""
    found = {one: _complete(results[one], question) for one in question.codes}
    if question.format is not Format.JSON:
        return _file(state, question, found)
    start, end = question.days()
    there = {code: one for code, one in found.items() if isinstance(one, Slice)}
    were_stored = [one.code not in fetched for one in there.values()]
    written = ohlcv_json(list(there.values()), question, were_stored)
    answers = dict(zip(there, written, strict=True)) | {
        code: orjson.dumps(_failure(state, code, one))
        for code, one in found.items()
        if not isinstance(one, Slice)
    }
    pieces = [
        piece
        for number, code in enumerate(found)
        for piece in (b"," if number else b"", orjson.dumps(code), b":", answers[code])
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


def _file(state: AppState, question: BatchQuestion, found: Mapping[str, Found]) -> Response:
    """The rows of all codes, each once, under its present code.

    What JSON says beside the rows is in the schema of Arrow and Parquet, under `FACTS`.
    """
    by_code: dict[str, Found] = {}
    for written, one in found.items():
        if isinstance(one, Slice):
            by_code[one.code] = replace(one, rows=rows_in(one, question))
        else:
            by_code[written] = one
    all_of_them = in_one_table(names_in(question.fields) or OHLCV, by_code)
    failed = {code: _failure(state, code, one)["error"] for code, one in all_of_them.failed.items()}
    facts = {**all_of_them._asdict(), "failed": failed}
    del facts["rows"]
    days = sorted(set().union(*all_of_them.missing.values()))
    headers = {"X-Missing-Sessions": in_a_header(days)}
    if failed:
        headers["X-Missing-Codes"] = quote(in_a_header(list(failed)), safe=" :,.")
    if all_of_them.unfinished:
        headers["X-Unfinished"] = in_a_header(sorted(set(all_of_them.unfinished.values())))
    rows = all_of_them.rows.replace_schema_metadata({FACTS: orjson.dumps(facts)})
    return FileAnswer(rows, question, headers)


def _complete(found: Found, question: BatchQuestion) -> Found:
    try:
        if isinstance(found, Slice):
            refuse_missing(found, question)
    except MissingSessions as missing:
        return missing
    return found


def _failure(state: AppState, written: str, reason: MarketdataError) -> dict[str, object]:
    try:
        kind = identify(written).kind.value
    except UnknownCode:
        kind = "unknown"
    body = {"error": NO_DATA} if isinstance(reason, NotStored) else state.error_body(reason)
    return {**body, "code": written, "asset_type": kind, "data": [], "count": 0}
