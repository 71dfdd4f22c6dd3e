"""Prices by code: one, many, and a fund's NAV.

Here belongs how slices become answers. A code that is not stored is requested and awaited by
`waiting`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import orjson
import pyarrow as pa
from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from marketdata_assets.api.answers import (
    AssetTypeAnswer,
    BatchAnswer,
    NavAnswer,
    OhlcvAnswer,
    RequestedAnswer,
)
from marketdata_assets.api.door import Door, in_any_format, may_answer
from marketdata_assets.api.encoding import (
    MEDIA_TYPES,
    Format,
    json_records,
    json_response,
    table_bytes,
)
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.questions import (
    AssetTypeQuestion,
    BatchQuestion,
    NavQuestion,
    OhlcvQuestion,
    Range,
)
from marketdata_assets.api.waiting import Waiting
from marketdata_assets.instruments import Instrument, Kind, UnknownCode, identify
from marketdata_assets.serving.answers import NotStored, Slice
from marketdata_assets.serving.canonical import CANONICAL, NoSuchColumn
from marketdata_assets.serving.queries import MOST_CODES, RangeQuery
from marketdata_assets.storage.premium_statistics import premium_statistics

JSON = MEDIA_TYPES[Format.JSON]
NO_DATA = "No data available"


def price_routes(door: Door) -> APIRouter:
    router = APIRouter()
    waiting = Waiting(door)

    @router.get("/api/v1/asset-type", response_model=AssetTypeAnswer, responses=may_answer(400))
    def asset_type(question: Annotated[AssetTypeQuestion, Query()]) -> Response:
        """What a code is: the kind of instrument, its currency and unit."""
        instrument = identify(question.code)
        return json_response(
            {
                "code": question.code,
                "asset_type": instrument.kind,
                "description": instrument.kind.doc,
                "description_zh": instrument.kind.doc_zh,
                "canonical_code": instrument.code,
                "currency": instrument.currency,
                "volume_unit": instrument.unit,
            }
        )

    @router.get(
        "/api/v1/ohlcv",
        response_model=OhlcvAnswer,
        responses={
            **may_answer(400, 404, 409, 502),
            **in_any_format(),
            202: {"model": RequestedAnswer, "description": "requested, not there yet"},
        },
    )
    async def ohlcv(question: Annotated[OhlcvQuestion, Query()], request: Request) -> Response:
        """Daily prices of one code. What is not stored yet is fetched while the call waits."""
        instrument = identify(question.code)
        query = _query(question, [instrument.code], question)

        def answer(was_stored: bool) -> Response | None:
            try:
                found = door.shelf.ohlcv(
                    instrument.code,
                    query.start,
                    query.end,
                    query.columns,
                    query.adjust,
                    query.anchor,
                    query.as_of,
                )
            except NotStored:
                return None
            return _ohlcv_response(found, question, was_stored)

        answered = None if question.nocache else await run_in_threadpool(answer, True)
        if answered is None:
            pending = await waiting.for_one(
                instrument, question.wait, request, renew=question.nocache
            )
            answered = pending or await run_in_threadpool(answer, False)
        return answered or _no_data(instrument, question)

    @router.post("/api/v1/ohlcv/batch", response_model=BatchAnswer, responses=may_answer(400, 413))
    async def batch(question: Annotated[BatchQuestion, Body()], request: Request) -> Response:
        """Daily prices of many codes. A code that has none says why and fails no other."""
        _refuse_too_much(question, door)
        known, results = _identified(question.codes)
        if known:
            query = _query(question, [one.code for one in known.values()])
            found = await run_in_threadpool(_read_all, door, query)
            missing = [one for one in known.values() if isinstance(found[one.code], NotStored)]
            if missing:
                pending = await waiting.for_all(missing, question.wait, request)
                found |= await run_in_threadpool(_read_all, door, _only(query, missing))
                found |= pending
            for asked, instrument in known.items():
                results[asked] = found[instrument.code]
        return await run_in_threadpool(_batch_response, door, question, results)

    @router.get(
        "/api/v1/etf/nav",
        response_model=NavAnswer,
        responses={
            **may_answer(400, 404, 502),
            202: {"model": RequestedAnswer, "description": "requested, not there yet"},
        },
    )
    async def etf_nav(question: Annotated[NavQuestion, Query()], request: Request) -> Response:
        """Price, net asset value and premium of an ETF or LOF of mainland China."""
        instrument = identify(question.code)
        if instrument.kind is not Kind.CHINA_ETF:
            raise ApiError(
                400,
                f"Not an ETF: {question.code} (type: {instrument.kind})",
                hint="ETFs and LOFs of mainland China alone: codes from 50 to 58, 159 and 16",
            )

        def answer() -> Response | None:
            columns = [*CANONICAL, "unit_nav", "premium"]
            query = _query(question, [instrument.code])
            try:
                found = door.shelf.ohlcv(instrument.code, query.start, query.end, columns)
            except (NotStored, NoSuchColumn):
                return None
            return _nav_response(found, question)

        answered = await run_in_threadpool(answer)
        if answered is None:
            pending = await waiting.for_one(instrument, question.wait, request)
            answered = pending or await run_in_threadpool(answer)
        return answered or _no_data(instrument, question)

    return router


def _query(range_: Range, codes: Sequence[str], more: OhlcvQuestion | None = None) -> RangeQuery:
    """The question in terms of `serving`; a reversed range is asked for its first day alone."""
    start, end = range_.days()
    arguments: dict[str, object] = {"codes": codes, "start": start, "end": max(start, end)}
    if more:
        columns = more.columns() or CANONICAL
        arguments |= {"columns": ["date", *(name for name in columns if name != "date")]}
        arguments |= {"adjust": more.adjust, "anchor": more.anchor, "as_of": more.as_of}
    return RangeQuery.model_validate(arguments)


def _rows(found: Slice, question: Range) -> pa.Table:
    start, end = question.days()
    return found.rows if start <= end else found.rows.slice(0, 0)


def _ohlcv_response(found: Slice, question: OhlcvQuestion, was_stored: bool) -> Response:
    rows = _rows(found, question)
    if question.format is Format.JSON:
        return Response(
            _ohlcv_json(found, rows, question, question.adjust, was_stored), media_type=JSON
        )
    first, last = found.available or ("", "")
    headers = {
        "X-Code": found.code,
        "X-Asset-Type": found.instrument.kind.value,
        "X-Available-Start": str(first),
        "X-Available-End": str(last),
        "X-Cached": str(was_stored).lower(),
    }
    body = table_bytes(rows, question.format)
    return Response(body, headers=headers, media_type=MEDIA_TYPES[question.format])


def _ohlcv_json(
    found: Slice, rows: pa.Table, question: Range, adjust: str, was_stored: bool
) -> bytes:
    start, end = question.days()
    first, last = found.available or (None, None)
    facts = {
        **_facts(rows),
        "code": found.code,
        "asset_type": found.instrument.kind,
        "requested_range": {"start": start, "end": end},
        "available_range": {"start": first, "end": last},
        "cached": was_stored,
        "adjust": adjust,
        "currency": found.instrument.currency,
        "volume_unit": found.instrument.unit,
        "source": found.source.name,
        "stored_at": found.stored_at,
    }
    return _with_data(rows, facts)


def _facts(rows: pa.Table) -> dict[str, object]:
    dates = rows["date"]
    first, last = (dates[0].as_py(), dates[-1].as_py()) if rows.num_rows else (None, None)
    return {
        "count": rows.num_rows,
        "columns": rows.column_names,
        "date_range": {"start": first, "end": last},
    }


def _with_data(rows: pa.Table, facts: Mapping[str, object]) -> bytes:
    return b'{"data":' + json_records(rows) + b"," + orjson.dumps(facts)[1:]


def _no_data(instrument: Instrument, question: OhlcvQuestion | NavQuestion) -> Response:
    start, end = question.days()
    raise ApiError(
        404, NO_DATA, code=question.code, asset_type=instrument.kind, start=start, end=end
    )


def _refuse_too_much(question: BatchQuestion, door: Door) -> None:
    limits = door.settings.limits
    if not question.codes:
        raise ApiError(400, "Missing or invalid parameter: codes (must be a list)")
    if len(question.codes) > MOST_CODES:
        raise ApiError(
            413,
            f"{len(question.codes):,} codes are too many: up to {MOST_CODES:,} are answered at "
            "once. Ask in parts, or POST /api/v1/exports.",
        )
    start, end = question.days()
    asked = len(question.codes) * ((end - start).days + 1)
    if asked > limits.rows:
        raise ApiError(
            413,
            f"{asked:,} days of codes are too many: codes times days may be up to "
            f"{limits.rows:,}. Ask in parts, or POST /api/v1/exports.",
        )


def _identified(
    codes: Sequence[str],
) -> tuple[dict[str, Instrument], dict[str, Slice | Exception]]:
    """The instruments by code as asked, and why others are none."""
    known: dict[str, Instrument] = {}
    unknown: dict[str, Slice | Exception] = {}
    for code in codes:
        try:
            known[code] = identify(code)
        except UnknownCode as reason:
            unknown[code] = reason
    return known, unknown


def _read_all(door: Door, query: RangeQuery) -> dict[str, Slice | Exception]:
    return dict(door.shelf.each(query))


def _only(query: RangeQuery, instruments: Sequence[Instrument]) -> RangeQuery:
    return query.model_copy(update={"codes": [one.code for one in instruments]})


def _batch_response(
    door: Door, question: BatchQuestion, results: Mapping[str, Slice | Exception]
) -> Response:
    start, end = question.days()
    pieces = []
    failed = 0
    for code in question.codes:
        found = results[code]
        if isinstance(found, Slice):
            answer = _ohlcv_json(found, _rows(found, question), question, "none", True)
        else:
            failed += 1
            answer = orjson.dumps(_failure(door, code, found))
        pieces.append(orjson.dumps(code) + b":" + answer)
    counts = {
        "success_count": len(question.codes) - failed,
        "failed_count": failed,
        "total": len(question.codes),
        "start": start,
        "end": end,
    }
    body = b'{"results":{' + b",".join(pieces) + b"}," + orjson.dumps(counts)[1:]
    return Response(body, media_type=JSON)


def _failure(door: Door, code: str, reason: Exception) -> dict[str, object]:
    try:
        kind = identify(code).kind.value
    except UnknownCode:
        kind = "unknown"
    more = reason.body if isinstance(reason, ApiError) else {"error": door.in_words(reason)}
    return {"code": code, "asset_type": kind, **more, "data": [], "count": 0}


def _nav_response(found: Slice, question: Range) -> Response:
    rows = _rows(found, question)
    price = rows.select(list(CANONICAL))
    nav = rows.select(["date", "unit_nav"]).rename_columns(["date", "nav"]).drop_null()
    body = (
        b'{"price":'
        + _with_data(price, _facts(price))
        + b',"nav":'
        + _with_data(nav, _facts(nav))
        + b","
        + orjson.dumps({"code": found.code, **_premiums(rows)})[1:]
    )
    return Response(body, media_type=JSON)


def _premiums(rows: pa.Table) -> dict[str, object]:
    """Premiums of the days that have one, and what they amount to, to six decimals."""
    known = rows.select(["date", "premium"]).drop_null()
    pairs = zip(known["date"].to_pylist(), known["premium"].to_pylist(), strict=True)
    told = premium_statistics(known.rename_columns(["trade_date", "premium"]))
    of = told._asdict() if told else {}
    names = {"mean": "mean", "std": "sd", "min": "min", "max": "max", "median": "median"}
    return {
        "premium_series": [{"date": day, "premium": round(value, 6)} for day, value in pairs],
        "latest_premium": _rounded(of.get("latest")),
        "premium_date": of.get("latest_date"),
        "premium_stats": {name: _rounded(of.get(theirs)) for name, theirs in names.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
