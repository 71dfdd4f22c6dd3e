"""Prices of one code, and a fund's NAV.

Here belongs which answer follows: what is stored at once, what is not when it has been fetched.
"""

import datetime as dt
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from marketdata_assets.api.answers import AssetTypeAnswer, NavAnswer, OhlcvAnswer, RequestedAnswer
from marketdata_assets.api.app_state import AppState, in_any_format
from marketdata_assets.api.asking import endpoint
from marketdata_assets.api.encoding import json_response
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.price_answers import (
    HEADERS,
    NAV_COLUMNS,
    NO_DATA,
    nav_response,
    ohlcv_response,
    query_of,
    refuse_missing,
)
from marketdata_assets.api.questions import AssetTypeQuestion, NavQuestion, OhlcvQuestion
from marketdata_assets.api.ranges import NOT_MODIFIED, etag_of, not_modified
from marketdata_assets.api.waiting import Turns, Waiting
from marketdata_assets.instruments import FUND_KINDS, Instrument, identify
from marketdata_assets.instruments.mainland import is_former_code_of_beijing
from marketdata_assets.serving.answers import NotStored
from marketdata_assets.serving.ohlcv_view import OHLCV, NoSuchColumn
from marketdata_assets.serving.queries import Format, RangeQuery
from marketdata_assets.serving.table_rows import fund_in_lake
from marketdata_assets.storage.series import SERIES_ASSETS
from marketdata_assets.tables import ETF_PREMIUM

# Days times columns, twenty years of OHLCV: 2 ms as JSON.
MOST_VALUES_AT_ONCE = 55_000


def price_routes(state: AppState, reading_the_past: Turns) -> APIRouter:
    """`reading_the_past` are the turns of all who ask for a former moment."""
    router = APIRouter()
    waiting, limits = Waiting(state), state.settings.limits

    @endpoint(router, "/api/v1/asset-type", AssetTypeQuestion, AssetTypeAnswer, 400)
    def asset_type(question: AssetTypeQuestion, _: Request) -> Response:
        """What a code is: the kind of instrument, its currency and unit."""
        instrument = state.reader.instrument(question.code)
        return json_response(
            {
                "code": question.code,
                "asset_type": instrument.kind,
                "description": instrument.kind.doc,
                "description_zh": instrument.kind.doc_zh,
                "canonical_code": instrument.code,
                "renamed_from": instrument.renamed_from or None,
                "currency": instrument.currency,
                "volume_unit": instrument.unit,
            }
        )

    @endpoint(
        router,
        "/api/v1/ohlcv",
        OhlcvQuestion,
        OhlcvAnswer,
        *(400, 404, 409, 429, 502),
        more={
            **in_any_format(HEADERS),
            **NOT_MODIFIED,
            202: {"model": RequestedAnswer, "description": "requested, not there yet"},
        },
    )
    async def ohlcv(question: OhlcvQuestion, request: Request) -> Response:
        """Daily prices of one code. What is not stored yet is fetched while the call waits."""
        instrument = identify(question.code)
        if is_former_code_of_beijing(instrument.code):
            # What became of it is in the series, which may have to be opened.
            instrument = await run_in_threadpool(state.reader.instrument, question.code)
        query = query_of(question, [instrument.code])

        def version() -> tuple[object, ...] | None:
            return None if query.as_of else state.reader.version_of(instrument, query.range)

        def answer(was_stored: bool) -> Response | None:
            of = version()
            etag = etag_of(question, question.days(), was_stored, of) if of else ""
            if unchanged := not_modified(request, etag):
                return unchanged
            try:
                found = state.reader.ohlcv(
                    instrument.code,
                    query.start,
                    query.end,
                    query.columns,
                    query.adjust,
                    query.anchor,
                    query.as_of,
                    query.frequency,
                )
            except NotStored:
                return None
            found = replace(found, instrument=instrument)
            refuse_missing(found, question)
            # Something newer may have been published meanwhile.
            return ohlcv_response(found, question, was_stored, etag if of == version() else "")

        async def read(was_stored: bool) -> Response | None:
            if _is_quick(question, query) and state.reader.is_at_hand(
                instrument, query.range.of_days()
            ):
                return answer(was_stored)
            async with reading_the_past.one(request) if question.as_of else nullcontext():
                return await run_in_threadpool(answer, was_stored)

        # What the evening's run keeps has no history by code that could be fetched again.
        renew = question.nocache and not await run_in_threadpool(
            state.reader.keeps_days_of, instrument
        )
        answered = None if renew else await read(True)
        if answered is None:
            pending = await waiting.for_one(instrument, question.wait, request, renew=renew)
            answered = pending or await read(False)
        if answered is None:
            raise _no_data(instrument, question)
        return answered

    @endpoint(router, "/api/v1/etf/nav", NavQuestion, NavAnswer, 400, 404, 409, more=NOT_MODIFIED)
    def etf_nav(question: NavQuestion, request: Request) -> Response:
        """Price, net asset value and premium of an ETF or LOF of mainland China."""
        instrument = identify(question.code)
        if instrument.kind not in FUND_KINDS:
            raise ApiError(
                400,
                f"Not an ETF: {question.code} (type: {instrument.kind})",
                hint="funds of the exchanges of mainland China alone: codes from 50 to 58 in "
                "Shanghai, 15, 16, 18 in Shenzhen",
            )

        query = query_of(question, [instrument.code])
        of = state.reader.version_of(instrument, query.range)
        etag = etag_of(question, question.days(), of) if of else ""
        if unchanged := not_modified(request, etag):
            return unchanged
        read = partial(state.reader.ohlcv, instrument.code, query.start, query.end)
        try:
            try:
                found = read(NAV_COLUMNS)
            except NoSuchColumn:
                # No history by code has values, but what is stored of prices is answered.
                found = read(OHLCV)
        except NotStored:
            start, end = question.days()
            if (end - start).days >= limits.table_days:
                start = end - dt.timedelta(limits.table_days - 1)
            in_lake = fund_in_lake(state.root, instrument, start, end, NAV_COLUMNS)
            if in_lake is None:
                # Only the evening's run of the funds brings values: nothing is requested.
                raise _no_data(instrument, question, message=_what_is_stored(state)) from None
            found = in_lake
        refuse_missing(found, question)
        is_the_same = of == state.reader.version_of(instrument, query.range)
        return nav_response(found, question, etag if is_the_same else "")

    return router


def _is_quick(question: OhlcvQuestion, query: RangeQuery) -> bool:
    """Whether the answer is written in the time that handing it to a thread takes, or little more:
    so long the others wait."""
    start, end = question.days()
    return (
        query.as_of is None
        and question.format in (Format.JSON, Format.ARROW)
        and (end - start).days * len(query.columns) <= MOST_VALUES_AT_ONCE
    )


def _what_is_stored(state: AppState) -> str:
    if series := state.reader.series(ETF_PREMIUM):
        return (
            f"{ETF_PREMIUM.name} is stored from {series.days[0]} to {series.days[-1]} and has no "
            f"such fund in it. Materialize {ETF_PREMIUM.name} for the days on which it traded, "
            f"then {SERIES_ASSETS[ETF_PREMIUM.name]}."
        )
    return (
        f"{ETF_PREMIUM.name} has no series yet. Materialize {ETF_PREMIUM.name}, then "
        f"{SERIES_ASSETS[ETF_PREMIUM.name]}."
    )


def _no_data(
    instrument: Instrument, question: OhlcvQuestion | NavQuestion, **more: object
) -> ApiError:
    start, end = question.days()
    asked = {"code": question.code, "asset_type": instrument.kind, "start": start, "end": end}
    return ApiError(404, NO_DATA, **asked, **more)
