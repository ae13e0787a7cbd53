"""Play rollouts without a model: the oracle's, or a recorded one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from nemo_gym.environments.base import Environment, Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.session import Session
from nemo_gym.wire.items import Item, assistant, function_call_output
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row

T = TypeVar("T")


def run_and_close(link: LocalEnvironment, work: Coroutine[Any, Any, T]) -> T:
    """What comes of `work`, in an event loop of its own. The warm sandboxes are closed before the loop is."""

    async def run() -> T:
        try:
            return await work
        finally:
            await link.environment.resources.sandboxes.aclose()

    return asyncio.run(run())


def play_oracle(where: Environment | LocalEnvironment, row: Row, *, max_turns: int = 20) -> Reward:
    """The reward of a rollout in which the environment's own oracle answers, one turn at a time."""
    link = _link(where)
    return run_and_close(link, oracle_reward(link, row, max_turns))


def play(where: Environment | LocalEnvironment, row: Row, output: str | list[Item]) -> Reward:
    """The reward of a trajectory whose tool calls are carried out in order."""
    link = _link(where)
    return run_and_close(link, reward_of(link, row, output))


def play_golden(where: Environment | LocalEnvironment, golden: Golden) -> Reward:
    """The reward of a known case."""
    return play(where, golden.task, cast("str | list[Item]", golden.output))


def expected_reward(where: Environment | LocalEnvironment, golden: Golden) -> float | None:
    """What a known case must earn."""
    low, high = _link(where).environment.reward_range
    if golden.kind == "partial_reward":
        return golden.expected_reward
    return high if golden.kind == "full_reward" else low


async def carry_out(link: LocalEnvironment, session: Session, items: list[Item]) -> list[Item]:
    """`items` with each function call followed by what its tool said."""
    done: list[Item] = []
    for item in items:
        done.append(item)
        if item["type"] == "function_call":
            done.append(function_call_output(item["call_id"], await link.call(session, item)))
    return done


def _link(where: Environment | LocalEnvironment) -> LocalEnvironment:
    return where if isinstance(where, LocalEnvironment) else LocalEnvironment(where)


async def reward_of(link: LocalEnvironment, row: Row, output: str | list[Item]) -> Reward:
    async with link.session(row) as session:
        items = [assistant(output)] if isinstance(output, str) else output
        return await link.verify(session, Response.of(await carry_out(link, session, items)))


async def oracle_reward(link: LocalEnvironment, row: Row, max_turns: int = 20) -> Reward:
    async with link.session(row) as session:
        trajectory: list[Item] = []
        for _ in range(max_turns):
            answer = link.environment.oracle(session.task, session)
            if isinstance(answer, str):
                trajectory.append(assistant(answer))
                return await link.verify(session, Response.of(trajectory))
            assert answer, "the oracle has nothing to say"
            trajectory += await carry_out(link, session, answer)
        raise AssertionError(f"the oracle was not done after {max_turns} turns")
