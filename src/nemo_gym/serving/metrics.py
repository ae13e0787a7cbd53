"""The metrics route of environments and agents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, cast, runtime_checkable

from starlette.requests import Request

from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.runs.aggregate import aggregate_rows
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.bodies import read_object
from nemo_gym.serving.environment_tools import OfferedEnvironment
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.task import Row

Aggregate = Callable[[list[Row]], Awaitable[dict[str, Any]]]
"""Computes `group_level_metrics`, `agent_metrics` and `key_metrics` from the rows of one agent.

It raises UsageError for rows that can't be used.
"""


def metrics_route(aggregate: Aggregate) -> ApiRoute:
    """`POST /aggregate_metrics`."""

    async def handler(request: Request) -> JsonResponse:
        body = await read_object(request)
        rows = body.get("verify_responses")
        if not isinstance(rows, list):
            raise InvalidBody.at(["verify_responses"], "Input should be a list", type="list_type")
        for place, row in enumerate(cast("list[object]", rows)):
            if not isinstance(row, dict):
                raise InvalidBody.at(
                    ["verify_responses", place], "Input should be an object", type="dict_type"
                )
        try:
            return JsonResponse(await aggregate(cast("list[Row]", rows)))
        except UsageError as error:
            raise InvalidBody.of(error, "verify_responses") from None

    return ApiRoute(
        "/aggregate_metrics",
        handler,
        summary="The metrics of the rollouts of one agent.",
        body=_BODY,
        answer=_METRICS,
    )


@runtime_checkable
class MetricsLink(Protocol):
    """A link to an environment elsewhere that computes its metrics."""

    async def aggregate_metrics(self, rows: list[Row]) -> dict[str, Any]: ...


def metrics_of_link(link: EnvironmentLink) -> Aggregate:
    """Computes the metrics of a link's environment, here or elsewhere."""
    if isinstance(link, LocalEnvironment | OfferedEnvironment):
        return metrics_of(link.environment)
    return link.aggregate_metrics if isinstance(link, MetricsLink) else _plain


def no_metrics(why: str) -> Aggregate:
    """Returns no metrics, and the reason as a warning."""

    async def aggregate(_: list[Row]) -> dict[str, Any]:
        return {"group_level_metrics": [], "agent_metrics": {}, "key_metrics": {}, "warning": why}

    return aggregate


def metrics_of(environment: Environment) -> Aggregate:
    """Computes the metrics in a thread of this process, with those of the environment itself."""

    async def aggregate(rows: list[Row]) -> dict[str, Any]:
        key = environment.answer_key
        return await asyncio.to_thread(aggregate_rows, rows, answer_key=key, hooks=environment)

    return aggregate


async def _plain(rows: list[Row]) -> dict[str, Any]:
    return await asyncio.to_thread(aggregate_rows, rows)


_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "verify_responses": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    keys.TASK_INDEX: {"type": "integer", "minimum": 0},
                    keys.REWARD: {"type": "number"},
                },
                "required": [keys.TASK_INDEX, keys.REWARD],
            },
        }
    },
    "required": ["verify_responses"],
}
_METRICS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "group_level_metrics": {"type": "array", "items": {"type": "object"}},
        "agent_metrics": {"type": "object"},
        "key_metrics": {"type": "object"},
    },
    "required": ["group_level_metrics", "agent_metrics", "key_metrics"],
}
