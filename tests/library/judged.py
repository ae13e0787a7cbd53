"""Play rollouts of environments that ask a judge, with a judge that reads the prompt of the real path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from nemo_gym import collect
from nemo_gym.environments.base import Environment
from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.conformance.stand_in import answer_as, stand_ins
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.items import assistant
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row
from tests.library.replaying import recorded_hacks

Judge = Callable[[dict[str, str]], str]
"""The text of a judge for the blocks of its prompt, by their names."""


def failures_of_check(kind: type[Environment]) -> list[Any]:
    report = asyncio.run(check_environment(kind))
    return [result for result in report.results if not result.passed]


def wrong_redteam_lines(environment: Environment) -> list[tuple[str, float, Any]]:
    """The recorded hacks that earn something else than their line says."""
    return asyncio.run(_wrong_redteam_lines(environment))


async def _wrong_redteam_lines(environment: Environment) -> list[tuple[str, float, Any]]:
    link = LocalEnvironment(environment, resources=stand_ins(environment.asks))
    low, high = environment.reward_range
    wrong: list[tuple[str, float, Any]] = []
    for line in recorded_hacks(environment):
        answer_as(line.get("models", {}))
        async with link.session(line["task"]) as session:
            reward = await link.verify(session, Response.of([assistant(line["output"])]))
        expected = {"zero": low, "full": high}.get(line["expected"], line["expected"])
        if reward.value != expected:
            wrong.append((line["name"], reward.value, expected))
    return wrong


def rows_of(
    environment: Environment, rows: Iterable[Row], answers: Iterable[str], judge: Judge | None, **options: Any
) -> list[Row]:
    """The rows of one rollout for each task, with these answers in the order of the tasks."""
    texts = iter(answers)

    async def collected() -> list[Row]:
        models = {"judge": ScriptedModel(partial(_answer, judge))} if judge else {}
        model = ScriptedModel(lambda _: next(texts))
        rollouts = collect(environment, model, list(rows), models=models, **options)
        return [rollout.to_row() async for rollout in rollouts]

    return asyncio.run(collected())


def _answer(judge: Judge, params: Any) -> str:
    return judge(blocks(params))


def example_rows(environment: Environment, n: int = 200) -> list[Row]:
    return [msgspec.to_builtins(task) for task in environment.tasks("test", 0, n)]


def oracle_rows(environment: Environment, judge: Judge | None) -> list[Row]:
    """The rows of 200 test tasks that the oracle answers."""
    tasks: list[Any] = list(environment.tasks("test", 0, 200))
    assert len(tasks) == 200
    session: Any = None
    texts = [str(environment.oracle(task, session)) for task in tasks]
    return rows_of(environment, map(msgspec.to_builtins, tasks), texts, judge, concurrency=1)


def blocks(params: Any) -> dict[str, str]:
    """The blocks of a judge's prompt."""
    texts: dict[str, str] = {}
    name = code = ""
    for line in params["input"][-1]["content"].split("\n"):
        if not code and line.startswith("BEGIN "):
            name, _, code = line.removeprefix("BEGIN ").rpartition(" ")
            texts[name] = ""
        elif code and line == f"END {name} {code}":
            code = ""
        elif code:
            texts[name] += f"\n{line}" if texts[name] else line
    return texts
