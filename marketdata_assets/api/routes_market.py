"""The market as a whole: its days, what was found and what is stored of them, which instruments.

Here belongs which answer follows, for whoever asks and for the page. What it is made of is
`serving`.
"""

import datetime as dt

from fastapi import APIRouter, Request
from fastapi.responses import Response

from marketdata_assets.api.answers import (
    CoverageAnswer,
    CrossSectionAnswer,
    FindingsAnswer,
    InstrumentsAnswer,
    MarketAnswer,
    MarksAnswer,
)
from marketdata_assets.api.app_state import AppState, in_any_format
from marketdata_assets.api.asking import endpoint
from marketdata_assets.api.encoding import json_response, rows_response
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.questions import (
    CoverageQuestion,
    CrossSectionQuestion,
    FindingsQuestion,
    InstrumentsQuestion,
    MarketQuestion,
    MarksQuestion,
    YearOfDays,
    names_in,
)
from marketdata_assets.api.ranges import ASK_AGAIN, NOT_MODIFIED, FileAnswer, etag_of, not_modified
from marketdata_assets.serving.coverage_by_day import CoverageByDay
from marketdata_assets.serving.market_days import MarketDays
from marketdata_assets.serving.marks import Marks
from marketdata_assets.serving.ohlcv_view import CROSS_SECTIONS, DAILY_VIEWS, OHLCV
from marketdata_assets.serving.queries import Format
from marketdata_assets.serving.table_rows import NoSuchDay, why_absent
from marketdata_assets.storage.finding_list import finding_list
from marketdata_assets.storage.opening import open_lake
from marketdata_assets.tables import FINDINGS


def market_routes(state: AppState) -> APIRouter:
    router = APIRouter()
    lake, most_days = open_lake(state.root, "reader"), state.settings.limits.table_days
    market_days, coverage_by_day, marks_of = MarketDays(lake), CoverageByDay(lake), Marks(lake)

    def refuse_long(question: YearOfDays) -> None:
        start, end = question.days()
        if (end - start).days >= most_days:
            raise ApiError(413, f"{start} to {end} is more than {most_days} days: ask for parts.")

    @endpoint(
        router,
        "/api/v1/cross-section",
        CrossSectionQuestion,
        CrossSectionAnswer,
        400,
        404,
        more={**in_any_format(), **NOT_MODIFIED},
    )
    def cross_section(question: CrossSectionQuestion, request: Request) -> Response:
        """All A-shares, or all funds, of one trading day, by code."""
        if question.kind not in CROSS_SECTIONS:
            raise ApiError(400, f"kind may be {' or '.join(CROSS_SECTIONS)}; others by code alone")
        columns = names_in(question.fields) or ("date", *OHLCV[1:])
        columns = tuple(dict.fromkeys(("code", *columns)))
        if series := state.reader.series(DAILY_VIEWS[question.kind].table):
            unchanged = not_modified(request, etag_of(question, series.generation))
            if unchanged:
                return unchanged
        found = state.reader.cross_section(question.date, columns, question.kind)
        headers = {"ETag": etag_of(question, found.generation), **ASK_AGAIN}
        if question.format is not Format.JSON:
            return FileAnswer(found.rows, question, headers)
        facts = {
            "date": found.date,
            "kind": question.kind,
            "count": found.rows.num_rows,
            "columns": found.rows.column_names,
            "source": found.source.name,
            "stored_at": found.stored_at,
        }
        return rows_response(found.rows, facts, headers)

    @endpoint(router, "/api/v1/findings", FindingsQuestion, FindingsAnswer, 400, 404)
    def findings(question: FindingsQuestion, _: Request) -> Response:
        """What the checks found on a day: what is refused, held, flagged or excused, and why."""
        stored = lake.days(FINDINGS)
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
        return json_response({"date": day, "findings": found, "count": len(found)})

    @endpoint(router, "/api/v1/instruments", InstrumentsQuestion, InstrumentsAnswer, 400)
    def instruments(question: InstrumentsQuestion, _: Request) -> Response:
        """Instruments whose code or name holds `q`, the closest first."""
        found = state.reader.instruments(question.q, question.limit)
        return json_response({"instruments": found, "count": len(found)})

    @endpoint(router, "/api/v1/market", MarketQuestion, MarketAnswer, 400, 404, 413)
    def market(question: MarketQuestion, _: Request) -> Response:
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
        return json_response({"days": days, "unreadable": unreadable, "movers": movers})

    @endpoint(router, "/api/v1/coverage", CoverageQuestion, CoverageAnswer, 400, 404, 413)
    def coverage(question: CoverageQuestion, _: Request) -> Response:
        """What is stored of every table and session, and what the ledger and the checks say of it.

        Of a `table` and a `date` also which rows are missing and why, and what was found.
        """
        now, names = dt.datetime.now(dt.UTC), names_in(question.table)
        first = coverage_by_day.first_day()
        if question.date:
            [name] = names
            found = coverage_by_day.day(name, question.date, now)
            if found is None:
                raise NoSuchDay(
                    f"{question.date} is no session of {name} that is over, or lies before "
                    f"{first or 'anything'}, the first day that is stored."
                )
            return json_response({"first_day": first, "tables": [], "day": found})
        refuse_long(question)
        tables = [
            {
                "name": one.table.name,
                "doc": one.table.doc,
                "doc_zh": one.table.doc_zh,
                "days": one.days,
            }
            for one in coverage_by_day.tables(names, *question.days(), now)
        ]
        return json_response({"first_day": first, "tables": tables, "day": None})

    @endpoint(router, "/api/v1/marks", MarksQuestion, MarksAnswer, 400, 413)
    def marks(question: MarksQuestion, _: Request) -> Response:
        """What there is to know of a share's or a fund's bars: ex-dates, halts, limits, doubts."""
        refuse_long(question)
        instrument = state.reader.instrument(question.code)
        view = DAILY_VIEWS.get(instrument.kind)
        found = []
        if view:
            codes, series = state.reader.codes_of(instrument), state.reader.series(view.table)
            found = marks_of.of(codes, series, *question.days())
        return json_response({"code": instrument.code, "marks": found, "count": len(found)})

    return router
