"""What the page shows beyond prices: the market, coverage, marks and status.

Here belongs which answer follows. What it is made of is `serving`, the page itself `page_files`.
"""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from marketdata_assets.api.answers import CoverageAnswer, MarketAnswer, MarksAnswer
from marketdata_assets.api.app_state import AppState, may_answer
from marketdata_assets.api.asking import asked, nothing_asked, parameters
from marketdata_assets.api.encoding import json_response
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.questions import (
    CoverageQuestion,
    MarketQuestion,
    MarksQuestion,
    YearOfDays,
)
from marketdata_assets.serving.coverage_by_day import CoverageByDay
from marketdata_assets.serving.market_days import MarketDays
from marketdata_assets.serving.marks import Marks
from marketdata_assets.serving.ohlcv_view import DAILY_VIEWS
from marketdata_assets.serving.status import Status, status
from marketdata_assets.serving.table_rows import NoSuchDay
from marketdata_assets.storage.lake import Lake

# It reads the size of every file.
STATUS_LASTS = dt.timedelta(seconds=30)


def page_routes(state: AppState) -> APIRouter:
    router = APIRouter()
    lake, most_days = Lake(state.root, "reader"), state.settings.limits.table_days
    market_days, coverage_by_day, marks_of = MarketDays(lake), CoverageByDay(lake), Marks(lake)
    known: list[Status] = []

    def refuse_long(question: YearOfDays) -> None:
        start, end = question.days()
        if (end - start).days >= most_days:
            raise ApiError(413, f"{start} to {end} is more than {most_days} days: ask for parts.")

    @router.get(
        "/api/v1/market",
        response_model=MarketAnswer,
        responses=may_answer(400, 404, 413),
        openapi_extra=parameters(MarketQuestion),
    )
    def market(
        question: Annotated[MarketQuestion, Depends(asked(MarketQuestion))],
    ) -> Response:
        """A-shares by day: how many rose, fell and closed at a limit, and what was turned over.

        Days that are not stored are not in it; a `date` has its movers, too.
        """
        movers = None
        if question.date:
            found = market_days.movers(question.date)._asdict()
            movers = {name: rows.to_pylist() for name, rows in found.items()}
            days, unreadable = market_days.between(question.date, question.date)
        else:
            refuse_long(question)
            days, unreadable = market_days.between(*question.days())
        shown = [one._asdict() for one in days]
        return json_response({"days": shown, "unreadable": unreadable, "movers": movers})

    @router.get(
        "/api/v1/coverage",
        response_model=CoverageAnswer,
        responses=may_answer(400, 404, 413),
        openapi_extra=parameters(CoverageQuestion),
    )
    def coverage(
        question: Annotated[CoverageQuestion, Depends(asked(CoverageQuestion))],
    ) -> Response:
        """What is stored of every table and session, and what the ledger and the checks say of it.

        Of a `table` and a `date` also which rows are missing and why, and what was found.
        """
        now, names = dt.datetime.now(dt.UTC), question.tables()
        first = coverage_by_day.first_day()
        if question.date:
            [name] = names
            found = coverage_by_day.day(name, question.date, now)
            if found is None:
                raise NoSuchDay(
                    f"{question.date} is no session of {name} that is over, or lies before "
                    f"{first or 'anything'}, the first day that is stored."
                )
            detail = {
                **found.day._asdict(),
                "table": name,
                "lacking": found.lacking,
                "reasons": found.reasons,
                "ledger": found.ledger,
                "findings": [one._asdict() for one in found.findings],
            }
            return json_response({"first_day": first, "tables": [], "day": detail})
        refuse_long(question)
        tables = [
            {
                "name": one.table.name,
                "doc": one.table.doc,
                "doc_zh": one.table.doc_zh,
                "days": [day._asdict() for day in one.days],
            }
            for one in coverage_by_day.tables(names, *question.days(), now)
        ]
        return json_response({"first_day": first, "tables": tables, "day": None})

    @router.get(
        "/api/v1/marks",
        response_model=MarksAnswer,
        responses=may_answer(400, 413),
        openapi_extra=parameters(MarksQuestion),
    )
    def marks(question: Annotated[MarksQuestion, Depends(asked(MarksQuestion))]) -> Response:
        """What there is to know of a share's or a fund's bars: ex-dates, halts, limits, doubts."""
        refuse_long(question)
        instrument = state.reader.instrument(question.code)
        view = DAILY_VIEWS.get(instrument.kind)
        found = []
        if view:
            codes, series = state.reader.codes_of(instrument), state.reader.series(view.table)
            found = [one._asdict() for one in marks_of.of(codes, series, *question.days())]
        return json_response({"code": instrument.code, "marks": found, "count": len(found)})

    @router.get(
        "/api/v1/status",
        response_model=Status,
        responses=may_answer(400),
        dependencies=[Depends(nothing_asked)],
    )
    def how_it_is() -> Response:
        """The last evening, what is late, what runs next, the allowance and the disk.

        As it was at `now`, up to half a minute ago.
        """
        now = dt.datetime.now(dt.UTC)
        if not known or now - known[0].now > STATUS_LASTS:
            known[:] = [status(state.env, now)]
        return json_response(known[0])

    return router
