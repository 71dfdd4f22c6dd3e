"""The hub of a process: a server over a folder for as long as a run needs it.

Here belongs the seam between the platform's publisher and the local hub. Any number of processes
may each have a server over the same folder; the repositories in it are one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from marketdata_assets.publishing.workspace import Workspace
from marketdata_assets.resources.hub_bound import Bound
from marketdata_assets.resources.hub_repository import Repository
from marketdata_assets.resources.hugging_face import HuggingFaceResource
from marketdata_sandbox.hub.protocol import HubProtocol
from marketdata_sandbox.hub.server import HubServer
from marketdata_sandbox.hub.store import HubStore

KEPT_COMMITS = 2
LOCAL_REPOSITORY = "local/a-share-prices"
# What serves it between the runs: links lead there.
SERVE = "marketdata hub"
LOCAL_PORT = 8766
LOCAL_ENDPOINT = f"http://127.0.0.1:{LOCAL_PORT}"


class EmbeddedHub(HuggingFaceResource):
    """The Hub as the platform knows it, served from `hub_folder` on loopback while it is used."""

    served_by: ClassVar[str] = SERVE

    hub_folder: str

    @contextmanager
    def opened(self, name: str) -> Iterator[tuple[Repository, Workspace, Bound]]:
        protocol = HubProtocol(HubStore(Path(self.hub_folder), KEPT_COMMITS))
        with HubServer(protocol).running() as server, self.opened_at(server.url, name) as opened:
            yield opened


def embedded_hub(root: Path, repository: str = LOCAL_REPOSITORY) -> EmbeddedHub:
    """The hub of a profile: its repositories and the local copies of them under `root`."""
    return EmbeddedHub(
        repository=repository,
        token="local",
        endpoint=LOCAL_ENDPOINT,
        create_missing=True,
        work_folder=str(root / "publishing"),
        hub_folder=str(root / "hub"),
    )
