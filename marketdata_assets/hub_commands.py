"""The commands about the published dataset: `hub` serves the local one, `verify`, `restore`.

Here belongs what they print. What is compared and written is `publishing.verifying`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from marketdata_assets.environment import hugging_face, lake_resource
from marketdata_assets.publishing.verifying import differences, restore
from marketdata_assets.publishing.workspace import Workspace
from marketdata_assets.resources.hub_repository import StateAt
from marketdata_assets.sandbox.hub.protocol import HubProtocol
from marketdata_assets.sandbox.hub.server import HubServer
from marketdata_assets.sandbox.hub.store import HubStore
from marketdata_assets.worlds import world_root

PORT = 8766


def serve_hub() -> int:
    """Serve this world's local hub until Ctrl-C."""
    with HubServer(HubProtocol(HubStore(world_root() / "hub")), PORT) as server:
        print(f"A hub on {server.url}; any token will do. Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def verify() -> int:
    """Compare the published dataset with the lake; 1 when they differ."""
    with _head() as (state, workspace):
        lines = list(differences(state, lake_resource().open(), workspace))
    for line in lines:
        print(f"differs: {line}")
    print(f"{len(lines)} difference(s) at commit {state.sha}")
    return 1 if lines else 0


def restore_lake() -> int:
    """Write the published days into the lake."""
    lake = lake_resource().open()
    with _head() as (state, workspace):
        outcomes = [stored.outcome for _, stored in restore(state, lake, workspace)]
    told = ", ".join(f"{outcomes.count(one)} {one}" for one in sorted(set(outcomes)))
    print(f"daily_prices: {len(outcomes)} day(s) restored from commit {state.sha}: {told}")
    return 0


@contextmanager
def _head() -> Iterator[tuple[StateAt, Workspace]]:
    # Settings that are read from the environment get their values here, as in a run.
    hub = hugging_face().process_config_and_initialize()
    with hub.opened(hub.repository) as (repository, workspace, _):
        yield repository.at(repository.head(create_missing=False)), workspace
