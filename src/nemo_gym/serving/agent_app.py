"""An agent with its environment and model as an agent server."""

from __future__ import annotations

from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request

from nemo_gym.agents.base import Agent
from nemo_gym.agents.model_access import ServedModel
from nemo_gym.environments.fixed_reward import FixedRewardLink
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.models.call_recording import RecordedModel
from nemo_gym.runs.collect import attempt
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app, server_label
from nemo_gym.serving.bodies import params_of, read_object
from nemo_gym.serving.disconnects import cancel_on_disconnect
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.metrics import metrics_of_link, metrics_route, no_metrics
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.rollout_prefix import RolloutTag, rollout_tag
from nemo_gym.serving.schemas import PARAMS, RESPONSE
from nemo_gym.support.time_limit import TimeLimit
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.model_call import find_rollout_id
from nemo_gym.wire.task import Row


def agent_app(
    agent: Agent,
    environment: EnvironmentLink,
    model: Model,
    name: str,
    options: AppOptions,
    *,
    rollout_timeout: float | None = 3600.0,
    skip_verification: bool = False,
    skip_verification_reward: float = 0.0,
    token_capture: bool = False,
    model_ref: str = "",
) -> Starlette:
    """The app of one agent. The caller closes the environment and the model.

    Args:
        name: the instance's name.
        options: its recorders receive the model calls of every row with a rollout id.
        rollout_timeout: seconds one rollout may take; a longer one fails with `rollout_timeout`.
        skip_verification: every rollout gets `skip_verification_reward`; the verifier is not called.
        token_capture: whether the tokens of this agent's calls are captured for training.
        model_ref: the name of the model's instance, for recorded calls.
    """
    fixed_reward = FixedRewardLink(environment, reward=skip_verification_reward)
    target = fixed_reward if skip_verification else environment

    def model_for(request: Request, row: Row) -> Model:
        """The model for one rollout, with its calls recorded. A served model records its calls itself."""
        if not options.captures or isinstance(model, ServedModel):
            return model
        tag = rollout_tag(request.scope)
        try:
            rollout_id = tag.rollout_id if tag else find_rollout_id(row)
        except UsageError as error:
            raise InvalidBody.of(error) from None
        if rollout_id is None:
            return model
        is_captured = token_capture or (tag is not None and tag.token_capture)
        recorder = options.recorder(RolloutTag(rollout_id, is_captured))
        return model if recorder is None else RecordedModel(model, rollout_id, recorder, model_ref=model_ref)

    limit = TimeLimit(rollout_timeout)

    async def run(request: Request) -> JsonResponse:
        body = await read_object(request)
        params_of(body, keys.PARAMS)
        row = {key: value for key, value in body.items() if key not in keys.RESULT_KEYS}
        rollout = await cancel_on_disconnect(
            request, attempt(agent, row, target, model_for(request, row), limit=limit)
        )
        return JsonResponse(rollout.to_row())

    async def responses(request: Request) -> JsonResponse:
        row: Row = {keys.PARAMS: params_of(await read_object(request))}
        rollout = await cancel_on_disconnect(request, agent.run(row, fixed_reward, model_for(request, row)))
        assert rollout.response is not None
        return JsonResponse(rollout.response.data)

    metrics = no_metrics("verification is skipped") if skip_verification else metrics_of_link(environment)
    routes = [
        ApiRoute(
            "/run", run, summary="One rollout of a task row, scored or failed.", body=_ROW, answer=_ROLLOUT
        ),
        ApiRoute(
            "/v1/responses",
            responses,
            summary="Let the agent act, unscored; the whole trajectory is the output.",
            body=PARAMS,
            answer=RESPONSE,
        ),
        metrics_route(metrics),
    ]
    about = {"kind": "agent", "plays": agent.plays}
    return base_app(server_label(agent, name), routes, options, about=about)


_ROW: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {keys.PARAMS: PARAMS},
    "required": [keys.PARAMS],
}
_ROLLOUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        keys.PARAMS: {"type": "object"},
        keys.RESPONSE: {"type": "object"},
        keys.REWARD: {"type": "number"},
        keys.FAILURE_CLASS: {"type": "string"},
        keys.FAILURE_ERROR: {"type": "string"},
    },
    "anyOf": [{"required": [keys.REWARD]}, {"required": [keys.FAILURE_CLASS]}],
}
