"""What is published, and the folder in which the next publication is made, alone.

Of the Hub it holds local copies, so that a day needs no download. A copy is trusted for its content
alone: its hash is compared with what is published before it is used.

    <folder>/base/…    files as they were published last, or a CSV that has grown since
    <folder>/new/…     files being made

A dataset in a plain folder, for any program to read, has it inside:

    <folder>/…                what is published, as `layout` names it
    <folder>/.work/new/…      files being made
    <folder>/.work/staged/…   a publication being put together
    <folder>/.work/ready/…    a whole one, on the way to its places

The rename of `staged` to `ready` decides: a publisher that is killed before has published nothing,
and after that whoever opens the folder next finishes its work. Each file takes its place by a
rename, the manifest after all that it names.

One process at a time uses a folder; a killed one leaves nothing that matters. What files hold is
`build`.
"""

import contextlib
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Protocol

from filelock import FileLock, Timeout

from marketdata_assets.errors import MarketdataError
from marketdata_assets.publishing import layout
from marketdata_assets.publishing.manifest import Facts, from_json, hash_of
from marketdata_assets.storage.durable_files import (
    link_or_copy,
    make_folder,
    refusals_told,
    sync_file,
    sync_folder,
)


class Published(Protocol):
    """What is published: the paths of its files, and how they are had."""

    @property
    def revision(self) -> str: ...
    @property
    def files(self) -> Collection[str]: ...
    def read(self, path: str) -> bytes: ...
    def fetch(self, path: str, target: Path) -> None: ...
    def holds(self, path: str, file: Path, sha256: str) -> bool: ...


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
        with refusals_told(f"files to publish could not be written in {self.folder}"):
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
                yield self
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
            _refuse_absent(published, path)
            arrived = self.new(f"{path}.arriving")
            published.fetch(path, arrived)
            cure = (
                "Restore an older revision of the dataset, or delete its manifest.json to have the "
                "CSV adopted anew."
            )
            _refuse_changed(path, arrived, facts, cure)
            arrived.replace(copy)
        if copy.stat().st_size > facts.bytes:
            with copy.open("r+b") as file:
                file.truncate(facts.bytes)
        return copy

    def keep(self, path: str, made: Path) -> None:
        """What was made is published: it is the local copy from now on."""
        if made != self.base(path):
            made.replace(self.base(path))


def _refuse_absent(published: Published, path: str) -> None:
    if path not in published.files:
        raise NotAsInManifest(
            f"{path} is in the published manifest and not in the dataset: somebody removed it. "
            "Publish its days again, or restore an older revision of the dataset."
        )


def _refuse_changed(path: str, file: Path, facts: Facts, cure: str) -> None:
    if file.stat().st_size != facts.bytes or not _is_prefix(file, facts):
        raise NotAsInManifest(
            f"{path} is not what the published manifest says: somebody changed it by hand. {cure}"
        )


def _is_prefix(copy: Path, facts: Facts) -> bool:
    if not copy.exists() or copy.stat().st_size < facts.bytes:
        return False
    return hash_of(copy, facts.bytes) == facts.sha256


WORK = ".work"
LAST = (layout.MARKER, layout.MANIFEST)


def is_of_dataset(path: PurePath) -> bool:
    """Whether a path in the folder is the dataset's: what is hidden is not, but for the marker."""
    return str(path) == layout.MARKER or not any(part.startswith(".") for part in path.parts)


@dataclass
class FolderState:
    """What the folder holds, as `publishing` sees it."""

    folder: Path

    @property
    def revision(self) -> str:
        """The SHA-256 of the manifest, which tells of all other files; empty without one."""
        manifest = self.folder / layout.MANIFEST
        return hash_of(manifest) if manifest.exists() else ""

    @cached_property
    def files(self) -> frozenset[str]:
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        inside = (path.relative_to(self.folder) for path in paths)
        return frozenset(str(path) for path in inside if is_of_dataset(path))

    def holds(self, path: str, file: Path, sha256: str = "") -> bool:
        """Whether `path` is published with the very content of `file`; its hash if it is known."""
        there = self.folder / path
        return (
            path in self.files
            and there.stat().st_size == file.stat().st_size
            and hash_of(there) == (sha256 or hash_of(file))
        )

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def fetch(self, path: str, target: Path) -> None:
        link_or_copy(self.folder / path, target)


class FolderWorkspace(Workspace):
    """Published files are read where they lie; what becomes of them is written beside them."""

    may_grow = False

    def copy_of(self, published: Published, path: str, facts: Facts) -> Path:
        _refuse_absent(published, path)
        file = self.folder.parent / path
        _refuse_changed(path, file, facts, "Delete it and run the publish command.")
        return file

    def publish(self, files: dict[str, Path]) -> None:
        """Put `files` in their places: all of them or none."""
        staged = self.folder / "staged"
        make_folder(staged)
        for path, file in files.items():
            sync_file(file)
            make_folder((staged / path).parent)
            file.replace(staged / path)
        for folder in {(staged / path).parent for path in files}:
            sync_folder(folder)
        staged.rename(self.folder / "ready")
        sync_folder(self.folder)
        self.settle()

    def settle(self) -> None:
        """Finish a publication that is decided, if there is one; what is not, goes."""
        shutil.rmtree(self.folder / "staged", ignore_errors=True)
        ready, places = self.folder / "ready", set()
        if not ready.is_dir():
            return
        files = [path.relative_to(ready) for path in ready.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (str(path) in LAST, str(path))):
            place = self.folder.parent / path
            make_folder(place.parent)
            (ready / path).replace(place)
            places.add(place.parent)
        manifest = self.folder.parent / layout.MANIFEST
        if layout.CSV not in from_json(manifest.read_bytes()).files:
            (manifest.parent / layout.CSV).unlink(missing_ok=True)
        for folder in {manifest.parent, *places}:
            sync_folder(folder)
        shutil.rmtree(ready)
