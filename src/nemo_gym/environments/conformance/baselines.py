"""Plays the oracle and an answer without content, to see their mean rewards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.environments.conformance.drawing import rows_to_play
from nemo_gym.environments.conformance.judging import Findings
from nemo_gym.environments.conformance.replay import Script, Stage, Trace, stage
from nemo_gym.environments.conformance.stand_in import Answers
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.rewards import floor_of, pays
from nemo_gym.wire.items import Item, assistant
from nemo_gym.wire.task import Row


async def baselines(
    factory: Callable[[], Environment],
    findings: Findings,
    *,
    tasks: int,
    seed: int,
    supply: Callable[[], Resources] | None = None,
    right: Answers,
    wrong: Answers,
) -> None:
    """Compare the mean rewards of both with the reward range, over tasks of the split `test`.

    Args:
        factory: builds a new environment object.
        findings: gets a problem, or a note with the means.
        tasks: the most tasks.
        seed: the seed of the tasks and the sessions.
        supply: creates the resources; None supplies stand-ins, if the environment needs a model.
        right: the answers of the stand-ins about the oracle.
        wrong: those about the answer without content.
    """
    if supply is None and not list(factory().needed_models()):
        supply = Resources
    async with stage(factory, seed, supply) as on:
        split, rows = rows_to_play(on.environment, seed, tasks)
        if not rows:
            findings.note("baselines", "no tasks of its own")
            return
        oracle = await on.play_all([Script("the oracle", row, None, right) for row in rows])
        null = await on.play_all([_null(on, row, index, wrong) for index, row in enumerate(rows)])
    _judge(on.environment, f"{len(rows)} {split} tasks", oracle, null, findings)


def _judge(
    environment: Environment, where: str, oracle: list[Trace], null: list[Trace], findings: Findings
) -> None:
    low, high = environment.reward_range
    floor = floor_of(environment.reward_range)
    notes: list[str] = []
    if all(trace.has_answer for trace in oracle):
        mean = _mean(oracle, low)
        notes.append(f"oracle {mean:.3g}")
        if environment.oracle_exception:
            notes.append(f"exception: {environment.oracle_exception}")
        elif mean < high - (1 - ORACLE_LEAST) * (high - floor):
            promise = f"promised: the oracle earns {high:g}, or oracle_exception says why not"
            findings.add("baselines", f"{promise}; seen: {mean:.3g} in {where}")
    else:
        notes.append("the oracle has no answer")
    mean = _mean(null, low)
    notes.append(f"no content {mean:.3g}")
    if environment.null_exception:
        notes.append(f"exception: {environment.null_exception}")
    elif pays(mean, environment.reward_range):
        promise = "promised: an answer without content earns nothing, or null_exception says why it does"
        findings.add("baselines", f"{promise}; seen: {mean:.3g} in {where}")
    findings.note("baselines", f"{where}: {'; '.join(notes)}")


def _null(on: Stage, row: Row, index: int, models: Answers) -> Script:
    text = NULL_TEXTS[index % len(NULL_TEXTS)]
    steps = on.environment.max_steps if isinstance(on.environment, StepEnvironment) else 1
    answers: list[Item] = [assistant(text)] * steps
    return Script("an answer without content", row, answers, models)


def _mean(traces: list[Trace], low: float) -> float:
    """The mean reward, where an error counts as the lowest reward."""
    return sum(trace.reward.value if trace.reward else low for trace in traces) / len(traces)


NULL_TEXTS: Final = ("", "I don't know.")
"""The texts of the answers without content, for the tasks in turn."""
ORACLE_LEAST: Final = 0.99
"""The least mean reward of the oracle, as a part of the top reward."""
