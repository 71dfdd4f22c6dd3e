"""Who may ask the UI, request by request; the same with real processes is `test_dev`."""

import asyncio
import base64

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from marketdata_assets.settings import SettingError
from marketdata_assets.ui.guard import Guard, UiSettings, ui_settings

TOKEN = "secret-token-of-the-ui"
HERE = "http://localhost:3000"
JSON = {"content-type": "application/json"}
PAGE = {"accept": "text/html,*/*"}


def asked(
    method: str, path: str, *headers: dict[str, str], token: str = "", kind: str = "http"
) -> int:
    """The status of the answer; 101 when a websocket is let through, 403 when not."""
    given = {"host": "localhost:3000"}
    for some in headers:
        given.update(some)
    scope: Scope = {
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing of a request is read")

    async def app(scope: Scope, receive: object, send: object) -> None:
        if scope["type"] == "websocket":
            sent.append({"status": 101})
        else:
            await PlainTextResponse("fine")(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(Guard(app, UiSettings("127.0.0.1", 3000, token))(scope, receive, send))
    return int(sent[0].get("status", 403))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:3000", "localhost:3000", "LOCALHOST:3000", "[::1]:3000"]
)
def test_this_machine_is_asked_by_its_own_names(host: str) -> None:
    assert asked("GET", "/", {"host": host}) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "localhost:3001", "localhost.evil.example:3000", "", "["]
)
def test_by_another_name_it_answers_nothing(host: str) -> None:
    for method, path, headers in (("GET", "/", PAGE), ("POST", "/graphql", JSON)):
        assert asked(method, path, headers, {"host": host}) == 403
    assert asked("GET", "/graphql", {"host": host}, kind="websocket") == 403


@pytest.mark.parametrize(
    "page",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:3001"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://localhost:3000@evil.example"},
        {"referer": "https://evil.example/localhost:3000"},
        {"origin": HERE, "referer": "https://evil.example/"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": HERE},
    ],
)
def test_a_foreign_page_asks_for_nothing(page: dict[str, str]) -> None:
    assert asked("POST", "/graphql", JSON, page) == 403
    assert asked("GET", "/logs/x.out", page) == 403
    assert asked("GET", "/graphql", page, kind="websocket") == 403


def test_the_uis_own_page_asks() -> None:
    own = {"origin": HERE, "referer": f"{HERE}/runs", "sec-fetch-site": "same-origin"}
    assert (
        asked("POST", "/graphql", {"content-type": "application/json; charset=utf-8"}, own) == 200
    )
    assert asked("GET", "/logs/x.out", own) == 200
    assert asked("GET", "/graphql", own, kind="websocket") == 101
    assert asked("GET", "/graphql", PAGE, own) == 200


def test_a_link_leads_to_a_page_but_not_into_a_frame() -> None:
    link = {"referer": "https://chat.example/", "sec-fetch-site": "cross-site", **PAGE}
    link["sec-fetch-mode"] = "navigate"
    assert asked("GET", "/runs", link, {"sec-fetch-dest": "document"}) == 200
    assert asked("GET", "/runs", link, {"sec-fetch-dest": "iframe"}) == 403
    assert asked("GET", "/runs", {**link, "sec-fetch-mode": "no-cors"}) == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(method: str) -> None:
    assert asked(method, "/graphql", JSON) == 405


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "text/plain; application/json", "application/x"]
)
def test_a_post_is_json_and_says_so(kind: str) -> None:
    assert asked("POST", "/report_asset_materialization/x", {"content-type": kind}) == 415


def test_graphql_is_not_asked_by_get() -> None:
    assert asked("GET", "/graphql") == asked("GET", "/graphql/") == 405
    assert asked("HEAD", "/graphql") == 405


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


def test_with_a_token_it_is_asked_by_any_name_with_the_token_alone() -> None:
    name = {"host": "ui.example"}
    for wrong in (
        {},
        basic("another-token-of-some"),
        {"authorization": "Basic %%%"},
        {"authorization": f"Digest {TOKEN}"},
        {"authorization": "Bearer é"},
    ):
        assert asked("GET", "/", name, wrong, token=TOKEN) == 401
        assert asked("GET", "/graphql", name, wrong, token=TOKEN, kind="websocket") == 403
    for right in (basic(TOKEN), {"authorization": f"bearer {TOKEN}"}):
        assert asked("GET", "/", name, right, token=TOKEN) == 200
        own = {"origin": "https://ui.example", "sec-fetch-site": "same-origin"}
        assert asked("POST", "/graphql", name, right, JSON, own, token=TOKEN) == 200
        foreign = {"origin": "https://evil.example"}
        assert asked("POST", "/graphql", name, right, JSON, foreign, token=TOKEN) == 403


def test_the_settings_of_an_open_door() -> None:
    assert ui_settings({}, "[::1]", 3000).host == "::1"
    assert TOKEN not in repr(ui_settings({"UI_TOKEN": TOKEN}, "0.0.0.0", 3000))
    with pytest.raises(SettingError, match="--host is '::': set UI_TOKEN too"):
        ui_settings({}, "::", 3000)
    with pytest.raises(SettingError, match=r"UI_TOKEN is '\*\*\*': write 16 or more"):
        ui_settings({"UI_TOKEN": "with a space in it"}, "127.0.0.1", 3000)
