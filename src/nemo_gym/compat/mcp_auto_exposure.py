"""Offers the tool routes of a resources server over MCP when `expose_tools_over_mcp` is set."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast, get_origin

from fastapi import FastAPI, params
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, TypeAdapter

from nemo_gym.compat.config_types import ConfigError
from nemo_gym.compat.mcp_routes import RouteTools, with_access, with_own_names
from nemo_gym.compat.running import cookie_secret
from nemo_gym.serving.limits import Limits
from nemo_gym.serving.mcp import PATH, ToolServer
from nemo_gym.serving.mcp import TOKEN_HEADER as TOKEN_HEADER
from nemo_gym.serving.mcp_routes import tool_routes
from nemo_gym.wire.params import FunctionTool

RESERVED: Final = frozenset(
    {"seed_session", "verify", "aggregate_metrics", "reverify_mode", "reset", "step", "close", "mcp"}
)
"""Routes that are not tools."""


class ExposureError(ConfigError, ValueError):
    """The tools of this server can't be offered over MCP."""


@dataclass(frozen=True, slots=True)
class HarvestedTool:
    """A route as a tool."""

    name: str
    description: str
    schema: dict[str, Any]
    route: APIRoute

    @property
    def function(self) -> FunctionTool:
        """The tool as a model sees it."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.schema,
            "strict": False,
        }


@dataclass(frozen=True, slots=True)
class CatchAll:
    """The one route that takes any tool name."""

    route: APIRoute

    def tool(
        self, name: str, schema: dict[str, Any] | None = None, description: str | None = ""
    ) -> HarvestedTool:
        """A tool of this name whose calls go to this route."""
        return HarvestedTool(name, description or "", schema or _ANYTHING, self.route)


class ExposingServer(Protocol):
    """The parts of a server that decide about its tools."""

    config: Any

    def mcp_tools(
        self, harvested: list[HarvestedTool], catchall: CatchAll | None
    ) -> list[HarvestedTool] | None: ...

    def mcp_allowed_tools_for_session(self, seed_body: dict[str, Any]) -> list[str] | None: ...


def maybe_auto_expose(server: ExposingServer, app: FastAPI) -> dict[str, HarvestedTool] | None:
    """Offer the server's tools at `/mcp` of its app, if its configuration sets `expose_tools_over_mcp`.

    Returns the tools by name, or None where the server offers none over MCP.

    Raises:
        ExposureError: a tool can't be offered; the message says why.
        UsageError: the MCP SDK is not installed.
    """
    if not getattr(server.config, "expose_tools_over_mcp", False):
        return None
    name: str = server.config.name
    routes = api_routes(app)
    tools = server.mcp_tools(harvest(routes), _catch_all(name, routes)) or []
    if problems := [*_app_problems(app), *_tool_problems(tools)]:
        raise ExposureError("\n".join(f"{name}: expose_tools_over_mcp: {problem}" for problem in problems))
    if not tools:
        return {}
    by_name = {tool.name: tool for tool in tools}
    source = RouteTools(app, {tool.name: tool.route for tool in tools}, [tool.function for tool in tools])
    tools = ToolServer(name, source, cookie_secret())
    for route in routes:
        if route.path == "/seed_session":
            route.app = with_access(tools, route.app, server.mcp_allowed_tools_for_session)
        elif route.path == "/verify":
            route.app = with_own_names(tools, route.app)
    app.router.routes[:0] = tool_routes(tools, body_bytes=Limits().body_bytes)
    return by_name


def api_routes(app: FastAPI) -> list[APIRoute]:
    """The routes of the app and of the routers that it includes, with their paths in the app."""
    return [
        cast("APIRoute", context.original_route if context.original_route in app.routes else context)
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute)
    ]


def harvest(routes: Iterable[APIRoute]) -> list[HarvestedTool]:
    """The `POST /<name>` routes without a parameter in the path and without another meaning."""
    return [
        HarvestedTool(
            name=route.path[1:],
            description=inspect.getdoc(route.endpoint) or "",
            schema=_schema(route),
            route=route,
        )
        for route in routes
        if "POST" in (route.methods or ())
        and "{" not in route.path
        and "/" not in route.path[1:]
        and route.path[1:] not in RESERVED
    ]


_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_PARAMETER: Final = re.compile(r"/\{(\w+)(?::path)?\}")
_ANYTHING: Final[dict[str, Any]] = {"type": "object", "additionalProperties": True}


def _catch_all(server: str, routes: Iterable[APIRoute]) -> CatchAll | None:
    matches = [
        route for route in routes if "POST" in (route.methods or ()) and _PARAMETER.fullmatch(route.path)
    ]
    if len(matches) > 1:
        paths = " and ".join(route.path for route in matches)
        raise ExposureError(f"{server}: expose_tools_over_mcp: both {paths} take any tool name")
    return CatchAll(matches[0]) if matches else None


def _schema(route: APIRoute) -> dict[str, Any]:
    kind = cast("Any", route.body_field.field_info.annotation) if route.body_field is not None else None
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return _ANYTHING
    return TypeAdapter(kind).json_schema()


def _app_problems(app: FastAPI) -> Iterator[str]:
    paths = [context.path or "" for context in iter_route_contexts(app.routes)]
    if any(path == PATH or path.startswith(f"{PATH}/") for path in paths):
        yield f"the app already serves {PATH}"
    if "/seed_session" not in (getattr(route, "path", "") for route in app.routes):
        yield "the app has no /seed_session, whose answer carries the session's token"
    for middleware in app.user_middleware:
        module: str = getattr(middleware.cls, "__module__", "")
        if module.partition(".")[0] != "nemo_gym":
            kind = getattr(middleware.cls, "__name__", middleware.cls)
            yield f"calls over MCP would bypass the middleware {kind}"


def _tool_problems(tools: list[HarvestedTool]) -> Iterator[str]:
    names = [tool.name for tool in tools]
    for name in dict.fromkeys(names):
        if not _NAME.fullmatch(name):
            yield f"{name!r} can't be the name of a tool: it has letters, digits, _ and -"
        if name in RESERVED:
            yield f"{name!r} can't be the name of a tool: its route has another meaning"
        if names.count(name) > 1:
            yield f"there are {names.count(name)} tools named {name!r}"
    for route in {id(tool.route): tool.route for tool in tools}.values():
        for problem in _route_problems(route):
            yield f"{route.path} {problem}, which a call over MCP can't give"


def _route_problems(route: APIRoute) -> Iterator[str]:
    takes = route.dependant
    for kind, fields in (
        ("query", takes.query_params),
        ("header", takes.header_params),
        ("cookie", takes.cookie_params),
    ):
        for one in fields:
            yield f"takes {one.name!r} from the {kind}"
    if takes.dependencies:
        yield "has dependencies"
    if any(
        parameter.kind in _VARIABLE for parameter in inspect.signature(route.endpoint).parameters.values()
    ):
        yield "takes variable arguments"
    for one in takes.path_params:
        if one.field_info.annotation is not str:
            yield f"takes {one.name!r} from the path as something other than str"
    if len(takes.body_params) > 1:
        yield "takes several bodies"
    for one in takes.body_params:
        info = one.field_info
        if isinstance(info, params.Form) or getattr(info, "embed", False):
            yield f"takes {one.name!r} as a part of the body"
        elif not info.is_required() or not _is_object(info.annotation):
            yield f"takes a body {one.name!r} that is optional, or neither one model nor a dict"


_VARIABLE: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _is_object(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, BaseModel | dict)
