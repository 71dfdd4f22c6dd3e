"""How the question in a URL is read, in microseconds, and what an endpoint tells of it.

Here belongs what lies between a query string and its model, see `questions`. FastAPI reads a model
field by field, which takes as long as finding the rows.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeAlias, TypeVar

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from marketdata_assets.api.app_state import Responses, may_answer
from marketdata_assets.api.ranges import unless_there

STRING = {"type": "string"}

Form = TypeVar("Form", bound=BaseModel)
Endpoint: TypeAlias = Callable[[Form, Request], Response | Awaitable[Response]]


class QuickRoute(APIRoute):
    """Hands a request to an endpoint `async (request)` by itself: what FastAPI does between the two
    takes longer than a slice."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handle


def endpoint(
    router: APIRouter,
    path: str,
    form: type[Form],
    answer: type[BaseModel],
    *statuses: int,
    more: Responses | None = None,
    of_path: Mapping[str, str] | None = None,
) -> Callable[[Endpoint[Form]], Endpoint[Form]]:
    """Has a function answer questions of a `form` at `path`; in a thread where it is not async.

    The document tells of its `answer`, of errors of the `statuses` and of `more`, and by `of_path`
    of the names in the path. Who asks what does not fit is told by `RequestValidationError`.
    """
    in_path = [
        {"name": name, "in": "path", "required": True, "description": what, "schema": STRING}
        for name, what in (of_path or {}).items()
    ]

    def declare(function: Endpoint[Form]) -> Endpoint[Form]:
        run: Any = function
        if not inspect.iscoroutinefunction(function):
            run = partial(run_in_threadpool, run)

        async def handle(request: Request) -> Response:
            answered: Response = await run(_read(form, request.query_params), request)
            return unless_there(request, answered)

        router.add_api_route(
            path,
            handle,
            name=function.__name__,
            description=inspect.getdoc(function),
            response_model=answer,
            responses={**may_answer(*statuses), **(more or {})},
            openapi_extra={"parameters": [*in_path, *_parameters(form)]},
            route_class_override=QuickRoute,
        )
        return function

    return declare


def _read(form: type[Form], written: QueryParams) -> Form:
    if len(written) < len(written.multi_items()):
        raise _refused(_repeated(written))
    try:
        return form.model_validate(dict(written))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise RequestValidationError(
            [{**one, "loc": ("query", *one["loc"])} for one in problems]
        ) from None


async def nothing_asked(request: Request) -> None:
    """Of endpoints without a question in the URL. Raises `RequestValidationError`."""
    for name in request.query_params:
        has_body = "content-type" in request.headers
        hint = "the question is the body" if has_body else "there are none here"
        raise _refused(f"No such parameter: {name}; {hint}")


def _parameters(form: type[BaseModel]) -> list[dict[str, Any]]:
    """The parameters of a question, for the OpenAPI document."""
    schema = form.model_json_schema()
    kinds, required = schema.get("$defs", {}), schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": told.get("description", ""),
            "schema": _without_references(told, kinds),
        }
        for name, told in schema["properties"].items()
    ]


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
