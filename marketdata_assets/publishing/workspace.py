"""The local copies of published files, so that a day needs no download.

    <folder>/base/…    files as they were published last, or a CSV that has grown since
    <folder>/new/…     files being made

A copy is trusted for its content alone: its hash is compared with what is published before it is
used. One process at a time uses a folder; a killed one leaves nothing that matters.
"""

import contextlib
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from marketdata_assets.errors import MarketdataError
from marketdata_assets.publishing.manifest import Facts, hash_of
from marketdata_assets.storage.durable_files import refusals_told


class Published(Protocol):
    """What is published: the paths of its files, and how they are had."""

    @property
    def revision(self) -> str: ...
    @property
    def files(self) -> Collection[str]: ...
    def read(self, path: str) -> bytes: ...
    def fetch(self, path: str, target: Path) -> None: ...


class WorkspaceBusy(MarketdataError):
    """Another process of this machine has been publishing for too long."""


class NotAsInManifest(MarketdataError, is_final=True):
    """A published file is not what the published manifest says."""


class Workspace:
    """`may_grow` says whether a local copy may be appended to."""

    may_grow = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def locked(self, seconds: float) -> Iterator["Workspace"]:
        """This folder alone, nothing half-made in it. Raises `WorkspaceBusy`, `DiskRefuses`."""
        what = f"files to publish could not be written in {self.folder}"
        with refusals_told(what), self._alone(seconds):
            yield self

    @contextlib.contextmanager
    def _alone(self, seconds: float) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            raise WorkspaceBusy(
                f"another process has been publishing from {self.folder} for {seconds:.0f} s: "
                "wait for it, or end it"
            ) from None
        try:
            self.clear()
            yield
        finally:
            shutil.rmtree(self.folder / "new", ignore_errors=True)
            lock.release()

    def clear(self) -> None:
        shutil.rmtree(self.folder / "new", ignore_errors=True)
        (self.folder / "new").mkdir()

    def new(self, path: str) -> Path:
        target = self.folder / "new" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def base(self, path: str) -> Path:
        target = self.folder / "base" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def copy_of(self, published: Published, path: str, facts: Facts) -> Path:
        """The local copy of a published file, downloaded when it is missing or different.

        Bytes after the published ones, left by a run that did not finish, are cut off. Raises
        `NotAsInManifest` when what is downloaded is not what the manifest says.
        """
        copy = self.base(path)
        if not _is_prefix(copy, facts):
            refuse_absent(published, path)
            arrived = self.new(f"{path}.arriving")
            published.fetch(path, arrived)
            cure = (
                "Restore an older revision of the dataset, or delete its manifest.json to have the "
                "CSV adopted anew."
            )
            refuse_changed(path, arrived, facts, cure)
            arrived.replace(copy)
        if copy.stat().st_size > facts.bytes:
            with copy.open("r+b") as file:
                file.truncate(facts.bytes)
        return copy

    def keep(self, path: str, made: Path) -> None:
        """What was made is published: it is the local copy from now on."""
        if made != self.base(path):
            made.replace(self.base(path))


def refuse_absent(published: Published, path: str) -> None:
    if path not in published.files:
        raise NotAsInManifest(
            f"{path} is in the published manifest and not in the dataset: somebody removed it. "
            "Publish its days again, or restore an older revision of the dataset."
        )


def refuse_changed(path: str, file: Path, facts: Facts, cure: str) -> None:
    if file.stat().st_size != facts.bytes or not _is_prefix(file, facts):
        raise NotAsInManifest(
            f"{path} is not what the published manifest says: somebody changed it by hand. {cure}"
        )


def _is_prefix(copy: Path, facts: Facts) -> bool:
    if not copy.exists() or copy.stat().st_size < facts.bytes:
        return False
    return hash_of(copy, facts.bytes).hexdigest() == facts.sha256
