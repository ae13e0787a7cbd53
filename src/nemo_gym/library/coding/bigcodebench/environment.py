"""Functions that use libraries, checked by suites of unit tests in a sandbox."""

import asyncio
import hashlib
import inspect
import json
import random
import secrets
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any

import msgspec

from nemo_gym import Environment, Response, Reward, Session, Task, ask, generate_tasks
from nemo_gym.library.coding.bigcodebench import suite_script
from nemo_gym.library.coding.bigcodebench.families import draw_problem
from nemo_gym.library.coding.bigcodebench.suites import names_of_tests
from nemo_gym.sandbox import Program, SandboxCreateError
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxFileError, SandboxStopped
from nemo_gym.verifiers.text import last_code_block, strip_reasoning
from nemo_gym.wire.errors import EnvironmentFault, TaskUnfit

MARGIN_S = 10.0
"""Seconds in addition to the time limit that a busy machine has for the start and the answer."""
MAX_ANSWER = 200_000
"""The most characters of an answer; a longer one is malformed."""
REFUSALS = ("malformed", "tampering", "timeout")
_SOURCE = inspect.getsource(suite_script)


class Problem(msgspec.Struct):
    """A function to write, and its tests."""

    task_id: str
    code_prompt: str
    """The imports and the head of the function."""
    canonical_solution: str
    """The body of a right function."""
    test: str
    """A module with a class `TestCases` of `unittest`."""
    entry_point: str = "task_func"
    libs: list[str] = []
    """The names of the modules that it uses."""

    @property
    def reference(self) -> str:
        """A right solution."""
        return f"{self.code_prompt}\n{self.canonical_solution}"


class SuiteRun(msgspec.Struct, frozen=True):
    """What the script of the sandbox says."""

    nonce: str
    reason: str
    """`finished`; `missing` libraries; `malformed` or `tampering`, for an answer that is not run; else why
    not all tests ran: `load`, `ended`, `timeout` or `protocol`."""
    outcomes: dict[str, tuple[str, str]]
    """The result and the error of each test; without a name, those of the suite itself."""
    seconds: float

    def first_failure(self, names: frozenset[str]) -> str:
        """The first test that did not pass, with its error; empty when all of them and the suite passed."""
        for name in ["", *sorted(names)]:
            outcome, error = self.outcomes.get(name, (self.reason, ""))
            if outcome != suite_script.PASSED:
                return f"{name or 'suite'}: {outcome} {error}".strip()
        return ""


class BigCodeBench(Environment):
    """Write a function that uses several libraries and passes a suite of unit tests."""

    domain = "coding"
    stateless = True

    class Config(Environment.Config):
        packages: str | None = None
        """A folder of installed libraries that sandboxes can read, in addition to those of their Python."""
        seconds: Annotated[float, msgspec.Meta(gt=0, le=1800)] = 120.0
        """The most seconds of a suite."""
        min_time_limit: Annotated[float, msgspec.Meta(gt=0)] = 20.0
        """The least time limit of an answer, in seconds."""
        gt_time_limit_factor: Annotated[float, msgspec.Meta(ge=1)] = 5.0
        """How many times as long as the reference solution an answer may take."""
        memory_mib: Annotated[int, msgspec.Meta(ge=64)] = 2048
        """The memory of a suite."""

    class Task(Task):
        verifier_metadata: Problem  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]

    @cached_property
    def _reference_seconds(self) -> dict[bytes, float]:
        return {}

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        return generate_tasks(self, self.draw, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> Task:
        """An own task."""
        prompt, fields = draw_problem(rng)
        problem = msgspec.convert(fields, Problem)
        return self.Task(responses_create_params=dict(ask(prompt)), verifier_metadata=problem)

    async def seed(self, task: Task, session: Session) -> None:
        """Check that the tests can be run here.

        Raises:
            TaskUnfit: there are no tests, a library is missing, or the reference solution fails.
        """
        await self.reference_seconds(task.verifier_metadata, session)

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        problem = task.verifier_metadata
        names = await asyncio.to_thread(names_of_tests, problem.test)
        seconds = await self.reference_seconds(problem, session)
        answer = last_code_block(strip_reasoning(response.final_text), "python")
        if answer is None or not answer.strip():
            return _reward(None, "no_answer")
        if len(answer) > MAX_ANSWER:
            return _reward(answer[:MAX_ANSWER], "malformed")
        config = self.config
        limit = min(config.seconds, max(config.min_time_limit, config.gt_time_limit_factor * seconds))
        run = await self.run(problem, answer, limit, session)
        failure = run.first_failure(names)
        passed = sum(run.outcomes.get(name, ("",))[0] == suite_script.PASSED for name in names)
        reason = run.reason if run.reason in REFUSALS else "wrong" if failure else "right"
        return _reward(answer, reason, tests_passed=passed, tests=len(names), failure=failure)

    async def reference_seconds(self, problem: Problem, session: Session) -> float:
        """How long the tests of the reference solution take, which run once.

        Raises:
            TaskUnfit: they can't run here, or do not pass.
        """
        key = hashlib.sha256(msgspec.msgpack.encode(problem)).digest()
        if key not in self._reference_seconds:
            names = await asyncio.to_thread(names_of_tests, problem.test)
            run = await self.run(problem, problem.reference, self.config.seconds, session)
            if failure := run.first_failure(names):
                lacks = run.reason == "missing"
                what = "sandboxes lack its libraries" if lacks else "the reference solution fails here"
                raise TaskUnfit(f"task {problem.task_id}: {what}: {failure}")
            self._reference_seconds[key] = run.seconds
        return self._reference_seconds[key]

    async def run(self, problem: Problem, code: str, seconds: float, session: Session) -> SuiteRun:
        """Run the tests of a problem on some code.

        Raises:
            EnvironmentFault: there is no sandbox, so nothing is known about the code.
        """
        nonce = secrets.token_hex(16)
        program = self._program(problem, {"nonce": nonce, "answer": code, "seconds": seconds})
        try:
            result = await session.run_python(program)
        except (SandboxCreateError, InvalidSandbox, SandboxFileError, SandboxStopped) as error:
            raise EnvironmentFault(f"the tests can't be run: {error}") from None
        try:
            run = msgspec.json.decode(result.stdout, type=SuiteRun)
        except (msgspec.MsgspecError, UnicodeError):
            run = None
        if run is None or run.nonce != nonce:
            return SuiteRun(nonce, "timeout" if result.reason == "timeout" else "ended", {}, seconds)
        return run

    def _program(self, problem: Problem, request: dict[str, Any]) -> Program:
        whole = {
            **request,
            "head": problem.code_prompt,
            "entry_point": problem.entry_point,
            "reference": problem.reference,
            "test": problem.test,
            "libraries": [name.partition(".")[0] for name in problem.libs],
            "packages": self.config.packages or "",
        }
        seconds = request["seconds"] + MARGIN_S
        return Program(_SOURCE, json.dumps(whole), timeout_s=seconds, memory_mib=self.config.memory_mib)

    def oracle(self, task: Task, session: Session) -> str:
        return f"```python\n{task.verifier_metadata.reference}\n```"


def _reward(answer: str | None, reason: str, **details: Any) -> Reward:
    return Reward(float(reason == "right"), details={"extracted_answer": answer, "reason": reason, **details})
