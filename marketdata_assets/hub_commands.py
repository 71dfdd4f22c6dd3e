"""The commands about the published dataset: `hub` serves the local one, `publish`, `verify`, ...

Here belongs what they print. What is published, compared and written is `publishing`.
"""

import errno
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.environment import hugging_face, lake_resource
from marketdata_assets.profile import profile_root
from marketdata_assets.publishing import layout
from marketdata_assets.publishing.layout import Choices
from marketdata_assets.publishing.verifying import (
    NothingPublished,
    differences,
    manifest_of,
    restore,
)
from marketdata_assets.publishing.workspace import Workspace
from marketdata_assets.resources.hub_errors import NoRepository
from marketdata_assets.resources.hub_repository import StateAt
from marketdata_assets.storage.lake import MissingPartitions
from marketdata_assets.tables import DAILY_PRICES
from marketdata_sandbox.hub.embedded import LOCAL_PORT
from marketdata_sandbox.hub.protocol import HubProtocol
from marketdata_sandbox.hub.server import HubServer
from marketdata_sandbox.hub.store import HubStore


def serve_hub() -> int:
    """Serve this profile's local hub until Ctrl-C; 1 when its port is taken."""
    protocol = HubProtocol(HubStore(profile_root() / "hub"))
    try:
        server = HubServer(protocol, LOCAL_PORT)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(
            f"Another program has port {LOCAL_PORT}, where links to the local hub lead; perhaps "
            "another hub. End it, then run this again.",
            file=sys.stderr,
        )
        return 1
    with server:
        print(f"A hub on {server.url}; any token will do. Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def publish(repository: str = "") -> int:
    """Publish every stored day that is not published or differs: a commit a year, oldest first.

    A year that is there as the lake has it is no commit, so this can be run again at any time.
    """
    console = Console(highlight=False, soft_wrap=True)
    lake = lake_resource().open()
    stored = lake.days(DAILY_PRICES)
    if not stored:
        raise MissingPartitions(DAILY_PRICES, [None])
    hub = hugging_face().process_config_and_initialize()
    name = repository or hub.repository
    choices, outcomes = _choices(name), Counter[str]()
    for year, days in itertools.groupby(stored, key=lambda day: day.year):
        ours = list(days)
        with console.status(f"publishing {year}, {len(ours)} days …"):
            done = publish_days(hub, lake, ours, choices, name)
        outcomes[done.outcome.value] += 1
        console.print(f"{year}  {len(ours):>3} days  {done.outcome}  {done.url}")
    told = ", ".join(f"{count} year(s) {outcome}" for outcome, count in outcomes.items())
    print(f"{name}: all {len(stored):,} stored days are published; {told}")
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


def _choices(repository: str) -> Choices:
    """What the dataset has chosen for its CSV; of a new one, what is usual."""
    try:
        with _head(repository) as (state, _):
            manifest = manifest_of(state)
    except (NothingPublished, NoRepository):
        return Choices()
    return Choices(manifest.universe, layout.CSV in manifest.files)


@contextmanager
def _head(repository: str = "") -> Iterator[tuple[StateAt, Workspace]]:
    # Settings that are read from the environment get their values here, as in a run.
    hub = hugging_face().process_config_and_initialize()
    with hub.opened(repository or hub.repository) as (remote, workspace, _):
        try:
            head = remote.head(create_missing=False)
        except NoRepository:
            if not hub.create_missing:
                raise
            # Nobody has to create it: the first publication does.
            raise NothingPublished(
                f"{remote.name} is not there: nothing was published yet. Materialize hf_dataset, "
                "or run the publish command."
            ) from None
        yield remote.at(head), workspace
