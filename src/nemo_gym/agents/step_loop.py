"""The step loop: observation, answer, observation, ... until the environment ends the episode."""

from __future__ import annotations

from time import time

from nemo_gym.agents.base import Agent
from nemo_gym.agents.tool_loop import ask_model, opening_request, outcome_of
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.wire import keys
from nemo_gym.wire.errors import RolloutError
from nemo_gym.wire.items import Item, user
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response, Usage, add_usage
from nemo_gym.wire.rollout import Reward, Rollout, Timing
from nemo_gym.wire.task import Row


class StepLoop(Agent):
    """Plays a `StepEnvironment`; the sum of step rewards is the reward (CONTRACT 2.3, A.6).

    Args:
        max_steps: answers the model may give; None takes the environment's own limit. Reaching it
            truncates the episode.
        turn_timeout: seconds one model call may take, retries included; None leaves it to the model.
    """

    def __init__(self, *, max_steps: int | None = None, turn_timeout: float | None = None) -> None:
        self.max_steps = max_steps
        self.turn_timeout = turn_timeout

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        timing: Timing = {"started_at": time(), "model_s": 0.0, "model_calls": 0}
        async with environment.session(row) as session:
            actor = model.for_session(session)
            first = await environment.reset(session)
            params = opening_request(row, session)
            given = input_items(params) + ([user(first.text)] if first.text else [])
            made: list[Item] = []
            usage: Usage | None = None
            answer = Response.of(made)
            total, outcome, terminated, truncated = 0.0, "truncated", False, False
            info = dict(first.info)
            try:
                for _ in range(self.max_steps or environment.max_steps):
                    request: RequestParams = {**params, "input": given + made}
                    answer = await ask_model(actor, request, timing, self.turn_timeout)
                    made.extend(answer.output)
                    usage = add_usage(usage, answer.usage)
                    if outcome_of(answer) == "context_overflow":
                        outcome, truncated = "context_overflow", True
                        break
                    step = await environment.step(session, answer)
                    total += step.reward
                    info |= step.info
                    made.extend(_tool_outputs(step.info))
                    if step.terminated or step.truncated:
                        terminated, truncated = step.terminated, step.truncated
                        outcome = "terminated" if terminated else "truncated"
                        break
                    if step.observation:
                        made.append(user(step.observation))
                else:
                    truncated = True
            except RolloutError as error:
                error.partial = Response({**answer.data, "output": made, "usage": usage})
                raise
        details = {"terminated": terminated, "truncated": truncated, "info": info}
        shown = {**row, keys.PARAMS: {**params, "input": given}}
        trajectory = Response({**answer.data, "output": made, "usage": usage})
        return Rollout.scored(
            shown, trajectory, Reward(total, details=details), outcome=outcome, timing=timing
        )


def _tool_outputs(info: dict[str, object]) -> list[Item]:
    outputs = info.get("tool_outputs")
    if not isinstance(outputs, list):
        return []
    return [{"type": "function_call_output", **output} for output in outputs]  # type: ignore[misc]
