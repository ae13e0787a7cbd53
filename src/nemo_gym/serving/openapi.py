"""An OpenAPI 3.1 document from the routes of an app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nemo_gym import __version__

Handler = Callable[[Request], Awaitable[Response]]
Schema = Mapping[str, Any]
"""A JSON Schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: Literal["GET", "POST"] = "POST"
    summary: str = ""
    body: Schema | None = None
    """The schema of the request's JSON body; None for a request without a body."""
    answer: Schema = field(default_factory=dict[str, Any])
    """The schema of the answer with status 200."""
    errors: Mapping[int, str] = field(default_factory=dict[int, str])
    """The meaning of the route's own error statuses."""
    media_type: str = "application/json"


class ApiRoute(Route):
    """A route with its description for the OpenAPI document.

    Args:
        operations: the operations by path, for a route with parameters; by default one for `path`.
    """

    def __init__(
        self,
        path: str,
        handler: Handler,
        *,
        method: Literal["GET", "POST"] = "POST",
        summary: str = "",
        body: Schema | None = None,
        answer: Schema | None = None,
        errors: Mapping[int, str] | None = None,
        operations: Mapping[str, Operation] | None = None,
    ) -> None:
        super().__init__(path, handler, methods=[method])
        own = Operation(method=method, summary=summary, body=body, answer=answer or {}, errors=errors or {})
        self.operations = {path: own} if operations is None else operations


def openapi_document(title: str, routes: Iterable[BaseRoute], about: Mapping[str, Any]) -> dict[str, Any]:
    """The document of all `ApiRoute`s."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Problems": _PROBLEMS}
    for route in routes:
        for path, operation in route.operations.items() if isinstance(route, ApiRoute) else ():
            prefix = path.strip("/").replace("/", ".")
            paths.setdefault(path, {})[operation.method.lower()] = _hoist(
                _operation(operation), prefix, schemas
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__, "x-nemo-gym": about},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": _answer("Done", operation.answer, operation.media_type)}
    for status, meaning in operation.errors.items():
        responses[str(status)] = _answer(meaning, {})
    description: dict[str, Any] = {"summary": operation.summary, "responses": responses}
    if operation.body is not None:
        description["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": operation.body}},
        }
        responses["422"] = _answer("The body can't be used", {"$ref": "#/components/schemas/Problems"})
    return description


def _hoist(value: Any, prefix: str, schemas: dict[str, Any]) -> Any:
    """The value without `$defs`, which move to `schemas` so that references find them."""
    if isinstance(value, list):
        return [_hoist(item, prefix, schemas) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    for name, schema in fields.get("$defs", {}).items():
        schemas[f"{prefix}.{name}"] = _hoist(schema, prefix, schemas)
    new_fields = {key: _hoist(item, prefix, schemas) for key, item in fields.items() if key != "$defs"}
    reference = new_fields.get("$ref")
    if isinstance(reference, str):
        new_fields["$ref"] = reference.replace("#/$defs/", f"#/components/schemas/{prefix}.")
    return new_fields


def _answer(meaning: str, schema: Schema, media_type: str = "application/json") -> dict[str, Any]:
    return {"description": meaning, "content": {media_type: {"schema": schema}}}


_PROBLEMS: Final = {
    "type": "object",
    "properties": {
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"},
                    "input": {},
                },
                "required": ["type", "loc", "msg"],
            },
        }
    },
    "required": ["detail"],
}
