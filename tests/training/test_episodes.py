"""Rollouts whose answers the caller gives, and rollouts with models of their own."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from test_rollouts import Adder

from nemo_gym import ask
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.training import CollectedRollout, Rollouts
from nemo_gym.training.episodes import Episode
from nemo_gym.training.rollout_models import RolloutModels
from nemo_gym.wire.errors import ModelRejected, UsageError
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.params import input_items
from nemo_gym.wire.response import Response

models = RolloutModels()


class Watched(Adder):
    """Knows how many of its sessions are open."""

    open = 0

    async def seed(self, task: Any, session: Any) -> None:
        Watched.open += 1

    async def close(self, session: Any) -> None:
        Watched.open -= 1


class Broken(Adder):
    """Its verifier fails."""

    async def verify(self, task: Any, response: Response, session: Any) -> float:
        raise RuntimeError("the judge is away")


def call(a: int) -> Response:
    return Response.of([function_call("add", f'{{"a": {a}, "b": 2}}', call_id="c1")])


def say(text: str) -> Response:
    return Response.of([assistant(text)])


async def test_the_caller_answers_turn_by_turn_while_others_do() -> None:
    async with Rollouts(Adder, model=models) as gym:
        rows = gym.own_tasks(n=3)
        episodes = [Episode(partial(models.collect, gym, row)) for row in rows]
        firsts: list[Any] = await asyncio.gather(*(one.begin() for one in episodes))
        seconds: list[Any] = [await one.answer(call(place)) for place, one in enumerate(episodes)]
        lasts = [
            await one.answer(say(input_items(turn)[-1]["output"]))
            for one, turn in zip(episodes, seconds, strict=True)
        ]

    assert [input_items(turn)[0]["content"] for turn in firsts] == [f"{a} + 2 = ?" for a in range(3)]
    assert [turn["tools"][0]["name"] for turn in firsts] == ["add"] * 3
    assert [input_items(turn)[-1]["output"] for turn in seconds] == ["2", "3", "4"]
    assert [one.reward for one in lasts if isinstance(one, CollectedRollout)] == [1.0] * 3


async def test_a_caller_that_gives_up_has_the_rollout_scored_as_it_is() -> None:
    async with Rollouts(Adder, model=models) as gym:
        episode = Episode(partial(models.collect, gym, gym.own_tasks(n=1)[0]))
        await episode.begin()
        await episode.answer(call(0))
        rollout = await episode.give_up()

    assert rollout.reward == 0.0
    assert rollout.outcome == "context_overflow"


async def test_an_episode_that_is_closed_early_fails_and_closes_its_session() -> None:
    async with Rollouts(Watched, model=models) as gym:
        episode = Episode(partial(models.collect, gym, gym.own_tasks(n=1)[0]))
        await episode.aclose()
        await episode.begin()
        assert Watched.open == 1
        await episode.aclose()
        assert Watched.open == 0
        await episode.aclose()


async def test_a_rollout_that_fails_ends_the_episode_without_a_reward() -> None:
    async with Rollouts(Broken, model=models) as gym:
        episode = Episode(partial(models.collect, gym, gym.own_tasks(n=1)[0]))
        await episode.begin()
        rollout = await episode.answer(say("2"))

    assert isinstance(rollout, CollectedRollout)
    assert rollout.reward is None
    assert "the judge is away" in str(rollout.failure)


async def test_a_task_that_does_not_fit_raises_at_the_first_turn() -> None:
    async with Rollouts(Adder, model=models) as gym:
        row = {"responses_create_params": ask("?"), "a": "many"}
        with pytest.raises(UsageError, match="task 1 of"):
            await Episode(partial(models.collect, gym, row)).begin()


async def test_each_rollout_asks_its_own_model() -> None:
    def saying(text: str) -> ScriptedModel:
        return ScriptedModel(lambda _: text)

    async with Rollouts(Adder, model=models) as gym:
        rows = gym.own_tasks(n=6)
        rollouts = await asyncio.gather(
            *(models.collect(gym, row, saying(str(place + 2))) for place, row in enumerate(rows))
        )
        with pytest.raises(ModelRejected, match="only inside a rollout"):
            await models.responses(ask("?"))

    assert [one.reward for one in rollouts] == [1.0] * 6
    assert not any("_ng_model_number" in one.row for one in rollouts)


def test_ordinary_code_plays_an_episode_in_the_loop_of_with() -> None:
    with Rollouts(Adder, model=models) as gym:
        episode = Episode(partial(models.collect, gym, gym.own_tasks(n=1)[0]))
        gym.start(episode.begin()).result()
        rollout = gym.start(episode.answer(say("2"))).result()

    assert isinstance(rollout, CollectedRollout)
    assert rollout.reward == 1.0
    with pytest.raises(UsageError, match="needs `with"):
        gym.start(asyncio.sleep(0))
