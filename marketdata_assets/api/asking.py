"""How the question in a URL is read, in microseconds.

Here belongs what lies between a query string and its model, see `questions`. FastAPI reads a model
field by field, which takes as long as finding the rows.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Form = TypeVar("Form", bound=BaseModel)


def asked(form: type[Form]) -> Callable[[Request], Awaitable[Form]]:
    """The dependency that reads a question. Raises `RequestValidationError`."""

    async def read(request: Request) -> Form:
        try:
            return form.model_validate(dict(request.query_params))
        except ValidationError as error:
            problems = error.errors(include_url=False)
            raise RequestValidationError(
                [{**one, "loc": ("query", *one["loc"])} for one in problems]
            ) from None

    return read


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
