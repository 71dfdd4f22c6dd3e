"""The commands about the published dataset: `hub` serves the folder, `publish`, `verify`, ...

Here belongs what they print. What is published, compared and written is `publishing`.
"""

import itertools
from collections import Counter

from rich.console import Console

from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.environment import dataset_folder, lake_resource, publisher
from marketdata_assets.hub_server import serve_folder
from marketdata_assets.publishing import layout
from marketdata_assets.publishing.folder import FolderState
from marketdata_assets.publishing.layout import Choices
from marketdata_assets.publishing.verifying import (
    NothingPublished,
    differences,
    manifest_of,
    restore,
)
from marketdata_assets.resources.publisher import Publisher
from marketdata_assets.storage.lake import MissingPartitions
from marketdata_assets.tables import DAILY_PRICES


def serve_hub(port: int) -> int:
    """Serve what this profile has published on this machine, until Ctrl-C."""
    folder = dataset_folder()
    manifest_of(FolderState(folder))
    serve_folder(folder, port)
    return 0


def publish(repository: str = "") -> int:
    """Publish every stored day that is not published or differs: a year at a time, oldest first.

    A year that is there as the lake has it stays, so this can be run again at any time.
    """
    console = Console(highlight=False, soft_wrap=True)
    lake = lake_resource().open()
    stored = lake.days(DAILY_PRICES)
    if not stored:
        raise MissingPartitions(DAILY_PRICES, [None])
    place = configured()
    choices, outcomes = _choices(place, repository), Counter[str]()
    for year, days in itertools.groupby(stored, key=lambda day: day.year):
        ours = list(days)
        with console.status(f"publishing {year}, {len(ours)} days …"):
            done = publish_days(place, lake, ours, choices, repository)
        outcomes[done.outcome.value] += 1
        console.print(f"{year}  {len(ours):>3} days  {done.outcome}  {done.place}")
    summary = ", ".join(f"{count} year(s) {outcome}" for outcome, count in outcomes.items())
    name = repository or place.repository or "dataset"
    print(f"{name}: all {len(stored):,} stored days are published; {summary}")
    return 0


def verify() -> int:
    """Compare the published dataset with the lake; 1 when they differ."""
    with configured().opened() as (state, workspace):
        lines = list(differences(state, lake_resource().open(), workspace))
    for line in lines:
        print(f"differs: {line}")
    print(f"{len(lines)} difference(s) at revision {state.revision}")
    return 1 if lines else 0


def restore_lake() -> int:
    """Write the published days into the lake."""
    lake = lake_resource().open()
    with configured().opened() as (state, workspace):
        outcomes = [stored.outcome for _, stored in restore(state, lake, workspace)]
        adopted = manifest_of(state).adopted
    summary = ", ".join(f"{outcomes.count(one)} {one}" for one in sorted(set(outcomes)))
    print(
        f"daily_prices: {len(outcomes)} day(s) restored from revision {state.revision}: {summary}"
    )
    if adopted:
        print(
            f"{len(adopted.days):,} day(s) left out: they hold rows of a CSV that was adopted, not "
            "the whole market"
        )
    return 0


def configured() -> Publisher:
    """The publisher of this profile, its settings read from the environment as in a run."""
    place: Publisher = publisher().process_config_and_initialize()
    return place


def _choices(place: Publisher, repository: str) -> Choices:
    """What the dataset has chosen for its CSV; of a new one, what is usual."""
    try:
        with place.opened(repository) as (state, _):
            manifest = manifest_of(state)
    except NothingPublished:
        return Choices()
    return Choices(manifest.universe, layout.CSV in manifest.files, manifest.csv_all_columns)
