"""Refinement: an answer that falls short goes back to the model with the verifier's feedback."""

from __future__ import annotations

from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.agents.trajectory import Trajectory
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.wire.items import user
from nemo_gym.wire.rollout import Reward


class Refinement(ToolLoop):
    """Tries again until the reward is high enough. The reward of the last attempt counts.

    The model gets the verifier's `feedback` (a text in the details of its `Reward`), or else the message that
    the answer was not accepted, and nothing else. The rewards of all attempts become the column
    `attempt_rewards`. The environment's `verify` runs once for each attempt, in the same session.

    Args:
        max_corrections: the most attempts after the first.
        enough: the reward that needs no correction.
        max_steps: the most model calls in one attempt.
        tool_timeout: the most seconds of one tool call.
        turn_timeout: the most seconds of one model call with its retries.
    """

    def __init__(
        self,
        *,
        max_corrections: int = 2,
        enough: float = 1.0,
        max_steps: int = 32,
        tool_timeout: float = 60.0,
        turn_timeout: float | None = None,
    ) -> None:
        super().__init__(max_steps=max_steps, tool_timeout=tool_timeout, turn_timeout=turn_timeout)
        self.max_corrections = max_corrections
        self.enough = enough

    async def play(
        self, trajectory: Trajectory, session: Session, environment: EnvironmentLink
    ) -> tuple[Reward, str]:
        reward, outcome = await super().play(trajectory, session, environment)
        rewards = [reward.value]
        for _ in range(self.max_corrections):
            if reward.value >= self.enough or outcome != "completed":
                break
            trajectory.items.append(user(str(reward.details.get("feedback") or _NOT_ACCEPTED)))
            reward, outcome = await super().play(trajectory, session, environment)
            rewards.append(reward.value)
        details = {**reward.details, "attempt_rewards": rewards}
        return Reward(reward.value, reward.components, details), outcome


_NOT_ACCEPTED = "That answer was not accepted. Look for the mistake and answer again."
