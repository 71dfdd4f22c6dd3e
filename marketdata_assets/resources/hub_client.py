"""`huggingface_hub`, imported and bound in one place.

Here belongs what has to be settled before the package is imported, the time bounds of its HTTP
client, and the scrubbing of its log. Importing this module is cheap; `hub_api` imports the package.

The package decides at its import whether files go up through xet, which local hubs don't speak:
the first endpoint a process asks for decides.
"""

import contextlib
import ipaddress
import logging
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marketdata_assets.resources.hub_errors import TimeIsUp, WaitTooLong, scrubbed

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CONNECT_SECONDS = 20.0
SILENCE_SECONDS = 120.0
TALKERS = ("huggingface_hub", "httpx2", "httpcore2")


def is_local(endpoint: str) -> bool:
    """Whether the endpoint is on this machine: a loopback address, spelled as one."""
    host = urlsplit(endpoint).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def settle(endpoint: str) -> None:
    """The package's settings, which it reads once, when it is imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    if is_local(endpoint):
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")


def hub_api(endpoint: str, token: str) -> "HfApi":
    settle(endpoint)
    # The package imports these when they are first needed; their loggers must exist before.
    from huggingface_hub import HfApi, _commit_api, file_download, lfs  # noqa: F401

    _scrub_logs()
    return HfApi(endpoint=endpoint, token=token, library_name="marketdata-assets")


class Bound:
    """The time a publication may take, and the bytes it has sent so far."""

    def __init__(self, seconds: float, silence_seconds: float = SILENCE_SECONDS) -> None:
        self.seconds = seconds
        self.silence_seconds = silence_seconds
        self.ends = time.monotonic() + seconds
        self.bytes_sent = 0

    @property
    def ends_in(self) -> float:
        return self.ends - time.monotonic()

    @property
    def left(self) -> float:
        """Seconds left. Raises `TimeIsUp` when there are none."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeIsUp(f"not done within {self.seconds:.0f} s.")
        return left

    def timeouts(self) -> dict[str, float]:
        silence = min(self.silence_seconds, self.left)
        connect = min(CONNECT_SECONDS, silence)
        return {"connect": connect, "read": silence, "write": silence, "pool": connect}


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def bounded(bound: Bound) -> Iterator[Bound]:
    """Every call of the package in this block ends in time; one block a process at a time.

    The package has one HTTP client for the whole process, without any timeout of its own.
    """
    import httpx2
    from huggingface_hub import close_session, set_client_factory

    class BoundedClient(httpx2.Client):
        def send(
            self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any
        ) -> httpx2.Response:
            request.extensions = {**request.extensions, "timeout": bound.timeouts()}
            request.stream = _Sent(request.stream, bound)  # type: ignore[arg-type]
            response = super().send(request, stream=True, **kwargs)
            try:
                _refuse_long_wait(response, bound)
                response.stream = _Received(response.stream, bound)
                if not stream:
                    response.read()
            except BaseException:
                response.close()
                raise
            return response

    class _Received(httpx2.SyncByteStream):
        def __init__(self, stream: Any, bound: Bound) -> None:
            self._stream, self._bound = stream, bound

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._stream:
                _ = self._bound.left
                yield chunk

        def close(self) -> None:
            self._stream.close()

    class _Sent(httpx2.SyncByteStream):
        def __init__(self, stream: Iterable[bytes], bound: Bound) -> None:
            self._stream, self._bound = stream, bound

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._stream:
                _ = self._bound.left
                self._bound.bytes_sent += len(chunk)
                yield chunk

    with _ONE_AT_A_TIME:
        set_client_factory(
            lambda: BoundedClient(follow_redirects=True, timeout=httpx2.Timeout(SILENCE_SECONDS))
        )
        try:
            yield bound
        finally:
            set_client_factory(
                lambda: httpx2.Client(
                    follow_redirects=True, timeout=httpx2.Timeout(SILENCE_SECONDS)
                )
            )
            close_session()


def _refuse_long_wait(response: Any, bound: Bound) -> None:
    """Raise when the Hub dictates a wait that the package would sleep through beyond the bound."""
    if response.status_code != 429:
        return
    said = response.headers.get("Retry-After", "")
    seconds = float(said) if said.isdigit() else 0.0
    # The Hub's other way of saying it: nothing remains (r=0) for so many seconds (t).
    if limits := re.search(r"r=0;\s*t=(\d+)", response.headers.get("RateLimit", "")):
        seconds = float(limits[1])
    if seconds >= bound.left:
        raise WaitTooLong(seconds)


class _Scrubbing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        with contextlib.suppress(Exception):
            record.msg, record.args = scrubbed(record.getMessage()), ()
        record.exc_info = None
        return True


def _scrub_logs() -> None:
    """No URL query and no token leaves the package's loggers, whatever handler is on them."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(TALKERS)]
    loggers = [logging.getLogger(name) for name in names]
    handlers = [handler for logger in loggers for handler in logger.handlers]
    for talker in (*loggers, *handlers):
        if not any(isinstance(each, _Scrubbing) for each in talker.filters):
            talker.addFilter(_Scrubbing())
