"""The HTTP client that `huggingface_hub` is given: bounded in time, its bytes counted.

The package's own has no timeout at all, and sleeps as long as the Hub tells it to. Importing this
module imports the package's HTTP library.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx2

from marketdata_assets.resources.hub_errors import WaitTooLong
from marketdata_assets.resources.time_bound import Bound


class BoundedClient(httpx2.Client):
    def __init__(self, bound: Bound) -> None:
        super().__init__(follow_redirects=True)
        self._bound = bound

    def send(
        self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any
    ) -> httpx2.Response:
        """Raises `TimeIsUp` and `WaitTooLong` besides what httpx2 raises."""
        request.extensions = {
            **request.extensions,
            "timeout": self._bound.timeouts(),
            "trace": self._watch,
        }
        request.stream = _Sent(request.stream, self._bound)  # type: ignore[arg-type]
        try:
            response = super().send(request, stream=True, **kwargs)
        except httpx2.TransportError:
            # A connection that was hung up on looks like one that broke.
            _ = self._bound.left
            raise
        try:
            _refuse_long_wait(response.status_code, response.headers, self._bound)
            response.stream = _Received(response.stream, self._bound)
            if not stream:
                response.read()
        except BaseException:
            response.close()
            raise
        return response

    def _watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Told by httpx2 of every step: a connection that is made, or wrapped in TLS."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._bound.watch(info["return_value"].get_extra_info("socket"))
            _ = self._bound.left


class _Received(httpx2.SyncByteStream):
    def __init__(self, stream: Any, bound: Bound) -> None:
        self._stream, self._bound = stream, bound

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                _ = self._bound.left
                yield chunk
        except httpx2.TransportError:
            _ = self._bound.left
            raise

    def close(self) -> None:
        self._stream.close()


class _Sent(httpx2.SyncByteStream):
    def __init__(self, stream: Iterable[bytes], bound: Bound) -> None:
        self._stream, self._bound = stream, bound

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            _ = self._bound.left
            self._bound.count_sent(len(chunk))
            yield chunk


def _refuse_long_wait(status: int, headers: httpx2.Headers, bound: Bound) -> None:
    """Raise when the Hub dictates a wait that the package would sleep through beyond the bound.

    The package heeds Retry-After with any status that it tries again, not with 429 alone.
    """
    if status < 500 and status not in (408, 429):
        return
    retry_after = headers.get("Retry-After", "").strip()
    seconds = float(retry_after) if retry_after.isdigit() else 0.0
    # The Hub's other way of saying it: nothing remains (r=0) for so many seconds (t).
    if limits := re.search(r"r=0;\s*t=(\d+)", headers.get("RateLimit", "")):
        seconds = max(seconds, float(limits[1]))
    if seconds >= bound.left:
        raise WaitTooLong(status, seconds)
