"""Checks that an environment keeps the promises of every environment, for `gym env check NAME`."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from nemo_gym.environments.base import Environment, Golden
from nemo_gym.environments.conformance import judging
from nemo_gym.environments.conformance.baselines import baselines
from nemo_gym.environments.conformance.drawing import (
    SPLITS,
    Drawn,
    difference,
    draw,
    draw_elsewhere,
    twins,
)
from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS, hostile_calls
from nemo_gym.environments.conformance.judging import CheckResult as CheckResult
from nemo_gym.environments.conformance.judging import Findings
from nemo_gym.environments.conformance.replay import Script, Stage, as_items, stage
from nemo_gym.environments.conformance.stand_in import Answers
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.tool import bind_tools
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.exception_text import message_of, origin
from nemo_gym.wire.items import Item, assistant
from nemo_gym.wire.params import check_params
from nemo_gym.wire.task import Row, task_from_row


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The results of all checks of one environment."""

    environment: str
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)


async def check_environment(
    factory: Callable[[], Environment],
    *,
    tasks: int = 8,
    baseline_tasks: int = 8,
    seed: int = 0,
    supply: Callable[[], Resources] | None = None,
) -> CheckReport:
    """Check an environment against every promise; `judging.CHECKS` has their names.

    Args:
        factory: builds a new environment object; it is called several times.
        tasks: how many tasks of each split are drawn, and how many of them the oracle plays.
        baseline_tasks: on how many tasks the oracle's mean reward and that of an empty answer are measured.
        seed: the seed of the tasks and the sessions.
        supply: creates the resources of an environment object. None supplies stand-ins for the models that it
            asks; they answer as a golden case says, or else `NO_ANSWER`.

    Raises:
        UsageError: the factory refuses a setting.
    """
    environment = factory()
    try:
        bind_tools(environment)
    except (TypeError, NameError) as error:
        problem = CheckResult("tools", False, f"the tools can't be read: {error}")
        return CheckReport(environment.name(), (problem,))
    findings = Findings()
    state = random.getstate()
    golden = _golden_scripts(environment, findings)
    drawn = await _draw(factory, environment, seed, tasks, findings)
    changed = "tasks" if random.getstate() != state else None
    rows = [row for split in SPLITS for row in drawn.get(split, [])][:tasks]
    right, wrong = (_answers(golden, kind) for kind in ("full_reward", "zero_reward"))
    oracle = [_script(f"oracle of task {n}", row, None, 1000 + n, right) for n, row in enumerate(rows)]
    scripts = [*(script for _, script in golden), *oracle]

    async with stage(factory, seed, supply) as first_stage:
        played = await first_stage.play_all(scripts)
        hostile = await first_stage.play_all(_hostile_scripts(first_stage, scripts, wrong))
    by_script = {trace.script.name: trace for trace in played}
    first = [trace for trace in played if trace.has_answer or trace.script.output is not None]
    scripts = [trace.script for trace in first]
    async with stage(factory, seed, supply) as second_stage:
        second = await second_stage.play_all(scripts)
    async with stage(factory, seed, supply) as third_stage:
        third = await third_stage.play_all(scripts, verify_twice=True)
    async with stage(factory, seed, supply) as crowded_stage:
        copies = max(2, min(8, 32 // max(1, len(scripts))))
        crowded = await crowded_stage.play_at_once(scripts * copies)
    if random.getstate() != state:
        changed = changed or first_stage.watch.changed_random or crowded_stage.watch.changed_random
        changed = changed or "work outside the hooks"
    async with stage(factory, seed, supply) as last_stage:
        await judging.stalls(last_stage, [*first, *hostile], findings)
        await judging.tools(last_stage, scripts or oracle, first, findings)
        await judging.unseeded_close(last_stage, scripts, findings)

    judging.golden(environment, [(case, by_script[script.name]) for case, script in golden], findings)
    judging.oracle([trace for trace in first if trace.script.output is None], findings)
    unstable = judging.stability(first, second, findings)
    judging.isolation(first, crowded, unstable, changed, findings)
    judging.repeatable(third, unstable, findings)
    judging.reward_range(environment, [*first, *hostile], findings)
    judging.hostile(hostile, findings)
    stages = [first_stage, second_stage, third_stage, crowded_stage]
    judging.closing(stages, [*played, *hostile, *second, *third, *crowded], findings)
    if not findings.is_clean:
        findings.note("baselines", "not checked, because another check fails")
    elif drawn and baseline_tasks:
        await baselines(
            factory, findings, tasks=baseline_tasks, seed=seed, supply=supply, right=right, wrong=wrong
        )
    return CheckReport(environment.name(), findings.results())


def _golden_scripts(environment: Environment, findings: Findings) -> list[tuple[Golden, Script]]:
    try:
        cases = list(environment.golden())
    except (Exception, SystemExit) as error:
        findings.add("golden", f"promised: readable known cases; seen: {message_of(error)}{origin(error)}")
        return []
    scripts: list[tuple[Golden, Script]] = []
    for index, case in enumerate(cases):
        name = f"{case.name} (golden {index + 1})"
        try:
            output = as_items(case.output, "output")
        except UsageError as error:
            findings.add("golden", f"case {name!r}: {error}; the agent never hands such items to verify")
        else:
            scripts.append((case, _script(name, case.task, output, index, case.models)))
    return scripts


def _answers(golden: list[tuple[Golden, Script]], kind: str) -> Answers:
    """The answers of the asked models in the first known case of a kind that has some."""
    for case, _ in golden:
        if case.kind == kind and case.models:
            return case.models
    return {}


def _script(
    name: str, row: Row, output: list[Item] | None, index: int, models: Answers | None = None
) -> Script:
    return Script(name, {**row, keys.TASK_INDEX: index, keys.ROLLOUT_INDEX: 0}, output, models or {})


async def _draw(
    factory: Callable[[], Environment], environment: Environment, seed: int, n: int, findings: Findings
) -> Drawn:
    try:
        drawn = draw(environment, seed, n)
        again = draw(environment, seed, n)
        identical = twins(environment, seed)
    except (Exception, SystemExit) as error:
        findings.add("tasks", f"tasks() raised {message_of(error)}{origin(error)}")
        return {}
    promise = f"promised: the same tasks for the same seed ({seed})"
    if place := difference(drawn, again):
        cause = "use random.Random(seed) made inside tasks(), not a shared or unseeded generator"
        findings.add("determinism", f"{promise}; seen: {place}, when drawn twice; likely cause: {cause}")
        return drawn
    try:
        elsewhere = await draw_elsewhere(environment, seed, n)
    except UsageError as error:
        findings.add("determinism", f"{promise}; seen: a fresh process could not draw them: {error}")
        return drawn
    if place := difference(drawn, draw(factory(), seed, n) if elsewhere is None else elsewhere):
        cause = "iteration over a set, hash(), the time or the process id"
        findings.add("determinism", f"{promise}; seen: {place}, in a fresh process; likely cause: {cause}")
    _check_rows(environment, drawn, findings)
    sizes = ", ".join(f"{len(rows)} {split}" for split, rows in drawn.items()) or "no splits"
    findings.note("tasks", "; ".join([sizes, *identical]))
    return drawn


def _check_rows(environment: Environment, drawn: Drawn, findings: Findings) -> None:
    for split, rows in drawn.items():
        for index, row in enumerate(rows):
            try:
                task_from_row(row, environment.Task)
                check_params(row.get(keys.PARAMS))
            except UsageError as error:
                findings.add("tasks", f"split {split!r}, task {index}: {error}")


def _hostile_scripts(on: Stage, scripts: list[Script], models: Answers) -> list[Script]:
    """Every hostile text on the first two tasks, every hostile tool call on the first."""
    hostile: list[Script] = []
    for script in scripts[:_HOSTILE_TASKS]:
        for what, text in HOSTILE_TEXTS.items():
            output: list[Item] = [assistant(text)] * (_HOSTILE_STEPS if on.link.steps else 1)
            hostile.append(Script(f"{what} on the task of {script.name}", script.row, output, models))
        hostile.append(Script(f"no output at all on the task of {script.name}", script.row, [], models))
    if on.link.steps:
        return hostile
    for script in scripts[:1]:
        for bound in bind_tools(on.environment).values():
            for what, call in hostile_calls(bound.schema):
                name = f"{what} on the task of {script.name}"
                hostile.append(Script(name, script.row, [call, assistant("done")], models))
    return hostile


_HOSTILE_TASKS = 2
_HOSTILE_STEPS = 3
