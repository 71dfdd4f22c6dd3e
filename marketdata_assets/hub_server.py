"""The published folder over HTTP on this machine: whole files, parts of them, pages that list them.

Here belongs what a link to a file needs. Programs of this machine need none of it: they read the
folder.
"""

from html import escape
from pathlib import Path, PurePath
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from marketdata_assets.listening import address, asks_this_machine, listen
from marketdata_assets.resources.dataset_folder import is_of_dataset

HOST = "127.0.0.1"
PARQUET = "application/vnd.apache.parquet"


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


def serve_folder(folder: Path, port: int) -> None:
    """Serve until the user ends it. Raises `SettingError` before anything listens."""
    listening = listen(HOST, port, "the host", "--port")
    app = Starlette(routes=[Mount("/", DatasetFiles(folder))])
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, ws="none"
    )
    url = address(HOST, listening.getsockname()[1])
    print(f"The dataset in {folder}: {url}    Ctrl-C ends it.", flush=True)
    try:
        uvicorn.Server(config).run([listening])
    except KeyboardInterrupt:
        print()
