"""`FixedRewardLink`: an environment link that skips the verifier and gives one fixed reward."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from nemo_gym.environments.base import Observation, Step
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.wire import keys
from nemo_gym.wire.items import FunctionCall
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row


class FixedRewardLink:
    """A link to the same environment, in which every trajectory gets the same reward.

    The rollout has the column `verification_skipped` then. Step environments have no verifier, so their
    rewards do not change.
    """

    def __init__(self, link: EnvironmentLink, *, reward: float = 0.0) -> None:
        self.steps = link.steps
        self.max_steps = link.max_steps
        self._link = link
        self._reward = Reward(reward, details={keys.VERIFICATION_SKIPPED: True})

    def session(self, row: Row) -> AbstractAsyncContextManager[Session]:
        return self._link.session(row)

    async def call(self, session: Session, call: FunctionCall) -> str:
        return await self._link.call(session, call)

    async def reset(self, session: Session) -> Observation:
        return await self._link.reset(session)

    async def step(self, session: Session, action: Response) -> Step:
        return await self._link.step(session, action)

    async def verify(self, session: Session, response: Response) -> Reward:
        return self._reward

    async def aclose(self) -> None:
        await self._link.aclose()
