"""`@route`: a method of an environment that its server answers at a path of its own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from nemo_gym.wire.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

RESERVED: Final = frozenset(
    {"seed_session", "verify", "reset", "step", "close", "aggregate_metrics", "reverify_mode", "mcp"}
    | {"openapi.json", "docs", "stats", "ng-rollout", "data_designer"}
)
"""The first parts of the paths that every server of an environment has."""


def route(path: str) -> Callable[[F], F]:
    """Serve a method of an Environment at `POST <path>`, in addition to the routes of every environment.

    The method has one parameter, whose type hint is the form of the body, a JSON object: a struct of msgspec,
    a dataclass, a `TypedDict` or a dict. The type hint of its result is the form of the answer. The first
    line of the docstring describes it. It may be sync or async; mark it with `@blocking` below `@route` if it
    takes milliseconds. It belongs to no session, and raises `TaskUnfit` for a body that it can't answer.

    Args:
        path: such as `/compare`; it must not be a path or a tool that the server has already.
    """

    def mark(function: F) -> F:
        function.__gym_route__ = path  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True, slots=True)
class BoundRoute:
    """A route of one environment object."""

    path: str
    summary: str
    body: Any
    """The type of the body."""
    answer: Any
    """The type of the answer."""
    function: Callable[..., Any]


def bind_routes(owner: object, tools: Iterable[str] = ()) -> list[BoundRoute]:
    """Every `@route` method of `owner`, in the order of their definitions.

    Args:
        tools: the names of its tools, whose paths are taken.

    Raises:
        UsageError: a method can't be served; the message has its file and line.
    """
    members = {
        name: member
        for parent in reversed(type(owner).__mro__)
        for name, member in vars(parent).items()
        if hasattr(member, "__gym_route__")
    }
    routes: list[BoundRoute] = []
    taken = {f"/{name}": f"the tool {name}" for name in tools}
    for name, member in members.items():
        try:
            bound = _bind(member.__gym_route__, getattr(owner, name))
            if bound.path in taken:
                raise ValueError(f"{taken[bound.path]} has this path already")
        except (TypeError, ValueError, NameError) as error:
            raise UsageError(f"{_place(member)}route {member.__gym_route__!r}: {error}") from error
        taken[bound.path] = f"the method {name}"
        routes.append(bound)
    return routes


_PATH: Final = re.compile(r"(/[A-Za-z0-9_.-]{1,64}){1,8}")


def _bind(path: Any, function: Callable[..., Any]) -> BoundRoute:
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ValueError("write a path such as '/compare': letters, digits, _, . and - after each slash")
    if path.split("/")[1] in RESERVED:
        raise ValueError("every server of an environment has this path: choose another")
    hints = get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 1 or parameters[0] not in hints:
        raise TypeError(
            f"write `def {function.__name__}(self, body: Form)`, with a type hint for the JSON body"
        )
    body, answer = hints[parameters[0]], hints.get("return", Any)
    for form in (body, answer):
        msgspec.json.schema(form)
    return BoundRoute(path, (inspect.getdoc(function) or "").split("\n")[0], body, answer, function)


def _place(member: Any) -> str:
    code = getattr(inspect.unwrap(member), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}: " if code else ""
