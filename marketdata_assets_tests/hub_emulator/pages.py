"""Pages for people: what a link to a commit shows.

Here belongs HTML. What programs are answered is `repositories` and `downloads`.
"""

from html import escape
from urllib.parse import quote

from marketdata_assets_tests.hub_emulator.messages import Answer, Request
from marketdata_assets_tests.hub_emulator.served import Served


def commit(hub: Served, request: Request, repo: str, revision: str = "main") -> Answer:
    """A commit of a dataset: its title, and all files as of then."""
    shown = hub.store.at(repo, revision)

    def line(path: str) -> str:
        entry, name = shown.files[path], escape(path)
        # Of older commits the content may be gone.
        if hub.store.blob(entry.sha256).exists():
            name = f'<a href="/datasets/{repo}/resolve/{shown.sha}/{quote(path)}">{name}</a>'
        return f"<li>{name} {entry.size:,} bytes</li>"

    files = "".join(map(line, sorted(shown.files)))
    page = (
        f'<!doctype html><meta charset="utf-8"><title>{escape(repo)}</title>'
        f"<h1>{escape(repo)}</h1><p>{escape(shown.title)}</p>"
        f"<p>commit {shown.sha}, {escape(shown.date)}</p><ul>{files}</ul>"
    )
    return Answer(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
