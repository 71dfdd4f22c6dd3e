"""Rows from a server of ours over HTTP, as Arrow.

Here belongs how a client's questions are those of the API's endpoints, and its errors those of a
client.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import requests

from marketdata_assets.client.market_data import (
    BadQuestion,
    PriceQuestion,
    Prices,
    RowsQuestion,
    together,
)
from marketdata_assets.errors import MarketdataError
from marketdata_assets.listening import is_loopback

SECONDS = 120
# Nothing is older; without a start the API means the last 90 days.
FIRST_DAY = dt.date(1990, 1, 1)
DAYS_AT_ONCE, ONE_DAY = dt.timedelta(365), dt.timedelta(1)
MOST_FINDINGS = 10_000
TOO_MUCH = 413


class Unreachable(MarketdataError):
    """Nobody answers at the address."""


class AnsweredWithError(MarketdataError):
    """The server's own words of what is wrong; `status` is that of its answer."""

    def __init__(self, error: str, status: int) -> None:
        super().__init__(error)
        self.status = status


class OverHttp:
    """A server at an address; its answers wait for nobody upstream."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # Rows are small already, and to be read at once.
        self._session.headers["Accept-Encoding"] = "identity"
        if token:
            # A header would give way to what ~/.netrc has for the host.
            self._session.auth = partial(_with_token, token)
        # No proxy knows this machine.
        self._session.trust_env = not is_loopback(urlsplit(url).hostname or "")

    def __repr__(self) -> str:
        return self._url

    @property
    def origin(self) -> str:
        return str(self._get("/").json()["origin"])

    def prices(self, asked: PriceQuestion) -> Prices:
        if asked.start and asked.end and asked.start > asked.end:
            raise BadQuestion(f"start {asked.start} lies after end {asked.end}")
        body = asked._asdict() | {"start": str(asked.start or FIRST_DAY), "format": "arrow"}
        body |= {"end": asked.end and str(asked.end), "fields": ",".join(body.pop("columns"))}
        body = {name: value for name, value in body.items() if value}
        try:
            rows = _rows(self._ask("POST", "/api/v1/ohlcv/batch", json=body))
        except AnsweredWithError as error:
            if error.status != TOO_MUCH or len(asked.codes) < 2:
                raise
            half = len(asked.codes) // 2
            halves = (asked.codes[:half], asked.codes[half:])
            return together([self.prices(asked._replace(codes=part)) for part in halves])
        return Prices(rows, **_facts(rows))

    def cross_section(self, day: dt.date, fields: Sequence[str], kind: str) -> pa.Table:
        asked = {"date": day, "kind": kind, "fields": ",".join(fields), "format": "arrow"}
        return _rows(self._get("/api/v1/cross-section", asked))

    def table(self, asked: RowsQuestion) -> tuple[pa.Table, Sequence[str]]:
        path, what = f"/api/v1/tables/{asked.name}/rows", {"code": asked.code, "format": "arrow"}
        what["fields"] = ",".join(asked.fields)
        years = _years(asked.start, asked.end)
        spans = [{"date": asked.day}] if asked.day else [{"start": a, "end": b} for a, b in years]
        parts = [_rows(self._get(path, {**what, **span})) for span in spans]
        absent = [day for part in parts for day in _facts(part)["missing"]]
        return pa.concat_tables(part.replace_schema_metadata() for part in parts), absent

    def instruments(self, search: str, limit: int) -> list[dict[str, Any]]:
        asked = {"q": search, "limit": limit}
        return list(self._get("/api/v1/instruments", asked).json()["instruments"])

    def coverage(self, table: str, start: dt.date, end: dt.date) -> list[dict[str, Any]]:
        days: dict[str, list[dict[str, Any]]] = {}
        for first, last in _years(start, end):
            asked = {"table": table, "start": first, "end": last}
            for one in self._get("/api/v1/coverage", asked).json()["tables"]:
                days.setdefault(one["name"], []).extend(one["days"])
        return [{"table": name, **day} for name, found in days.items() for day in found]

    def findings(
        self, day: dt.date | None, since: dt.date | None, code: str, outcome: str
    ) -> list[dict[str, Any]]:
        asked = {"date": day, "since": since, "code": code, "outcome": outcome}
        answer = self._get("/api/v1/findings", {**asked, "limit": MOST_FINDINGS})
        found = list(answer.json()["findings"])
        if len(found) == MOST_FINDINGS:
            raise BadQuestion(
                f"A server answers with up to {MOST_FINDINGS:,} findings, and there are as many or "
                "more: ask since a later day, or of one code or outcome."
            )
        return found

    def sql(self, query: str) -> pa.Table:
        raise BadQuestion(
            "SQL is for folders: a server answers none. Connect to the folder of a profile, or ask "
            "for tables by name."
        )

    def _get(self, path: str, asked: Mapping[str, object] | None = None) -> requests.Response:
        written = {name: str(one) for name, one in (asked or {}).items() if one}
        return self._ask("GET", path, params=written)

    def _ask(self, method: str, path: str, **asked: Any) -> requests.Response:
        try:
            answer = self._session.request(method, self._url + path, timeout=SECONDS, **asked)
        except requests.RequestException as error:
            raise Unreachable(
                f"{self._url} does not answer ({type(error).__name__}): is `marketdata serve` or "
                "`marketdata dev` running there, and the address right?"
            ) from error
        # A page is what other servers answer, whatever they are asked.
        is_page = answer.headers.get("Content-Type", "").startswith("text/html")
        if answer.ok and not is_page:
            return answer
        try:
            message = str(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            message = f"{self._url} answered {answer.status_code}, and not as this API does"
        raise AnsweredWithError(message, answer.status_code)


def _with_token(token: str, asked: requests.PreparedRequest) -> requests.PreparedRequest:
    asked.headers["Authorization"] = f"Bearer {token}"
    return asked


def _years(start: dt.date, end: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    """The range in parts that a server answers at once."""
    while start <= end:
        last = min(end, start + DAYS_AT_ONCE)
        yield start, last
        start = last + ONE_DAY


def _facts(rows: pa.Table) -> dict[str, Any]:
    """What the server tells beside rows."""
    return dict(json.loads(rows.schema.metadata[b"marketdata"]))


def _rows(answer: requests.Response) -> pa.Table:
    return pa.ipc.open_stream(answer.content).read_all()
