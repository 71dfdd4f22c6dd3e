"""Behind a proxy: the path under which the API is reached there.

Here belongs the prefix alone. Proxies differ in whether they take it off before they ask, so both
are understood.
"""

import re
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from marketdata_assets.settings import SettingError

SETTING = "API_ROOT_PATH"
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
# A prefix that our own paths begin with could be ours or the proxy's.
OUR_OWN = ("api", "docs", "health", "metrics", "openapi.json")


def root_path(env: Mapping[str, str]) -> str:
    """The prefix without a slash at its end; empty where there is none. Raises `SettingError`."""
    text = (env.get(SETTING) or "").strip().rstrip("/")
    if not text:
        return ""
    if not PREFIX.fullmatch(text):
        raise SettingError(SETTING, text, "write a path, like /marketdata")
    if text.split("/")[1] in OUR_OWN:
        raise SettingError(SETTING, text, "take another path: the API's own begin like that")
    return text


def path_within(scope: Scope) -> str:
    """The path of a question without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class Prefixed:
    """ASGI middleware: every question has the prefix, whether or not the proxy took it off."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._prefix and scope["type"] == "http":
            path = scope["path"]
            if path == self._prefix:
                path = f"{path}/"
            elif not path.startswith(f"{self._prefix}/"):
                path = f"{self._prefix}{path}"
            scope = {**scope, "path": path, "root_path": self._prefix}
        await self._app(scope, receive, send)
