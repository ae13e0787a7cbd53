"""`FixedRewardLink`: an environment link that skips the verifier and gives one fixed reward."""

from __future__ import annotations

from nemo_gym.environments.link import EnvironmentLink, WrappedLink
from nemo_gym.environments.session import Session
from nemo_gym.wire import keys
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward


class FixedRewardLink(WrappedLink):
    """A link to the same environment, in which every trajectory gets the same reward.

    The rollout has the column `verification_skipped` then. Step environments have no verifier, so their
    rewards do not change.
    """

    def __init__(self, link: EnvironmentLink, *, reward: float = 0.0) -> None:
        super().__init__(link)
        self._reward = Reward(reward, details={keys.VERIFICATION_SKIPPED: True})

    async def verify(self, session: Session, response: Response) -> Reward:
        return self._reward
