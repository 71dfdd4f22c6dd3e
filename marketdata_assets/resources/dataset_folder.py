"""The dataset as a plain folder of this machine, for any program to read.

    <folder>/…                what is published, as `publishing.layout` names it
    <folder>/.work/new/…      files being made
    <folder>/.work/staged/…   a publication being put together
    <folder>/.work/ready/…    a whole one, on the way to its places

The rename of `staged` to `ready` decides: a publisher that is killed before has published nothing,
and after that whoever opens the folder next finishes its work. Each file takes its place by a
rename, the manifest after all that it names. Here belongs that; what files hold is `publishing`.
"""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.manifest import Facts, from_json, hash_of
from marketdata_assets.publishing.workspace import (
    Published,
    Workspace,
    refuse_absent,
    refuse_changed,
)
from marketdata_assets.resources.hub_errors import NoRepository
from marketdata_assets.resources.publisher import Build, Outcome, Publication, Publisher
from marketdata_assets.storage.durable_files import (
    link_or_copy,
    make_folder,
    sync_file,
    sync_folder,
)

WORK = ".work"
LAST = (layout.MARKER, layout.MANIFEST)


def is_of_dataset(path: PurePath) -> bool:
    """Whether a path in the folder is the dataset's: what is hidden is not, but for the marker."""
    return str(path) == layout.MARKER or not any(part.startswith(".") for part in path.parts)


class DatasetFolder(Publisher):
    """The dataset in `folder`, which one publisher at a time changes."""

    folder: str

    def publish(
        self, build: Build, title: str, origins: Collection[str], repository: str = ""
    ) -> Publication:
        with self.opened(repository) as (state, workspace):
            content = build(state, workspace)
            changed = [path for path, file in content.files.items() if not state.holds(path, file)]
            removed = [path for path in content.removed if path in state.files]
            size = sum(content.files[path].stat().st_size for path in changed)
            if changed or removed:
                workspace.publish({path: content.files[path] for path in changed})
            return Publication(
                outcome=Outcome.COMMITTED if changed or removed else Outcome.ALREADY_THERE,
                revision=state.revision,
                place=self.folder,
                bytes_of_files=size,
                files_changed=sorted([*changed, *removed]),
                content=content,
            )

    @contextmanager
    def opened(self, repository: str = "") -> Iterator[tuple["FolderState", "FolderWorkspace"]]:
        if repository:
            raise NoRepository(repository, f"what is published here is the folder {self.folder}.")
        folder = Path(self.folder)
        workspace = FolderWorkspace(folder / WORK)
        with workspace.locked(self.bound_seconds):
            workspace.settle()
            yield FolderState(folder), workspace


@dataclass
class FolderState:
    """What the folder holds, as `publishing` sees it."""

    folder: Path

    @property
    def revision(self) -> str:
        """The SHA-256 of the manifest, which tells of all other files; empty without one."""
        manifest = self.folder / layout.MANIFEST
        return hash_of(manifest).hexdigest() if manifest.exists() else ""

    @cached_property
    def files(self) -> frozenset[str]:
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        inside = (path.relative_to(self.folder) for path in paths)
        return frozenset(str(path) for path in inside if is_of_dataset(path))

    def holds(self, path: str, file: Path) -> bool:
        """Whether `path` is published with the very content of `file`."""
        there = self.folder / path
        return (
            path in self.files
            and there.stat().st_size == file.stat().st_size
            and hash_of(there).digest() == hash_of(file).digest()
        )

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def fetch(self, path: str, target: Path) -> None:
        link_or_copy(self.folder / path, target)


class FolderWorkspace(Workspace):
    """Published files are read where they lie; what becomes of them is written beside them."""

    may_grow = False

    def copy_of(self, published: Published, path: str, facts: Facts) -> Path:
        refuse_absent(published, path)
        file = self.folder.parent / path
        refuse_changed(path, file, facts, "Delete it and run the publish command.")
        return file

    def publish(self, files: dict[str, Path]) -> None:
        """Put `files` in their places: all of them or none."""
        staged = self.folder / "staged"
        shutil.rmtree(staged, ignore_errors=True)
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
        """Finish a publication that is decided, if there is one."""
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
