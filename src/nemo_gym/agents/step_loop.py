"""The step loop: observation, answer, observation, ... until the environment ends the episode."""

from __future__ import annotations

from functools import partial
from typing import Any

from nemo_gym.agents.trajectory import LoopAgent, Trajectory, outcome_of
from nemo_gym.environments.base import Step
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.wire import keys
from nemo_gym.wire.items import Item, user
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward


class StepLoop(LoopAgent):
    """Plays a `StepEnvironment`; the sum of step rewards is the reward.

    Args:
        max_steps: the most answers of the model, after which the episode is truncated; None takes the
            environment's own limit.
        turn_timeout: the most seconds of one model call with its retries; None leaves it to the model.
    """

    plays = "steps"
    keeps_turns = True

    def __init__(self, *, max_steps: int | None = None, turn_timeout: float | None = None) -> None:
        super().__init__(turn_timeout=turn_timeout)
        self.max_steps = max_steps

    async def play(
        self, trajectory: Trajectory, session: Session, environment: EnvironmentLink
    ) -> tuple[Reward, str]:
        first = await environment.reset(session)
        if first.text:
            trajectory.open_with(user(first.text))
        info: dict[str, Any] = dict(first.info)
        rewards: list[float] = []
        outcome = "truncated"
        for _ in range(self.max_steps or environment.max_steps):
            answer = await trajectory.ask()
            if (end := outcome_of(answer)) in ("context_overflow", "session_budget_exhausted"):
                outcome = end
                break
            turn = partial(_step, environment, session, answer)
            step = Step(**await trajectory.environment_turn(turn))
            rewards.append(step.reward)
            info |= step.info
            trajectory.items.extend(_tool_outputs(step.info))
            if step.observation:
                trajectory.items.append(user(step.observation))
            if step.terminated or step.truncated:
                outcome = "terminated" if step.terminated else "truncated"
                break
        total = sum(rewards)
        session.scale.check(total, "the step rewards add up to")
        is_over = outcome == "terminated"
        details: dict[str, Any] = {"terminated": is_over, "truncated": not is_over, "info": info}
        details[keys.STEP_REWARDS] = rewards
        if keys.ASKED_MODELS in info:
            details[keys.ASKED_MODELS] = info.pop(keys.ASKED_MODELS)
        return Reward(total, details=details), outcome


async def _step(environment: EnvironmentLink, session: Session, answer: Response) -> dict[str, Any]:
    return (await environment.step(session, answer))._asdict()


def _tool_outputs(info: dict[str, Any]) -> list[Item]:
    outputs: list[dict[str, str]] = info.get("tool_outputs") or []
    return [
        {"type": "function_call_output", "call_id": output["call_id"], "output": output["output"]}
        for output in outputs
    ]
