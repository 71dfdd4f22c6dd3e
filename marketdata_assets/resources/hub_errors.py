"""Everything that can go wrong with the Hub, one exception each, with the cure in its text.

Here belong the exceptions, the reading of what the client raises, and the scrubbing of secrets.
When to retry and when to stop follows from the class and is decided in `hugging_face`.

An error of the client holds its request, headers and token included. It must not be chained,
pickled or printed: `read_error` takes from it what may be said.
"""

import errno
import json
import re

from marketdata_assets.errors import MarketdataError
from marketdata_assets.resources.time_bound import TimeIsUp

# Of this machine's disk, which the client writes what it downloads to.
DISK_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
SECRETS = re.compile(r"hf_\w+|(?<=Bearer )\S+|(?<=[\w/])\?[^\s'\")>]+")


class HubError(MarketdataError):
    """A call failed. The text names the repository, what happened and what to do."""

    cure = ""

    def __init__(self, repository: str, what: str, wait_seconds: float | None = None) -> None:
        self.repository = repository
        self.what = scrubbed(what)
        self.wait_seconds = wait_seconds
        super().__init__(f"Hub dataset {repository}: {self.what} {self.cure}".rstrip())


class HubUnavailable(HubError):
    """The same call may succeed a little later."""

    cure = "Tried again several times; check the network and https://status.huggingface.co, re-run."


class HubBusy(HubUnavailable):
    """429: the Hub says how long to wait."""

    cure = "The Hub limits the calls of this account; re-run when the wait is over."


class HeadMoved(HubError):
    """Somebody else committed in between."""

    cure = "Others keep committing; stop the other publishers of this dataset, then re-run."


class BoundReached(HubError):
    cure = "The network or the Hub is slow; re-run, what was uploaded is not sent again."


class RefusedByHub(HubError, is_final=True):
    """Asking again won't help: somebody has to change something."""

    cure = "The Hub refuses this form of the call: upgrade marketdata-assets or report it."


class BadHubToken(RefusedByHub):
    cure = "Set HF_TOKEN to a valid token of https://huggingface.co/settings/tokens."


class NoWriteAccess(RefusedByHub):
    cure = "Give the token of HF_TOKEN write access to this dataset."


class NoRepository(RefusedByHub):
    cure = (
        "Create the dataset at https://huggingface.co/new-dataset, or set HF_DATASET_REPO to one "
        "that HF_TOKEN may see."
    )


class TooLarge(RefusedByHub):
    cure = "The Hub takes no file or commit of this size: switch the CSV off or raise the plan."


class NoRoom(RefusedByHub):
    """507, which a hub on this machine says."""

    cure = "Make room or give write permission where the hub's files are, then re-run."


class NotAsSent(HubError, is_final=True):
    """What is at the commit is not what was sent."""

    cure = "Run the verify command; if it finds differences, re-run to publish again."


class NotALocalHub(HubError, is_final=True):
    cure = (
        "Simulated data are published to a hub on this machine only: set TUSHARE_TOKEN for the "
        "real market, or leave HF_ENDPOINT unset."
    )


BY_STATUS: dict[int, type[HubError]] = {
    401: BadHubToken,
    403: NoWriteAccess,
    404: NoRepository,
    409: HeadMoved,
    412: HeadMoved,
    413: TooLarge,
    429: HubBusy,
    507: NoRoom,
}


class WaitTooLong(Exception):
    """The Hub dictates a wait that ends after the run's own bound."""

    def __init__(self, status: int, seconds: float) -> None:
        self.status = status
        self.seconds = seconds
        super().__init__(f"HTTP {status}, to be asked again in {seconds:.0f} s")


def scrubbed(text: str) -> str:
    """`text` without tokens and without the queries of URLs, which carry signatures."""
    return SECRETS.sub("***", text)


def refused_by_disk(error: BaseException) -> OSError | None:
    """What this machine's disk refused, without a reference to where; None for anything else.

    It is the workspace's to tell, and no reason to try again.
    """
    if isinstance(error, OSError) and error.errno in DISK_REFUSALS:
        return OSError(error.errno, error.strerror, error.filename)
    return None


def read_error(repository: str, error: BaseException) -> HubError:
    """What the client raised, as one of ours, without a reference to it."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    for one in chain:
        if isinstance(one, HubError):
            return one
        if isinstance(one, TimeIsUp):
            return BoundReached(repository, str(one))
        if isinstance(one, WaitTooLong):
            kind = BY_STATUS.get(one.status, HubUnavailable)
            what = f"{one}, which is longer than this run may last."
            return kind(repository, what, one.seconds)
        response = getattr(one, "response", None)
        if status := getattr(response, "status_code", None):
            return _by_status(repository, status, one, response)
    innermost = chain[-1]
    what = f"{type(innermost).__name__}: {innermost}".strip().rstrip(":")
    # An answer that is no JSON comes from a proxy; any other ValueError is the client's refusal.
    if isinstance(innermost, ValueError | TypeError) and not isinstance(
        innermost, json.JSONDecodeError
    ):
        return RefusedByHub(repository, what)
    return HubUnavailable(repository, f"{what}.")


def _by_status(repository: str, status: int, error: BaseException, response: object) -> HubError:
    headers = getattr(response, "headers", {})
    message = headers.get("X-Error-Message") or str(error).strip().splitlines()[0]
    where = "" if (request := getattr(response, "request", None)) is None else request.url.path
    what = f"HTTP {status} at {where}: {message}".rstrip(".") + "."
    kind = BY_STATUS.get(status, HubUnavailable if status >= 500 else RefusedByHub)
    wait = headers.get("Retry-After", "")
    return kind(repository, what, float(wait) if wait.isdigit() else None)
