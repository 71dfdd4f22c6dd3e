"""One Tushare call over the wire: sent politely, bounded in time, its faults told apart.

Here belongs what is true of every call. What a table's answer must hold belongs to
`tushare_answers`, how a whole day is put together to `tushare`. Importing this module imports
the `tushare` package, which is slow: import it where a client is made.

Source: Tushare Pro's HTTP protocol, POST {url}/{api_name} with {api_name, token, params, fields}.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
import requests
import tenacity
from requests.adapters import BaseAdapter
from tushare.pro.client import DataApi
from urllib3.exceptions import HTTPError

from marketdata_assets.resources.bounded_http import WatchedAdapter, ask
from marketdata_assets.resources.call_meter import CallMeter
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.time_bound import TimeIsUp
from marketdata_assets.resources.tushare_errors import (
    CallTimedOut,
    HttpRefused,
    RateLimited,
    RefusedError,
    TushareError,
    Unavailable,
    UnreadableAnswer,
    error_for_message,
)

CALL_BOUND_SECONDS = 60.0
SILENCE_BOUND_SECONDS = 20.0
ATTEMPTS = 5
MINUTES_TO_WAIT_FOR_RATE = 10


class Answer(NamedTuple):
    """What one call returned: column names, rows, and whether the vendor has more."""

    fields: list[str]
    items: list[list[object]]
    has_more: bool


class TushareClient(DataApi):  # type: ignore[misc]
    """The official client with its transport replaced.

    `client.daily(trade_date="20250403", fields="ts_code,close")` works as in the original, but
    returns an `Answer` or raises a `TushareError`; it never returns an empty frame for a fault.
    """

    def __init__(
        self,
        token: str,
        url: str,
        allowance: Allowance,
        transport: BaseAdapter | None = None,
        connections: int = 10,
        sleep: Callable[[float], None] | None = None,
        call_bound_seconds: float = CALL_BOUND_SECONDS,
        attempts: int = ATTEMPTS,
    ) -> None:
        super().__init__(token)
        self._token = token
        self._url = url.rstrip("/")
        self._allowance = allowance
        self.meter = CallMeter()
        self._closed = threading.Event()
        self._sleep = sleep or tenacity.sleep_using_event(self._closed)
        self._call_bound = call_bound_seconds
        self._attempts = attempts
        self._session = requests.Session()
        self._session.mount(self._url, transport or WatchedAdapter(pool_maxsize=connections))

    def __getattr__(self, name: str) -> Any:
        # The original sends any unknown name to the server, token included: deepcopy would post
        # to /__deepcopy__.
        if name.startswith("_"):
            raise AttributeError(name)
        return super().__getattr__(name)

    def query(self, api_name: str, fields: str = "", **params: object) -> Answer:
        """Send one call, waiting for the allowance and trying again where that can help.

        Raises a `TushareError` of the class that fits; its text never holds the token.
        """
        waiting_for_rate = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RateLimited),
            stop=tenacity.stop_after_attempt(MINUTES_TO_WAIT_FOR_RATE),
            wait=_until_next_minute,
            sleep=self._sleep,
            reraise=True,
        )
        trying_again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(initial=1, max=30, jitter=2),
            sleep=self._sleep,
            reraise=True,
        )
        answer: Answer = waiting_for_rate(trying_again, self._send, api_name, fields, params)
        return answer

    def close(self) -> None:
        """Close the connections; calls that wait for another attempt give up."""
        self._closed.set()
        self._session.close()
        self._allowance.close()

    def _send(self, call: str, fields: str, params: dict[str, object]) -> Answer:
        def fault(kind: type[TushareError], what: str) -> TushareError:
            return kind(call, params, self._without_token(what))

        if self._closed.is_set():
            raise fault(RefusedError, "the run has ended.")
        began = time.monotonic()
        self._allowance.acquire()
        allowed = time.monotonic()
        try:
            status, raw = self._post(call, fields, params)
        finally:
            self.meter.note(allowed - began, time.monotonic() - allowed)
        if status >= 500 or status == 429:
            raise fault(Unavailable, f"HTTP status {status} from {self._url}.")
        if status >= 300:
            raise fault(HttpRefused, f"HTTP status {status} from {self._url}: {self._quoted(raw)}.")
        answer = _json_object(raw)
        if answer is None or not isinstance(answer.get("code"), int):
            raise fault(UnreadableAnswer, f"the answer is not Tushare's JSON: {self._quoted(raw)}.")
        if answer["code"] != 0:
            text = self._without_token(str(answer.get("msg") or answer.get("message") or ""))
            raise error_for_message(call, params, answer["code"], text)
        data = answer.get("data")
        if not isinstance(data, dict) or not _is_tabular(data):
            raise fault(UnreadableAnswer, "the answer has code 0 but no fields and items.")
        return Answer(data["fields"], data["items"], bool(data.get("has_more")))

    def _post(self, call: str, fields: str, params: dict[str, object]) -> tuple[int, bytes]:
        body = {"api_name": call, "token": self._token, "params": params, "fields": fields}
        silence = min(SILENCE_BOUND_SECONDS, self._call_bound)
        try:
            return ask(
                self._session, "POST", f"{self._url}/{call}", silence, self._call_bound, json=body
            )
        except (TimeIsUp, requests.Timeout):
            fault: type[Unavailable] = CallTimedOut
            what = f"no complete answer within {self._call_bound:.0f} s."
        except (requests.RequestException, HTTPError, OSError) as error:
            fault = Unavailable
            what = f"the connection to {self._url} failed ({type(error).__name__})."
        # Raised here, not above: the exceptions of requests carry the request, and so the token.
        raise fault(call, params, what)

    def _quoted(self, raw: bytes) -> str:
        """The beginning of an answer, on one line."""
        return f"«{' '.join(self._without_token(raw.decode('utf-8', 'replace')).split())[:160]}»"

    def _without_token(self, text: str) -> str:
        return text.replace(self._token, "***")


def _until_next_minute(state: tenacity.RetryCallState) -> float:
    return 61.0 - time.time() % 60


def _json_object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in `raw`, or None."""
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # It refuses for one number beyond all bounds, one NaN, which servers in Python write, or
        # one broken character, what has its place.
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            return None
    return answer if isinstance(answer, dict) else None


def _is_tabular(data: dict[str, Any]) -> bool:
    fields, items = data.get("fields"), data.get("items")
    return (
        isinstance(fields, list)
        and all(isinstance(field, str) for field in fields)
        and isinstance(items, list)
        and all(isinstance(row, list) for row in items)
    )
