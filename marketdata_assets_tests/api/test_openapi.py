"""The OpenAPI document: /docs needs nobody else, and what the document allows breaks nothing."""

import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks

from marketdata_assets.api import answers
from marketdata_assets.api.docs_page import EXAMPLE_ANSWERS
from marketdata_assets_tests.api.serving import Client
from marketdata_assets_tests.api.stored_world import FUND, NEWEST

PATHS = {
    "/",
    "/health",
    "/ready",
    "/api/v1/asset-type",
    "/api/v1/ohlcv",
    "/api/v1/ohlcv/batch",
    "/api/v1/etf/nav",
    "/api/v1/cross-section",
    "/api/v1/findings",
    "/api/v1/instruments",
    "/api/v1/market",
    "/api/v1/coverage",
    "/api/v1/marks",
    "/api/v1/status",
    "/api/v1/tables",
    "/api/v1/tables/{name}/rows",
    "/api/v1/exports",
    "/api/v1/exports/{request_id}",
    "/api/v1/exports/{request_id}/file",
    "/api/v1/requests/{request_id}",
    "/api/v1/cache/clear",
    "/api/v1/cache/stats",
}


def test_the_document_has_every_endpoint_and_its_errors(api: Client) -> None:
    document = api.get("/openapi.json").json()
    assert set(document["paths"]) == PATHS
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"], path
            assert operation["description"], path


def test_what_the_document_refers_to_is_in_it(api: Client) -> None:
    answer = api.get("/openapi.json")
    document = answer.json()
    for path in set(re.findall(r'"\$ref":\s*"#/([^"]+)"', answer.text)):
        place = document
        for name in path.split("/"):
            assert name in place, path
            place = place[name]


def test_example_answers_are_of_the_declared_shape(api: Client) -> None:
    document = api.get("/openapi.json").json()
    for path, answer in EXAMPLE_ANSWERS.items():
        for operation in document["paths"][path].values():
            content = operation["responses"]["200"]["content"]["application/json"]
            assert content["example"] == answer
            shape = getattr(answers, content["schema"]["$ref"].rpartition("/")[2])
            assert set(shape.model_validate(answer).model_dump()) == set(answer)
        assert "<summary>Example" in api.get("/docs").text


def test_the_docs_page_lists_every_endpoint_and_loads_nothing(api: Client) -> None:
    answer = api.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    for path in PATHS:
        assert f" {path}</code>" in answer.text
    for name in ("nocache", "adjust", "as_of", "codes", "strict", "X-Missing-Sessions"):
        assert f"<code>{name}</code>" in answer.text
    assert "`" not in answer.text
    assert re.findall(r"https?://|<script|<link|src=|@import", answer.text) == []


load_all_checks()
PROMISES = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)
USUAL: dict[str, list[Any]] = {
    "code": ["600000.SH", "HSI", FUND],
    "date": [str(NEWEST)],
    "codes": [["HSI", "BTC"]],
    "name": ["daily_prices", "findings"],
    "table": ["daily_prices", "findings"],
}

# Nobody answers requests here.
WAITING = {"/api/v1/ohlcv", "/api/v1/ohlcv/batch", "/api/v1/etf/nav"}
OFTEN_LEFT_OUT = {"fields", "columns", "start", "end", "anchor", "adjust", "as_of", "nocache"}


def operations() -> list[tuple[str, str]]:
    posts = {"/api/v1/ohlcv/batch", "/api/v1/exports", "/api/v1/cache/clear"}
    both = {("/api/v1/ohlcv/batch", "GET")}
    return sorted({(path, "POST" if path in posts else "GET") for path in PATHS} | both)


@pytest.fixture(scope="module")
def schema(api: Client) -> Any:
    return schemathesis.openapi.from_dict(api.get("/openapi.json").json())


@pytest.mark.parametrize(("path", "method"), operations())
def test_what_the_document_allows_is_answered_as_it_says(
    api: Client, schema: Any, path: str, method: str
) -> None:
    operation = schema[path][method]

    @given(case=operation.as_strategy(), data=st.data())
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def asked(case: Any, data: st.DataObject) -> None:
        for place in (case.query, case.body, case.path_parameters):
            if isinstance(place, dict):
                if path in WAITING:
                    place["wait"] = 0
                for name, values in USUAL.items():
                    if name in place and data.draw(st.integers(0, 3)):
                        place[name] = data.draw(st.sampled_from(values))
                for name in sorted(set(place) & OFTEN_LEFT_OUT):
                    if data.draw(st.integers(0, 3)):
                        del place[name]
        case.call_and_validate(base_url=api.url, session=api.session, checks=PROMISES)

    asked()
