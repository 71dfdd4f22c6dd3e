"""Rows from a server of ours over HTTP, as Arrow.

Here belongs how a client's questions are those of the API's endpoints, and its errors those of a
client.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import requests

from marketdata_assets.client.market_data import BadQuestion, Prices, together
from marketdata_assets.errors import MarketdataError
from marketdata_assets.listening import is_loopback

SECONDS = 120
# Nothing is older; without a start the API means the last 90 days.
FIRST_DAY = dt.date(1990, 1, 1)
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
            self._session.headers["Authorization"] = f"Bearer {token}"
        # No proxy knows this machine.
        self._session.trust_env = not is_loopback(urlsplit(url).hostname or "")

    def __repr__(self) -> str:
        return self._url

    @property
    def origin(self) -> str:
        return str(self._get("/").json()["origin"])

    def prices(
        self,
        codes: Sequence[str],
        start: dt.date | None,
        end: dt.date | None,
        fields: Sequence[str],
        adjust: str,
        as_of: str | None,
        frequency: str,
    ) -> Prices:
        body: dict[str, object] = {"codes": codes, "adjust": adjust, "frequency": frequency}
        body |= {"start": str(start or FIRST_DAY), "format": "arrow"}
        optional = {"end": end and str(end), "as_of": as_of, "fields": ",".join(fields)}
        body |= {name: value for name, value in optional.items() if value}
        if start and end and start > end:
            raise BadQuestion(f"start {start} lies after end {end}")
        try:
            rows = _rows(self._ask("POST", "/api/v1/ohlcv/batch", json=body))
        except AnsweredWithError as error:
            if error.status != TOO_MUCH or len(codes) < 2:
                raise
            half = len(codes) // 2
            parts = [
                self.prices(part, start, end, fields, adjust, as_of, frequency)
                for part in (codes[:half], codes[half:])
            ]
            return together(parts)
        told = json.loads(rows.schema.metadata[b"marketdata"])
        return Prices(rows, **told)

    def cross_section(self, day: dt.date, fields: Sequence[str], kind: str) -> pa.Table:
        asked = {"date": day, "kind": kind, "fields": ",".join(fields), "format": "arrow"}
        return _rows(self._get("/api/v1/cross-section", asked))

    def table(
        self,
        name: str,
        day: dt.date | None,
        start: dt.date,
        end: dt.date,
        code: str,
        fields: Sequence[str],
    ) -> tuple[pa.Table, Sequence[str]]:
        asked: dict[str, object] = {"fields": ",".join(fields), "format": "arrow", "code": code}
        asked |= {"date": day} if day else {"start": start, "end": end}
        answer = self._get(f"/api/v1/tables/{name}/rows", asked)
        _, _, days = answer.headers.get("X-Missing-Sessions", "0").partition(": ")
        return _rows(answer), [one for one in days.split(",") if one]

    def instruments(self, search: str, limit: int) -> list[dict[str, Any]]:
        asked = {"q": search, "limit": limit}
        return list(self._get("/api/v1/instruments", asked).json()["instruments"])

    def coverage(self, table: str, start: dt.date, end: dt.date) -> list[dict[str, Any]]:
        found = self._get("/api/v1/coverage", {"table": table, "start": start, "end": end}).json()
        return [{"table": one["name"], **day} for one in found["tables"] for day in one["days"]]

    def findings(
        self, day: dt.date | None, since: dt.date | None, code: str, outcome: str
    ) -> list[dict[str, Any]]:
        asked = {"date": day, "since": since, "code": code, "outcome": outcome}
        found = self._get("/api/v1/findings", {**asked, "limit": MOST_FINDINGS}).json()
        return list(found["findings"])

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
        if answer.ok:
            return answer
        try:
            message = str(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            message = f"{self._url} answered {answer.status_code}, and not as this API does"
        raise AnsweredWithError(message, answer.status_code)


def _rows(answer: requests.Response) -> pa.Table:
    return pa.ipc.open_stream(answer.content).read_all()
