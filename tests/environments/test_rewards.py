"""What an environment declares about its rewards, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nemo_gym import Environment, Response, Reward, Session, ask
from nemo_gym.environments.function import environment_of
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.rewards import reward_scale
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire.errors import UsageError, VerifierFault

ROW = {"responses_create_params": ask("?"), "_ng_task_index": 0, "_ng_rollout_index": 0}


class Fixed(Environment):
    """Gives whatever it holds."""

    given: Any = 0.0

    def verify(self, task: Any, response: Response, session: Session) -> Any:
        return self.given


class Declared(Fixed):
    reward_range = (0.0, 3.0)


@pytest.mark.parametrize("ends", [(1.0, 0.0), (0.0, math.inf), (0.0,), "ab", None])
def test_a_wrong_range_of_a_component_is_refused(ends: Any) -> None:
    environment = Fixed()
    environment.reward_components = {"format": ends}  # type: ignore[misc]
    with pytest.raises(UsageError, match=r"reward_components\['format'\]"):
        reward_scale(environment)


async def verdict(environment: Environment) -> Reward:
    link = LocalEnvironment(environment)
    async with link.session(ROW) as session:
        return await link.verify(session, Response.of([]))


def giving(kind: type[Fixed], given: Any, **declared: Any) -> Fixed:
    environment = kind()
    for name, value in {"given": given, **declared}.items():
        setattr(environment, name, value)
    return environment


@pytest.mark.parametrize("given", [3.5, -0.001, {"a": 2.0, "b": 2.0}, Reward(4.0)])
async def test_a_reward_outside_the_declared_range_is_a_verifier_error(given: Any) -> None:
    with pytest.raises(
        VerifierFault, match=r"verify returned .*outside the declared reward_range 0 to 3: clamp"
    ):
        await verdict(giving(Declared, given))


@pytest.mark.parametrize("given", [0, 3.0, True, 3.0 + 1e-10, -1e-10])
async def test_the_ends_belong_to_it_with_room_for_rounding(given: Any) -> None:
    assert (await verdict(giving(Declared, given))).value == given


async def test_a_range_that_nobody_declared_refuses_nothing() -> None:
    assert (await verdict(giving(Fixed, -7.5))).value == -7.5

    def twelve(response: Response) -> float:
        return 12.0

    function = environment_of(twelve)
    assert (await verdict(function())).value == 12.0


async def test_the_object_itself_may_declare_the_range() -> None:
    with pytest.raises(VerifierFault, match="outside the declared reward_range -1 to 0"):
        await verdict(giving(Fixed, 1.0, reward_range=(-1, 0)))


def test_solved_is_the_top_of_the_range_unless_the_environment_says_otherwise() -> None:
    assert reward_scale(Fixed()) == RewardScale(0.0, 1.0, 1.0, declared=False)
    assert reward_scale(Declared()) == RewardScale(0.0, 3.0, 3.0, declared=True)
    assert reward_scale(giving(Declared, 0, solved_at=2)).solved_at == 2.0
    assert reward_scale(giving(Declared, 0, reward_range=(0.0, math.inf))).solved_at == 1.0


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            {"reward_range": (1.0, 0.0)},
            r"fixed: reward_range is \(1\.0, 0\.0\): give two numbers, the lowest",
        ),
        ({"reward_range": (0.0, math.nan)}, "give two numbers"),
        ({"reward_range": (0.0,)}, "give two numbers"),
        ({"reward_range": "01"}, "give two numbers"),
        ({"solved_at": 2.0}, r"fixed: solved_at is 2\.0: give a reward from 0 to 1"),
        ({"solved_at": "all"}, "solved_at is 'all'"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_one_line(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LocalEnvironment(giving(Fixed, 0.0, **declared))


@pytest.mark.parametrize(
    "given",
    [
        *(math.nan, math.inf, -math.inf, 1e150, -1e200, 10**400, "1.0", None, [1.0], b"1", 1j),
        *({"a": math.nan}, {"a": 1e149, "b": 9.5e149}, {"a": "1"}, Reward(math.inf), Reward(10**200)),
    ],
)
@pytest.mark.parametrize("kind", [Fixed, Declared])
async def test_what_no_statistics_can_be_made_of_is_no_reward_whatever_is_declared(
    kind: type[Fixed], given: Any
) -> None:
    with pytest.raises(VerifierFault, match=r"verify returned .*(number|beyond|outside)"):
        await verdict(giving(kind, given))


async def test_a_range_may_have_no_ends_and_one_without_a_top_says_what_is_solved() -> None:
    assert (await verdict(giving(Fixed, 1e9, reward_range=(-math.inf, math.inf)))).value == 1e9
    with pytest.raises(UsageError, match="fixed: reward_range has no top: say solved_at"):
        reward_scale(giving(Fixed, 7.0, reward_range=(5.0, math.inf)))
    assert reward_scale(giving(Fixed, 7.0, reward_range=(5.0, math.inf), solved_at=9.0)).solved_at == 9.0
    with pytest.raises(UsageError, match="give two numbers"):
        reward_scale(giving(Fixed, 7.0, reward_range=(0, 10**400)))
