"""What guardrails did in a model call, as the call's last item has it beside its token ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NotRequired, TypedDict, cast

from nemo_gym.wire.items import Item
from nemo_gym.wire.json_values import objects_of
from nemo_gym.wire.response import Response

RAIL_CHECKS: Final = "guardrails"
"""The field of the last item of a model call: a list of `RailCheck`."""


class RailCheck(TypedDict):
    """The result of the rails on one side of the model."""

    stage: Literal["input", "output"]
    status: Literal["passed", "modified", "blocked"]
    rail: NotRequired[str]
    """The name of the rail that blocked."""
    sampled_text: NotRequired[str]
    """The text that the model sampled, where the answer has another one."""
    config_id: NotRequired[str]


def put_checks(response: Response, checks: list[RailCheck]) -> None:
    """Put the checks of a call on its last item."""
    if response.output:
        cast("dict[str, Any]", response.output[-1])[RAIL_CHECKS] = checks


def rail_checks(items: Iterable[Item | Mapping[str, Any]]) -> list[RailCheck]:
    """The checks of all calls of a trajectory, in order."""
    return [
        cast("RailCheck", check)
        for item in items
        for check in objects_of(cast("Mapping[str, Any]", item).get(RAIL_CHECKS))
    ]


def blocking_check(items: Iterable[Item | Mapping[str, Any]]) -> RailCheck | None:
    """The first check that blocked; None when none did."""
    return next((check for check in rail_checks(items) if check.get("status") == "blocked"), None)
