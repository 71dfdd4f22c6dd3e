"""/docs: the OpenAPI document as one plain page that asks nobody else for anything.

Here belongs the page alone; what it says comes from the document.
"""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 13px/1.5 ui-monospace, monospace; background: #8881; padding: .1em .3em }
pre { padding: .8em; overflow-x: auto }
h2 { margin-top: 2.5rem; border-top: 1px solid #8884; padding-top: 1rem }
h2 code { font-size: 1em }
table { border-collapse: collapse } td { padding: .2rem 1rem .2rem 0; vertical-align: top }
:root { color-scheme: light dark }
"""


def docs_page(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI document."""
    return "\n".join(_lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{STYLE}</style><h1>{title}</h1>"
    yield f"<p>{_prose(document['info']['description'])}</p>"
    yield '<p>For programs: <a href="openapi.json">/openapi.json</a></p>'
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{_prose(operation.get('description') or operation.get('summary', ''))}</p>"
            yield from _parameters(operation.get("parameters", []))
            yield from _body(operation, document)
            yield from _answers(operation["responses"])
            yield from _headers(operation["responses"])
            yield from _example(operation["responses"])


def _parameters(parameters: list[Mapping[str, Any]]) -> Iterator[str]:
    if parameters:
        yield "<table>"
        for one in parameters:
            needed = "required" if one.get("required") else _default(one["schema"])
            described = one.get("description") or one["schema"].get("description", "")
            yield _row(f"<code>{escape(one['name'])}</code>", needed, escape(described))
        yield "</table>"


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return "" if default in (None, "") else escape(f"default {default}")


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"]["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][name]
        required = schema.get("required", [])
        yield "<p>JSON body</p><table>"
        for field, one in schema["properties"].items():
            needed = "required" if field in required else _default(one)
            yield _row(f"<code>{escape(field)}</code>", needed, escape(one.get("description", "")))
        yield "</table>"


def _answers(responses: Mapping[str, Any]) -> Iterator[str]:
    answers = [
        f"{status} {escape(one['description'])}"
        for status, one in responses.items()
        if status != "default"
    ]
    yield f"<p>Answers: {' · '.join(answers)}</p>"


def _headers(responses: Mapping[str, Any]) -> Iterator[str]:
    headers = responses.get("200", {}).get("headers", {})
    if headers:
        yield "<p>Headers of files</p><table>"
        for name, one in headers.items():
            yield _row(f"<code>{escape(name)}</code>", escape(one["description"]))
        yield "</table>"


def _example(responses: Mapping[str, Any]) -> Iterator[str]:
    content = responses.get("200", {}).get("content", {}).get("application/json", {})
    if "example" in content:
        text = json.dumps(content["example"], ensure_ascii=False, indent=2)
        yield f"<details><summary>Example</summary><pre>{escape(text)}</pre></details>"


def _prose(text: str) -> str:
    """Text of the document, which is Markdown; of that it has code alone."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
