"""Functions to complete, checked on base and further inputs against a reference solution."""

import math
import random
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from nemo_gym import Environment, Response, Reward, Session, Task, ask
from nemo_gym.environments.code_tests import CodeCase, CodeRun, run_cases
from nemo_gym.verifiers.text import last_code_block, strip_reasoning
from nemo_gym.wire.errors import TaskUnfit, UsageError
from nemo_gym.wire.jsonl import read_rows

PROMPT = (
    "Complete this Python function. Reply with the whole function in one ```python block.\n\n```python\n{}```"
)
FLOAT_TOLERANCE = 1e-6
"""The largest difference of two floats, in a problem without `atol`."""
RELATIVE_TOLERANCE = 1e-7
"""The largest difference of two floats in addition, relative to the expected one."""
SPLITS = {"train": range(7), "validation": range(7, 8), "test": range(8, 9), "example": range(9, 10)}
"""For each split the remainders, by 10, of the places of its problems in the file."""
REFERENCE_S = 20.0
"""The most seconds of the reference solution for one input."""


class Problem(msgspec.Struct):
    """A problem of the file."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    base_input: list[list[Any]]
    plus_input: list[list[Any]] = []
    atol: float = 0.0

    @property
    def inputs(self) -> list[list[Any]]:
        """All inputs."""
        return [*self.base_input, *self.plus_input]


class Expected(NamedTuple):
    """What the reference solution returns for an input, and how long it takes."""

    value: Any
    seconds: float


class EvalPlus(Environment):
    """Complete a Python function that passes base and further tests."""

    domain = "coding"
    stateless = True

    class Config(Environment.Config):
        problems_file: str | None = None
        """A JSON Lines file of problems; None takes the problems of this environment."""
        min_time_limit: Annotated[float, msgspec.Meta(gt=0)] = 1.0
        """The least time limit of one input, in seconds."""
        gt_time_limit_factor: Annotated[float, msgspec.Meta(ge=1)] = 4.0
        """How many times as long as the reference solution the code may take."""

    class Task(Task):
        verifier_metadata: dict[str, Any]  # pyright: ignore[reportGeneralTypeIssues]
        """Its `task_id` names the problem."""

    @cached_property
    def problems(self) -> dict[str, Problem]:
        """The problems by their ids.

        Raises:
            UsageError: the file is missing, or a line is no problem.
        """
        path = Path(self.config.problems_file or self.folder() / "problems.jsonl")
        try:
            problems = [msgspec.convert(row, Problem) for _, row in read_rows(path)]
        except (OSError, msgspec.ValidationError) as error:
            raise UsageError(f"problems_file {path}: {error}") from None
        return {problem.task_id: problem for problem in problems}

    @cached_property
    def _expected(self) -> dict[str, list[Expected]]:
        return {}

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        self.check_split(split, SPLITS)
        problems = [each for i, each in enumerate(self.problems.values()) if i % 10 in SPLITS[split]]
        random.Random(f"{split} {seed}").shuffle(problems)
        return (
            self.Task(
                task_id=problem.task_id,
                responses_create_params=dict(ask(PROMPT.format(problem.prompt))),
                verifier_metadata={"task_id": problem.task_id},
            )
            for problem in problems
        )

    def problem(self, task: Task) -> Problem:
        """The problem of a row.

        Raises:
            TaskUnfit: there is none with its id, or it has no inputs.
        """
        name = str(task.verifier_metadata.get("task_id"))
        problem = self.problems.get(name)
        if problem is None or not problem.base_input:
            raise TaskUnfit(f"verifier_metadata.task_id: there is no problem {name[:80]!r} with inputs")
        return problem

    def seed(self, task: Task, session: Session) -> None:
        self.problem(task)

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        problem = self.problem(task)
        code = completed(problem, last_code_block(strip_reasoning(response.final_text), "python"))
        if code is None:
            return Reward(0.0, details={"extracted_answer": None, "reason": "no_answer"})
        expected = await self.expected(problem, session)
        passed = await self.count_passed(session, code, problem, expected)
        base = passed >= len(problem.base_input)
        plus = passed == len(expected)
        details = {"extracted_answer": code, "base": base, "plus": plus, "tests_passed": passed}
        return Reward(float(plus), details={**details, "reason": "right" if plus else "wrong"})

    async def count_passed(
        self, session: Session, code: str, problem: Problem, expected: list[Expected]
    ) -> int:
        """How many inputs pass before the first one that does not."""
        least, factor = self.config.min_time_limit, self.config.gt_time_limit_factor
        cases = [
            CodeCase(arguments=arguments, seconds=max(least, factor * right.seconds))
            for arguments, right in zip(problem.inputs, expected, strict=True)
        ]

        def passes(number: int, run: CodeRun) -> bool:
            return is_right(run, expected[number].value, problem.atol)

        runs = run_cases(session, code, cases, passes, function=problem.entry_point)
        return sum([run.status == "ok" async for run in runs])

    async def expected(self, problem: Problem, session: Session) -> list[Expected]:
        """The values of the reference solution, which runs once, in a sandbox of its own.

        Raises:
            TaskUnfit: it fails for an input.
        """
        if problem.task_id not in self._expected:
            values: list[Expected] = []
            code = problem.prompt + problem.canonical_solution
            cases = [CodeCase(arguments=each, seconds=REFERENCE_S) for each in problem.inputs]
            async for run in run_cases(session, code, cases, function=problem.entry_point):
                try:
                    values.append(Expected(run.value(), run.seconds))
                except ValueError:
                    raise TaskUnfit(
                        f"problem {problem.task_id}: the reference solution fails: {run.status} "
                        f"{run.error[-200:]}"
                    ) from None
            self._expected[problem.task_id] = values
        return self._expected[problem.task_id]

    def oracle(self, task: Task, session: Session) -> str:
        problem = self.problem(task)
        return f"```python\n{problem.prompt}{problem.canonical_solution}```"


def completed(problem: Problem, code: str | None) -> str | None:
    """The code with the prompt before it, unless it defines the function itself."""
    if not code or not code.strip():
        return None
    return code if f"def {problem.entry_point}" in code else problem.prompt + code


def is_right(run: CodeRun, expected: object, atol: float) -> bool:
    """Whether a run's value is right by the rule of EvalPlus: it equals the expected one, where 1 equals 1.0
    and True, or it has the same type and its floats are near.

    The values come out of JSON, so that all of them have Python's own types and compare as those do.
    """
    try:
        value = run.value()
    except ValueError:
        return False
    return value == expected or is_near(
        value, expected, atol or (FLOAT_TOLERANCE if are_floats(expected) else 0.0)
    )


def are_floats(expected: Any) -> bool:
    """Whether a value is a float, or a list or tuple of floats alone."""
    items = expected if type(expected) in (list, tuple) else [expected]
    return all(type(item) is float for item in items)


def is_near(value: Any, expected: Any, atol: float) -> bool:
    """Whether a value has the type of the expected one and differs only by floats within the tolerance."""
    if not atol or type(value) is not type(expected):
        return False
    if type(expected) in (list, tuple):
        pairs = zip(value, expected, strict=False)
        return len(value) == len(expected) and all(
            one == other or is_near(one, other, atol) for one, other in pairs
        )
    return type(expected) is float and (
        abs(value - expected) <= atol + RELATIVE_TOLERANCE * abs(expected)
        or (math.isnan(value) and math.isnan(expected))
    )
