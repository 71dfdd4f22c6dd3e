"""How the question in a URL is read: strictly, and in microseconds.

Here belongs what lies between a query string and its model. FastAPI reads a model field by field,
which takes longer than finding the rows, and passes over what it does not know.
"""

import difflib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Question = TypeVar("Question", bound=BaseModel)
# What other services call it.
ELSEWHERE = {
    "adj": "adjust",
    "adjustment": "adjust",
    "start_date": "start",
    "end_date": "end",
    "symbol": "code",
    "ts_code": "code",
    "trade_date": "date",
    "columns": "fields",
    "query": "q",
}


def asked(form: type[Question]) -> Callable[[Request], Awaitable[Question]]:
    """The dependency that reads a question. Raises `RequestValidationError`."""

    async def read(request: Request) -> Question:
        query = dict(request.query_params)
        if unknown := [name for name in query if name not in form.model_fields]:
            raise RequestValidationError([_unknown(name, form) for name in unknown])
        try:
            return form.model_validate(query)
        except ValidationError as error:
            problems = error.errors(include_url=False)
            raise RequestValidationError(
                [{**one, "loc": ("query", *one["loc"])} for one in problems]
            ) from None

    return read


def _unknown(name: str, form: type[BaseModel]) -> dict[str, Any]:
    known = list(form.model_fields)
    meant = ELSEWHERE.get(name.lower())
    if meant not in known:
        meant = next(iter(difflib.get_close_matches(name.lower(), known, 1)), None)
    hint = f"did you mean {meant}?" if meant else f"there are: {', '.join(known)}"
    return {"type": "unknown", "loc": ("query", name), "msg": f"no such parameter; {hint}"}


def parameters(form: type[BaseModel]) -> dict[str, Any]:
    """The parameters of a question, for the OpenAPI document: `openapi_extra` of its endpoint."""
    schema = form.model_json_schema()
    kinds, required = schema.get("$defs", {}), schema.get("required", [])
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": told.get("description", ""),
                "schema": _without_references(told, kinds),
            }
            for name, told in schema["properties"].items()
        ]
    }


def _without_references(told: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in told.items() if name not in ("$ref", "description")}
    kind = told.get("$ref", "").rpartition("/")[2]
    return {**kinds.get(kind, {}), **own}
