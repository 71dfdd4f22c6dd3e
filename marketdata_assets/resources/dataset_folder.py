"""The dataset in a folder of this machine, as a place to publish to.

Here belongs what a publication does. How it is whole or not at all is `publishing.folder`.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from marketdata_assets.publishing.folder import WORK, FolderState, FolderWorkspace
from marketdata_assets.resources.hub_errors import NoRepository
from marketdata_assets.resources.publisher import Build, Outcome, Publication, Publisher


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
