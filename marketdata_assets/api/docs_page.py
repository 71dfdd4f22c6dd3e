"""/docs: the OpenAPI document as one plain page that asks nobody else for anything.

Here belong the page, and the examples that the document has; what else it says comes from the
endpoints.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 13px/1.5 ui-monospace, monospace; background: #8881; padding: .1em .3em }
pre { padding: .8em; overflow-x: auto }
h2 { margin-top: 2.5rem; border-top: 1px solid #8884; padding-top: 1rem }
h2 code { font-size: 1em; overflow-wrap: anywhere }
table { border-collapse: collapse } td { padding: .2rem 1rem .2rem 0; vertical-align: top }
:root { color-scheme: light dark }
"""


def docs_page(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI document."""
    return "\n".join(_lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield '<!doctype html><html lang="en"><meta charset="utf-8">'
    yield f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
    yield f"<style>{STYLE}</style><h1>{title}</h1>"
    yield f"<p>{_prose(document['info']['description'])}</p>"
    yield '<p>For programs: <a href="openapi.json">/openapi.json</a></p>'
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{_prose(operation.get('description') or operation.get('summary', ''))}</p>"
            yield _table(
                _row(one["name"], one["schema"], one.get("required"), one.get("description"))
                for one in operation.get("parameters", [])
            )
            yield from _body(operation, document)
            yield from _answers(operation["responses"])


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"]["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][name]
        required = schema.get("required", [])
        yield "<p>JSON body</p>"
        yield _table(
            _row(field, one, field in required) for field, one in schema["properties"].items()
        )


def _answers(responses: Mapping[str, Any]) -> Iterator[str]:
    answers = [
        f"{status} {escape(one['description'])}"
        for status, one in responses.items()
        if status != "default"
    ]
    yield f"<p>Answers: {' · '.join(answers)}</p>"
    whole = responses.get("200", {})
    if headers := whole.get("headers"):
        yield "<p>Headers of files</p>"
        yield _table(_row(name, one) for name, one in headers.items())
    content = whole.get("content", {}).get("application/json", {})
    if "example" in content:
        text = json.dumps(content["example"], ensure_ascii=False, indent=2)
        yield f"<details><summary>Example</summary><pre>{escape(text)}</pre></details>"


def _prose(text: str) -> str:
    """Text of the document, which is Markdown; of that it has code alone."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(rows: Iterable[str]) -> str:
    lines = "".join(rows)
    return f"<table>{lines}</table>" if lines else ""


def _row(
    name: str, told: Mapping[str, Any], is_required: object = None, what: str | None = None
) -> str:
    default = told.get("default")
    needed = "" if default in (None, "") else f"default {default}"
    told_of_it = ("required" if is_required else needed, what or told.get("description", ""))
    cells = [f"<code>{escape(name)}</code>", *map(escape, told_of_it)]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


# Answers as `answers` shapes them, which a test holds them to.
_BAR = {
    "date": "2024-09-30",
    "open": 10.02,
    "high": 10.51,
    "low": 9.98,
    "close": 10.5,
    "volume": 152345600.0,
    "turnover": 1562345678.9,
}
_RANGE = {"start": "2024-09-30", "end": "2024-09-30"}
_ROWS = {"data": [_BAR], "count": 1, "columns": list(_BAR), "date_range": _RANGE}
_STORED: dict[str, Any] = {"missing_sessions": [], "stale": None}
_PRICES = {
    **_ROWS,
    "code": "600000.SH",
    "renamed_from": None,
    "asset_type": "a_share",
    "requested_range": _RANGE,
    "available_range": {"start": "2005-01-04", "end": "2024-10-15"},
    "cached": True,
    "adjust": "none",
    "frequency": "D",
    "unfinished": None,
    "currency": "CNY",
    "volume_unit": "shares",
    "source": "daily_prices",
    "stored_at": "2024-10-15T12:40:00Z",
    **_STORED,
    "note": None,
}
_UNKNOWN = "'600000' is no code that is understood. Did you mean 600000.SH (A-share)?"
_FAILED = {"error": _UNKNOWN, "code": "600000", "asset_type": "unknown", "data": [], "count": 0}
_VALUE = {"date": "2024-09-30", "nav": 1.4321}
EXAMPLE_ANSWERS: dict[str, dict[str, Any]] = {
    "/api/v1/ohlcv": _PRICES,
    "/api/v1/ohlcv/batch": {
        "results": {"600000.SH": _PRICES, "600000": _FAILED},
        "success_count": 1,
        "failed_count": 1,
        "total": 2,
        **_RANGE,
    },
    "/api/v1/etf/nav": {
        "code": "513100.SH",
        "source": "etf_premium",
        "available_range": {"start": "2013-05-15", "end": "2024-10-15"},
        **_STORED,
        "price": _ROWS,
        "nav": {**_ROWS, "data": [_VALUE], "columns": list(_VALUE)},
        "without_premium": [{"date": "2024-10-08", "reason": "nav not published"}],
        "premium_series": [{"date": "2024-09-30", "premium": 0.0285}],
        "latest_premium": 0.0285,
        "premium_date": "2024-09-30",
        "premium_stats": dict.fromkeys(("mean", "std", "min", "max", "median"), 0.0285),
    },
    "/api/v1/cross-section": {
        "date": "2024-09-30",
        "kind": "a_share",
        "data": [{"code": "600000.SH", **_BAR}],
        "count": 1,
        "columns": ["code", *_BAR],
        "source": "daily_prices",
        "stored_at": "2024-10-15T12:40:00Z",
    },
    "/api/v1/findings": {
        "date": "2024-09-30",
        "findings": [
            {
                "table": "daily_prices",
                "check": "factor_missing",
                "code": "600000.SH",
                "outcome": "flagged",
                "since": "2024-09-27",
                "last": "2024-09-30",
                "days": 2,
                "seen": "adj_factor NULL",
                "expected": "a factor",
                "reason": None,
            }
        ],
        "count": 1,
    },
    "/api/v1/instruments": {
        "instruments": [
            {
                "code": "600000.SH",
                "name": "浦发银行",
                "asset_type": "a_share",
                "stored_in": "daily_prices",
            }
        ],
        "count": 1,
    },
}


def add_examples(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the examples in it."""
    for path, answer in EXAMPLE_ANSWERS.items():
        for operation in document["paths"][path].values():
            operation["responses"]["200"]["content"]["application/json"]["example"] = answer
    return document
