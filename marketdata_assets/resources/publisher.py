"""Where the dataset is published, and what a publication is: the same for the Hub and a folder.

Here belongs what an asset and the commands see of it. The Hub is `hugging_face`, the folder
`dataset_folder`.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import NamedTuple

import dagster as dg

from marketdata_assets.publishing.build import Content
from marketdata_assets.publishing.workspace import Published, Workspace

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
