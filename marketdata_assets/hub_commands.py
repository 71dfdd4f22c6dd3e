"""The commands about the published dataset: `hub` serves the folder, `publish`, `verify`, ...

Here belongs what they print, and what a link to a file of the folder needs: whole files, parts of
them, pages that list them. What is published, compared and written is `publishing`.
"""

import itertools
from collections import Counter
from contextlib import suppress
from html import escape
from pathlib import Path, PurePath
from urllib.parse import quote

import uvicorn
from rich.console import Console
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.command_texts import text
from marketdata_assets.environment import (
    dataset_folder,
    lake_resource,
    publisher,
    refuse_other_name,
)
from marketdata_assets.listening import address, asks_this_machine, listen
from marketdata_assets.publishing import layout
from marketdata_assets.publishing.layout import Choices
from marketdata_assets.publishing.verifying import (
    NothingPublished,
    differences,
    manifest_of,
    restore,
)
from marketdata_assets.publishing.workspace import FolderState, is_of_dataset
from marketdata_assets.resources.publisher import Publisher
from marketdata_assets.storage.lake import MissingPartitions
from marketdata_assets.tables import DAILY_PRICES

HOST = "127.0.0.1"
PARQUET = "application/vnd.apache.parquet"
ADOPTED = (
    "{count:,} day(s) left out: they hold rows of a CSV that was adopted, not the whole market"
)


def serve_hub(port: int) -> int:
    """Serve what this profile has published on this machine, until Ctrl-C.

    Raises `SettingError` before anything listens.
    """
    folder = dataset_folder()
    manifest_of(FolderState(folder))
    listening = listen(HOST, port, "the host", "--port")
    app = Starlette(routes=[Mount("/", DatasetFiles(folder))])
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, ws="none"
    )
    url = address(HOST, listening.getsockname()[1])
    told = "The dataset in {folder}: {address}    Ctrl-C ends it."
    print(text(told, folder=folder, address=url), flush=True)
    try:
        uvicorn.Server(config).run([listening])
    except KeyboardInterrupt:
        print()
    return 0


def publish(repository: str = "") -> int:
    """Publish every stored day that is not published or differs: a year at a time, oldest first.

    A year that is there as the lake has it stays, so this can be run again at any time.
    """
    if repository:
        refuse_other_name("--repository", repository)
    console = Console(highlight=False, soft_wrap=True)
    lake = lake_resource().open()
    stored = lake.days(DAILY_PRICES)
    if not stored:
        raise MissingPartitions(DAILY_PRICES, [None])
    place = configured()
    choices, outcomes = _choices(place, repository), Counter[str]()
    for year, days in itertools.groupby(stored, key=lambda day: day.year):
        ours = list(days)
        with console.status(text("publishing {year}, {count} days …", year=year, count=len(ours))):
            done = publish_days(place, lake, ours, choices, repository)
        outcomes[done.outcome.value] += 1
        span = text("{count:>3} days", count=len(ours))
        console.print(f"{year}  {span}  {text(done.outcome)}  {done.place}")
    summary = ", ".join(
        text("{count} year(s) {outcome}", count=count, outcome=text(outcome))
        for outcome, count in outcomes.items()
    )
    name = repository or place.repository or "dataset"
    published = text("all {count:,} stored days are published", count=len(stored))
    print(f"{name}: {published}{text('; ')}{summary}")
    return 0


def verify() -> int:
    """Compare the published dataset with the lake; 1 when they differ."""
    with configured().opened() as (state, workspace):
        lines = list(differences(state, lake_resource().open(), workspace))
    for line in lines:
        print(text("differs: {what}", what=text(line)))
    found = "{count} difference(s) at revision {revision}"
    print(text(found, count=len(lines), revision=state.revision))
    return 1 if lines else 0


def restore_lake() -> int:
    """Write the published days into the lake."""
    lake = lake_resource().open()
    with configured().opened() as (state, workspace):
        outcomes = [stored.outcome for _, stored in restore(state, lake, workspace)]
        adopted = manifest_of(state).adopted
    summary = ", ".join(f"{outcomes.count(one)} {text(one)}" for one in sorted(set(outcomes)))
    restored = "daily_prices: {count} day(s) restored from revision {revision}: {outcomes}"
    counts = {"count": len(outcomes), "revision": state.revision, "outcomes": summary}
    print(text(restored, **counts))
    if adopted:
        print(text(ADOPTED, count=len(adopted.days)))
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


class DatasetFiles(StaticFiles):
    """The files of the dataset in `folder`, for who asks this machine by a name of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self.folder = folder

    async def get_response(self, path: str, scope: Scope) -> Response:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if not asks_this_machine("".join(hosts)):
            raise HTTPException(403, "This server answers to 127.0.0.1 and localhost only.")
        if not is_of_dataset(PurePath(path)):
            raise HTTPException(404)
        # A name that is too long for a file is an error to ask about, and no folder's.
        with suppress(OSError):
            if (self.folder / path).is_dir():
                return HTMLResponse(self._page(self.folder / path))
        answer = await super().get_response(path, scope)
        if path.endswith(".parquet"):
            answer.headers["content-type"] = PARQUET
        return answer

    def _page(self, folder: Path) -> str:
        def line(entry: Path) -> str:
            is_folder = entry.is_dir()
            link = f"/{quote(str(entry.relative_to(self.folder)))}"
            size = "" if is_folder else f" {entry.stat().st_size:,} bytes"
            return f'<li><a href="{link}">{escape(entry.name)}{"/" * is_folder}</a>{size}</li>'

        shown = (path for path in folder.iterdir() if is_of_dataset(path.relative_to(self.folder)))
        files = "".join(map(line, sorted(shown)))
        return f'<!doctype html><meta charset="utf-8"><title>dataset</title><ul>{files}</ul>'
