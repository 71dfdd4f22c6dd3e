"""Where the dataset is published, and what a publication is: the Hub, or a folder of this machine.

Here belongs what an asset and the commands see of both, and publishing to the folder; how that is
whole or not at all is `publishing.workspace`. The Hub is `hugging_face`.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from marketdata_assets.publishing.build import Content
from marketdata_assets.publishing.workspace import (
    WORK,
    FolderState,
    FolderWorkspace,
    Published,
    Workspace,
)
from marketdata_assets.resources.hub_errors import NoRepository

BOUND_SECONDS = 2 * 3600.0

Build = Callable[[Published, Workspace], Content]


class Outcome(StrEnum):
    COMMITTED = "committed"
    FOUND = "committed, found so after an answer was lost"
    ALREADY_THERE = "already there"


class Publication(NamedTuple):
    """What a publication did. `revision` is the one that was looked at last, and holds it all.

    `place` is a link to it, or its folder. `bytes_of_files` is the size of all that changed;
    `bytes_sent` went over HTTP, None where nothing is sent. `through_xet`, large files are not part
    of it: xet sends what is new in them, and doesn't say how much.
    """

    outcome: Outcome
    revision: str
    place: str
    bytes_of_files: int
    files_changed: list[str]
    content: Content
    bytes_sent: int | None = None
    through_xet: bool = False


class Publisher(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A place to publish to. `repository` names the dataset on the Hub; a folder has no name.

    `bound_seconds` ends a publication that waits for others.
    """

    repository: str = ""
    bound_seconds: float = BOUND_SECONDS

    @abstractmethod
    def publish(
        self, build: Build, title: str, origins: Collection[str], repository: str = ""
    ) -> Publication:
        """Publish at once what `build` makes on top of what is there, or nothing if it is there.

        `origins` say where the rows come from. Raises `HubError`, `WorkspaceBusy`, `DiskRefuses`
        and what `build` raises.
        """

    @abstractmethod
    def opened(self, repository: str = "") -> AbstractContextManager[tuple[Published, Workspace]]:
        """What is published now, and the folder to work on it, alone. Raises as `publish` does."""


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
    def opened(self, repository: str = "") -> Iterator[tuple[FolderState, FolderWorkspace]]:
        if repository:
            raise NoRepository(repository, f"what is published here is the folder {self.folder}.")
        folder = Path(self.folder)
        workspace = FolderWorkspace(folder / WORK)
        with workspace.locked(self.bound_seconds):
            workspace.settle()
            yield FolderState(folder), workspace
