"""`huggingface_hub`, imported and bound in one place.

Here belongs what has to be settled before the package is imported, whose HTTP client it uses, and
the scrubbing of its log. Importing this module is cheap; `hub_api` imports the package.

The package decides at its import whether files go up through xet, which local hubs don't speak:
the first endpoint a process asks for decides.
"""

import contextlib
import importlib.util
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from marketdata_assets.listening import is_loopback
from marketdata_assets.resources.hub_bound import SILENCE_SECONDS, Bound
from marketdata_assets.resources.hub_errors import scrubbed

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

TALKERS = ("huggingface_hub", "httpx2", "httpcore2")


def is_local(endpoint: str) -> bool:
    """Whether the endpoint is on this machine: a loopback address, spelled as one."""
    return is_loopback(urlsplit(endpoint).hostname or "")


def settle(endpoint: str) -> None:
    """The package's settings, which it reads once, when it is imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    if is_local(endpoint):
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")


def hub_api(endpoint: str, token: str) -> "HfApi":
    settle(endpoint)
    from huggingface_hub import HfApi

    _scrub_logs()
    return HfApi(endpoint=endpoint, token=token, library_name="marketdata-assets")


def goes_through_xet() -> bool:
    """Whether large files go up through xet, which sends their new parts alone and uncounted."""
    from huggingface_hub import constants

    return not constants.HF_HUB_DISABLE_XET and importlib.util.find_spec("hf_xet") is not None


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def bounded(bound: Bound) -> Iterator[Bound]:
    """Every call of the package in this block ends in time; one block a process at a time.

    The package has one HTTP client for the whole process, without any timeout of its own.
    """
    from huggingface_hub import close_session, set_client_factory

    from marketdata_assets.resources.hub_http import BoundedClient

    with _ONE_AT_A_TIME:
        set_client_factory(lambda: BoundedClient(bound))
        try:
            with bound.watching():
                yield bound
        finally:
            # What nobody waits for any longer must not begin anything more: it keeps its client.
            if bound.ends_in > 0:
                set_client_factory(_plain_client)
            close_session()


def _plain_client() -> "httpx2.Client":
    import httpx2

    return httpx2.Client(follow_redirects=True, timeout=httpx2.Timeout(SILENCE_SECONDS))


class _Scrubbing(logging.Handler):
    """Hands every record on to the root's handlers, without what is secret in it."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            record.msg, record.args = scrubbed(record.getMessage()), ()
        record.exc_info = record.exc_text = None
        logging.root.handle(record)


def _scrub_logs() -> None:
    """No URL query and no token leaves the loggers of the package and of its HTTP library."""
    for name in TALKERS:
        talker = logging.getLogger(name)
        talker.handlers, talker.propagate = [_Scrubbing()], False
