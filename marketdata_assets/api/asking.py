"""How the question in a URL is read, in microseconds.

Here belongs what lies between a query string and its model, see `questions`. FastAPI reads a model
field by field, which takes as long as finding the rows.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams

Form = TypeVar("Form", bound=BaseModel)


def asked(form: type[Form]) -> Callable[[Request], Awaitable[Form]]:
    """The dependency that reads a question. Raises `RequestValidationError`."""

    async def read(request: Request) -> Form:
        written = request.query_params
        if len(written) < len(written.multi_items()):
            raise _refused(_repeated(written))
        try:
            return form.model_validate(dict(written))
        except ValidationError as error:
            problems = error.errors(include_url=False)
            raise RequestValidationError(
                [{**one, "loc": ("query", *one["loc"])} for one in problems]
            ) from None

    return read


async def nothing_asked(request: Request) -> None:
    """Of endpoints without a question in the URL. Raises `RequestValidationError`."""
    for name in request.query_params:
        hint = "the question is the body" if request.method == "POST" else "there are none here"
        raise _refused(f"No such parameter: {name}; {hint}")


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


def _repeated(written: QueryParams) -> str:
    """Of a parameter that is there twice the last one would pass for all of them."""
    names = [name for name, _ in written.multi_items()]
    name = next(name for name in names if names.count(name) > 1)
    hint = "; of many codes ask POST /api/v1/ohlcv/batch" if name == "code" else ""
    return f"{name} is there {names.count(name)} times: write it once{hint}"


def _refused(why: str) -> RequestValidationError:
    return RequestValidationError([{"type": "refused", "loc": ("query",), "msg": why}])


def _without_references(told: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in told.items() if name not in ("$ref", "description")}
    if "anyOf" in own:
        own["anyOf"] = [_without_references(one, kinds) for one in own["anyOf"]]
    kind = told.get("$ref", "").rpartition("/")[2]
    return {**kinds.get(kind, {}), **own}
