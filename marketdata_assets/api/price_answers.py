"""Slices as answers: a code's prices, a fund's NAV.

Here belongs what an answer says beside its rows. Its shape for the OpenAPI document is `answers`,
how values are written `encoding`.
"""

from collections.abc import Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from fastapi.responses import Response

from marketdata_assets.api.encoding import MEDIA_TYPES, json_lists, json_records, with_data
from marketdata_assets.api.questions import OhlcvQuestion, PricesQuestion, Range, names_in
from marketdata_assets.api.ranges import ASK_AGAIN, FileAnswer
from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.gaps import Days, MissingSessions
from marketdata_assets.serving.ohlcv_view import OHLCV
from marketdata_assets.serving.queries import Format, RangeQuery
from marketdata_assets.storage.premium_statistics import premium_statistics
from marketdata_assets.tables import ETF_PREMIUM
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    SHANGHAI,
    CalendarExhausted,
    sessions_between,
)

JSON = MEDIA_TYPES[Format.JSON]
NO_DATA = "No data available"
NAV_COLUMNS = (*OHLCV, "unit_nav", "premium", "no_premium")
ONLY_BY_CODE = "stored by code alone, without values"
# What is told beside the rows in the schema of Arrow and Parquet, as JSON.
FACTS = "marketdata"
# As many days as a header can name without being too long for anybody.
MOST_IN_A_HEADER = 20
HEADERS = {
    "X-Code": "the canonical code, the present one where a former one was asked for",
    "X-Renamed-From": "the former code that was asked for; not there where it was none",
    "X-Asset-Type": "what it is",
    "X-Available-Start": "the first day that is stored",
    "X-Available-End": "the last day that is stored",
    "X-Cached": "whether it was stored before the question",
    "X-Stale": "of what is stored by code: its last day, where it ends more than a few sessions "
    "early; not there where it does not",
    "X-Unfinished": "of files: the date of a last bar whose week or month has days to come; not "
    "there where none has",
    "X-Missing-Sessions": "of files: how many sessions were never stored, and the first "
    f"{MOST_IN_A_HEADER} of them, like 2: 2024-01-02,2024-01-03; not told of what is stored by "
    "code",
}


def query_of(question: Range, codes: Sequence[str]) -> RangeQuery:
    """The question in terms of `serving`; a reversed range is asked for its first day alone.

    Raises `pydantic.ValidationError` for what does not fit together.
    """
    start, end = question.days()
    arguments: dict[str, object] = {"codes": codes, "start": start, "end": max(start, end)}
    if isinstance(question, PricesQuestion):
        columns = names_in(question.fields) or OHLCV
        arguments |= {
            "columns": ["date", *(name for name in columns if name != "date")],
            "adjust": question.adjust,
            "anchor": question.anchor,
            "as_of": question.as_of,
            "frequency": question.frequency,
        }
    return RangeQuery.model_validate(arguments)


def ohlcv_response(
    found: Slice, question: OhlcvQuestion, was_stored: bool, etag: str = ""
) -> Response:
    """The prices in the form that was asked for; what JSON says beside them is in the headers."""
    headers = _headers(found, etag)
    if question.format is Format.JSON:
        [body] = ohlcv_json([found], question, [was_stored])
        return Response(body, headers=headers, media_type=JSON)
    first, last = found.available or ("", "")
    headers |= {
        "X-Code": found.code,
        "X-Asset-Type": found.instrument.kind.value,
        "X-Available-Start": str(first),
        "X-Available-End": str(last),
        "X-Cached": str(was_stored).lower(),
    }
    if found.instrument.renamed_from:
        headers["X-Renamed-From"] = found.instrument.renamed_from
    if found.stale:
        headers["X-Stale"] = str(found.stale)
    if (days := missing_in(found, question)) is not None:
        headers["X-Missing-Sessions"] = in_a_header(days)
    if found.unfinished:
        headers["X-Unfinished"] = str(found.unfinished)
    return FileAnswer(rows_in(found, question), question, headers)


def ohlcv_json(
    found: Sequence[Slice], question: PricesQuestion, were_stored: Sequence[bool]
) -> list[bytes]:
    """The prices of each code and what they are, as one JSON object."""
    rows = [rows_in(one, question) for one in found]
    return [
        with_data(written, _facts_of(one, its, question, was_stored))
        for one, its, was_stored, written in zip(
            found, rows, were_stored, json_lists(rows), strict=True
        )
    ]


def _facts_of(
    found: Slice, rows: pa.Table, question: PricesQuestion, was_stored: bool
) -> dict[str, object]:
    start, end = question.days()
    first, last = found.available or (None, None)
    return {
        **_facts(rows),
        "code": found.code,
        "renamed_from": found.instrument.renamed_from or None,
        "asset_type": found.instrument.kind,
        "requested_range": {"start": start, "end": end},
        "available_range": {"start": first, "end": last},
        "cached": was_stored,
        "adjust": question.adjust,
        "frequency": question.frequency,
        "unfinished": found.unfinished,
        "currency": found.instrument.currency,
        "volume_unit": found.instrument.unit,
        "source": found.source.name,
        "stored_at": found.stored_at,
        "missing_sessions": missing_in(found, question),
        "stale": found.stale,
        "note": closed_days(found, question),
    }


def closed_days(found: Slice, question: Range) -> str | None:
    """That no day of the question trades, where that is why there are no rows."""
    start, end = question.days()
    if found.rows.num_rows or start > end or found.instrument.market.timezone != SHANGHAI.key:
        return None
    try:
        if sessions_between(start, end) or start < FIRST_SESSION:
            return None
    except CalendarExhausted:
        return None
    span = f"{start}" if start == end else f"any day from {start} to {end}"
    return f"no trading day: the exchanges of mainland China are closed on {span}"


def missing_in(found: Slice, question: Range) -> Days | None:
    """The sessions of the question that were never stored; None where nobody can tell."""
    start, end = question.days()
    return found.missing if start <= end or found.missing is None else ()


def refuse_missing(found: Slice, question: Range) -> None:
    """Raise `MissingSessions` where the question is strict and the answer lacks some."""
    if question.strict and (days := missing_in(found, question)):
        raise MissingSessions(found.code, found.source.name, days)


def in_a_header(values: Sequence[object]) -> str:
    """How many there are, and the first of them."""
    named = ",".join(map(str, values[:MOST_IN_A_HEADER]))
    more = ",..." if len(values) > MOST_IN_A_HEADER else ""
    return f"{len(values)}: {named}{more}" if values else "0"


def nav_response(found: Slice, question: Range, etag: str = "") -> Response:
    """Price, NAV and premium of a fund; a history by code has prices alone, the others are null."""
    rows = _with_values(rows_in(found, question))
    # A value may be of a day without a bar.
    traded = rows.filter(pc.is_valid(rows["close"]))
    first, last = found.available or (None, None)
    facts = {
        "code": found.code,
        "source": found.source.name,
        "available_range": {"start": first, "end": last},
        "missing_sessions": missing_in(found, question),
        "stale": found.stale,
        "without_premium": _without_premium(traded),
    }
    price = traded.select(list(OHLCV))
    nav = rows.select(["date", "unit_nav"]).rename_columns(["date", "nav"]).drop_null()
    body = (
        b'{"price":'
        + with_data(json_records(price), _facts(price))
        + b',"nav":'
        + with_data(json_records(nav), _facts(nav))
        + b","
        + orjson.dumps({**facts, **_premiums(rows)})[1:]
    )
    return Response(body, headers=_headers(found, etag), media_type=JSON)


def _headers(found: Slice, etag: str) -> dict[str, str]:
    """What is told in whatever form: who a history by code comes from, and the version."""
    headers = {"X-Data-Origin": found.origin} if found.origin else {}
    return {**headers, "ETag": etag, **ASK_AGAIN} if etag else headers


def rows_in(found: Slice, question: Range) -> pa.Table:
    """The rows that are in the range; a reversed one has none."""
    start, end = question.days()
    return found.rows if start <= end else found.rows.slice(0, 0)


def _facts(rows: pa.Table) -> dict[str, object]:
    dates = rows["date"]
    first, last = (dates[0].as_py(), dates[-1].as_py()) if rows.num_rows else (None, None)
    return {
        "count": rows.num_rows,
        "columns": rows.column_names,
        "date_range": {"start": first, "end": last},
    }


def _with_values(rows: pa.Table) -> pa.Table:
    for name in set(NAV_COLUMNS) - set(rows.column_names):
        kind = ETF_PREMIUM[name].type
        rows = rows.append_column(name, pa.nulls(rows.num_rows, kind))
    return rows


def _without_premium(rows: pa.Table) -> list[dict[str, object]]:
    """The days that have a price and no premium, and why."""
    lacking = rows.filter(pc.is_null(rows["premium"]))
    pairs = zip(lacking["date"].to_pylist(), lacking["no_premium"].to_pylist(), strict=True)
    return [{"date": day, "reason": reason or ONLY_BY_CODE} for day, reason in pairs]


def _premiums(rows: pa.Table) -> dict[str, object]:
    """Premiums of the days that have one, and what they amount to, to six decimals."""
    known = rows.select(["date", "premium"]).drop_null()
    pairs = zip(known["date"].to_pylist(), known["premium"].to_pylist(), strict=True)
    statistics = premium_statistics(known.rename_columns(["trade_date", "premium"]))
    of = statistics._asdict() if statistics else {}
    names = {"mean": "mean", "std": "sd", "min": "min", "max": "max", "median": "median"}
    return {
        "premium_series": [{"date": day, "premium": round(value, 6)} for day, value in pairs],
        "latest_premium": _rounded(of.get("latest")),
        "premium_date": of.get("latest_date"),
        "premium_stats": {name: _rounded(of.get(theirs)) for name, theirs in names.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
