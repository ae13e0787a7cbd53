"""The step loop: observation, answer, observation, ... until the environment ends the episode."""

from __future__ import annotations

from typing import Any

from nemo_gym.agents.base import Agent
from nemo_gym.agents.trajectory import Trajectory, outcome_of
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.wire.items import Item, user
from nemo_gym.wire.rollout import Reward, Rollout, keep_partial
from nemo_gym.wire.task import Row


class StepLoop(Agent):
    """Plays a `StepEnvironment`; the sum of step rewards is the reward.

    Args:
        max_steps: answers the model may give; None takes the environment's own limit. Reaching it
            truncates the episode.
        turn_timeout: seconds one model call may take, retries included; None leaves it to the model.
    """

    plays = "steps"

    def __init__(self, *, max_steps: int | None = None, turn_timeout: float | None = None) -> None:
        self.max_steps = max_steps
        self.turn_timeout = turn_timeout

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        async with environment.session(row) as session:
            trajectory = Trajectory(row, session, model.for_session(session), turn_timeout=self.turn_timeout)
            try:
                reward, outcome = await self._play(trajectory, session, environment)
            except BaseException as error:
                keep_partial(error, trajectory.response(), row=trajectory.row)
                raise
        return trajectory.rollout(trajectory.response(), reward, outcome)

    async def _play(
        self, trajectory: Trajectory, session: Session, environment: EnvironmentLink
    ) -> tuple[Reward, str]:
        first = await environment.reset(session)
        if first.text:
            trajectory.open_with(user(first.text))
        info: dict[str, Any] = dict(first.info)
        total, outcome = 0.0, "truncated"
        for _ in range(self.max_steps or environment.max_steps):
            answer = await trajectory.ask()
            if outcome_of(answer) == "context_overflow":
                outcome = "context_overflow"
                break
            step = await environment.step(session, answer)
            total += step.reward
            info |= step.info
            trajectory.items.extend(_tool_outputs(step.info))
            if step.observation:
                trajectory.items.append(user(step.observation))
            if step.terminated or step.truncated:
                outcome = "terminated" if step.terminated else "truncated"
                break
        session.scale.check(total, "the step rewards add up to")
        ended = outcome == "terminated"
        return Reward(total, details={"terminated": ended, "truncated": not ended, "info": info}), outcome


def _tool_outputs(info: dict[str, Any]) -> list[Item]:
    outputs: list[dict[str, str]] = info.get("tool_outputs") or []
    return [
        {"type": "function_call_output", "call_id": output["call_id"], "output": output["output"]}
        for output in outputs
    ]
