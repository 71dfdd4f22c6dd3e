"""`huggingface_hub`, imported and bound in one place, and one dataset repository as it reaches it.

Here belong what has to be settled before the package is imported, whose HTTP client it uses, the
scrubbing of its log, and one call each of head, state and commit, its faults told apart. What is
tried again, and when it is done, is `hugging_face`. Importing this module is cheap; `hub_api`
imports the package.

The package decides at its import whether files go up through xet, which local hubs don't speak:
the first endpoint a process asks for decides. Everything is read at a sha: at a branch the client
may answer from its cache.
"""

import contextlib
import hashlib
import importlib.util
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from marketdata_assets.listening import is_loopback
from marketdata_assets.resources.hub_errors import (
    HubUnavailable,
    read_error,
    refused_by_disk,
    scrubbed,
)
from marketdata_assets.resources.time_bound import SILENCE_SECONDS, Bound

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

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


T = TypeVar("T")
DATASET = "dataset"
INFO_SECONDS = 30.0


@dataclass
class Repository:
    api: "HfApi"
    name: str
    bound: Bound

    def head(self) -> str:
        """The sha of `main`. Raises `NoRepository`, and what `read_error` makes of the rest."""
        info = self._call(
            lambda: self.api.dataset_info(self.name, revision="main", timeout=INFO_SECONDS)
        )
        if not info.sha:
            raise HubUnavailable(self.name, "the answer names no commit.")
        return info.sha

    def refuse_without_write_access(self) -> None:
        """Raise what `read_error` makes of the Hub's no to a token that may not write."""
        self._call(lambda: self.api.auth_check(self.name, repo_type=DATASET, write=True))

    def at(self, sha: str) -> "StateAt":
        return StateAt(self, sha)

    def commit(
        self, parent: str, title: str, files: Mapping[str, tuple[Path, str]], removed: list[str]
    ) -> str:
        """One commit on `parent`: paths with file and SHA-256. The sha the Hub answers.

        That is the parent itself when the client found nothing to change.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        def send() -> str:
            operations: list[CommitOperationAdd | CommitOperationDelete] = []
            for path, (file, sha256) in files.items():
                addition = CommitOperationAdd(path, file)
                # Known already: a file of gigabytes is not read once more.
                addition.upload_info.sha256 = bytes.fromhex(sha256)
                operations.append(addition)
            operations += [CommitOperationDelete(path) for path in removed]
            return self.api.create_commit(
                self.name,
                operations,
                commit_message=title,
                repo_type=DATASET,
                revision="main",
                parent_commit=parent,
            ).oid

        return self._call(send)

    def _call(self, call: Callable[[], T]) -> T:
        """What `call` returns. Its exceptions hold the token: ours are raised without them."""
        try:
            return self.bound.waited_for(call)
        except Exception as error:
            ours = refused_by_disk(error) or read_error(self.name, error)
        raise ours


@dataclass
class StateAt:
    """The repository at one commit, as `publishing` sees it."""

    repository: Repository
    revision: str

    @cached_property
    def entries(self) -> "dict[str, RepoFile]":
        from huggingface_hub.hf_api import RepoFile

        listed = self.repository._call(
            lambda: list(
                self.repository.api.list_repo_tree(
                    self.repository.name, repo_type=DATASET, revision=self.revision, recursive=True
                )
            )
        )
        return {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}

    @property
    def files(self) -> Collection[str]:
        return self.entries.keys()

    def holds(self, path: str, file: Path, sha256: str) -> bool:
        """Whether the repository has this very content at `path`."""
        entry = self.entries.get(path)
        if entry is None or entry.size != file.stat().st_size:
            return False
        return oid(entry) == (sha256 if entry.lfs else git_blob_id(file.read_bytes()))

    def read(self, path: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "file"
            self.fetch(path, target)
            return target.read_bytes()

    def fetch(self, path: str, target: Path) -> None:
        """Download a file to `target`, whole or not at all."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".arriving-") as folder:
            arrived = self.repository._call(
                lambda: self.repository.api.hf_hub_download(
                    self.repository.name,
                    path,
                    repo_type=DATASET,
                    revision=self.revision,
                    local_dir=folder,
                )
            )
            if Path(arrived).stat().st_size != self.entries[path].size:
                raise HubUnavailable(self.repository.name, f"{path} arrived cut.")
            Path(arrived).replace(target)


def oid(entry: "RepoFile") -> str:
    return entry.lfs.sha256 if entry.lfs else entry.blob_id


def git_blob_id(content: bytes) -> str:
    """The id git gives to a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
