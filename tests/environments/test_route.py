"""Methods that a server answers at paths of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from nemo_gym import Environment, route, tool
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.route import bind_routes
from nemo_gym.wire.errors import UsageError


class Form(msgspec.Struct):
    n: int


def environment_with(path: Any, method: Callable[..., Any]) -> Environment:
    return type("Own", (Environment,), {"own": route(path)(method)})()


def answer(self: Any, body: Form) -> Form:
    """Say the number again.

    More words."""
    return body


def test_a_route_has_the_forms_of_its_method() -> None:
    (bound,) = bind_routes(environment_with("/v2/say-again", answer))
    assert (bound.path, bound.summary, bound.body, bound.answer) == (
        "/v2/say-again",
        "Say the number again.",
        Form,
        Form,
    )
    assert bound.function(Form(3)) == Form(3)


def test_a_subclass_replaces_a_route() -> None:
    class Below(type(environment_with("/again", answer))):
        @route("/other")
        def own(self, body: Form) -> int:
            return body.n

    assert [bound.path for bound in LocalEnvironment(Below()).routes] == ["/other"]


@pytest.mark.parametrize(
    "path",
    [
        "/verify",
        "/seed_session",
        "/step",
        "/mcp/x",
        "/openapi.json",
        "/docs",
        "/ng-rollout/1/x",
        "/aggregate_metrics",
    ],
)
def test_a_path_of_every_environment_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match=r"test_route.py:\d+: route .*every server of an environment"):
        LocalEnvironment(environment_with(path, answer))


@pytest.mark.parametrize(
    "path", ["compare", "/", "", "/a//b", "/a/", "/{tool}", "/a b", "/ä", "/" + "a" * 65, None]
)
def test_a_path_must_be_plain(path: Any) -> None:
    with pytest.raises(UsageError, match="write a path such as '/compare'"):
        bind_routes(environment_with(path, answer))


def test_the_path_of_a_tool_or_of_another_route_is_refused() -> None:
    class Twice(Environment):
        @tool
        def add(self) -> int:
            """Add."""
            return 1

        @route("/first")
        def first(self, body: Form) -> int:
            return 1

    with pytest.raises(UsageError, match="the tool add has this path already"):
        LocalEnvironment(type("Own", (Twice,), {"own": route("/add")(answer)})())
    with pytest.raises(UsageError, match="the method first has this path already"):
        LocalEnvironment(type("Own", (Twice,), {"own": route("/first")(answer)})())


def two(self: Any, body: Form, other: Form) -> Form:
    return body


def untyped(self: Any, *body: Form) -> Form:
    return body[0]


untyped.__annotations__.pop("body")


def unreadable(self: Any, body: Callable[[], int]) -> Form:
    return Form(1)


@pytest.mark.parametrize(
    ("method", "problem"),
    [(two, "self, body: Form"), (untyped, "self, body: Form"), (unreadable, "Callable")],
)
def test_a_method_must_have_one_form(method: Callable[..., Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        bind_routes(environment_with("/own", method))
