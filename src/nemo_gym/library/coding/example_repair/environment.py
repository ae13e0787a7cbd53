"""Repair a small repository until its tests pass."""

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from nemo_gym import Environment, Response, Reward, Session, Task, ask, tool
from nemo_gym.environments.base import Config
from nemo_gym.library.coding.example_repair.problems import PROBLEMS
from nemo_gym.library.coding.example_repair.repository import (
    TestRun,
    list_files,
    make_repository,
    python_files,
    read_file,
    run_tests,
    write_file,
)
from nemo_gym.support.removal import remove_tree
from nemo_gym.wire.items import Item, function_call
from nemo_gym.wire.jsonl import encode

MAX_RESULTS = 64
"""The most results of tests that are kept, so that unchanged files are not run again."""
PROMPT = (
    "The tests of this small Python repository fail. Find the mistake in {name}.py and mend it. "
    "`python -m unittest` runs the tests; leave test_{name}.py as it is."
)


class Repair(Environment):
    """Find the mistake in a small git repository and mend it, so that its tests pass."""

    domain = "coding"
    stateless = False

    class Config(Config):
        test_timeout: float = 60.0
        """The most seconds of the tests. Code that computes without a pause is stopped earlier."""

    class Task(Task):
        files: dict[str, str]
        """The text of each file of the broken repository, by its path."""
        tests: dict[str, str]
        """Its tests. The score runs these texts, even when the model changes the files."""
        solution: dict[str, str]
        """Files that make the tests pass."""
        held_out: dict[str, str] = {}
        """More tests for the score, which are not in the repository."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        bugs = [(problem, bug) for problem in PROBLEMS for bug in range(len(problem.bugs))]
        if split == "validation":
            bugs = bugs[3::4]
        else:
            bugs = [pair for number, pair in enumerate(bugs) if number % 4 != 3]
        random.Random(f"{split} {seed}").shuffle(bugs)
        return (
            self.Task(
                task_id=f"{problem.name}_{bug}",
                responses_create_params=dict(ask(PROMPT.format(name=problem.name))),
                files={f"{problem.name}.py": problem.broken(bug)},
                tests={f"test_{problem.name}.py": problem.tests},
                solution={f"{problem.name}.py": problem.source},
                held_out={f"test_{problem.name}_further.py": problem.held_out},
            )
            for problem, bug in bugs
        )

    async def seed(self, task: Task, session: Session) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gym-repair-"))
        session.state["workdir"] = str(folder)
        await make_repository(folder, {**task.files, **task.tests})

    @tool
    def list_files(self, session: Session) -> list[str]:
        """List the files of the repository."""
        return list_files(folder_of(session))

    @tool
    def read_file(self, session: Session, path: str) -> str:
        """Return the text of a file.

        Args:
            path: Its path in the repository, for instance `inventory.py`.
        """
        return read_file(folder_of(session), path)

    @tool
    def write_file(self, session: Session, path: str, text: str) -> str:
        """Write a file, in place of what it held.

        Args:
            path: Its path in the repository.
            text: All of its new text.
        """
        write_file(folder_of(session), path, text)
        return f"{path} is written."

    @tool
    async def run_tests(self, session: Session) -> str:
        """Run the repository's tests and return their report."""
        tests: dict[str, str] = session.row["tests"]
        return (await self.test(session, tests)).report

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        tests = {**task.tests, **task.held_out}
        result = await self.test(session, tests)
        details = {"tests_run": result.count, "tests_not_passed": result.failures}
        return Reward(float(result.passed), details=details)

    async def test(self, session: Session, tests: Mapping[str, str]) -> TestRun:
        """The result of tests on the rollout's files; the same files are not run again."""
        key = encode([python_files(folder_of(session)), tests])
        if key not in self._results:
            result = await run_tests(session, folder_of(session), tests, seconds=self.config.test_timeout)
            if result.count is None:
                return result
            while len(self._results) >= MAX_RESULTS:
                self._results.pop(next(iter(self._results)), None)
            self._results[key] = result
        return self._results[key]

    @cached_property
    def _results(self) -> dict[bytes, TestRun]:
        return {}

    async def close(self, session: Session) -> None:
        if "workdir" in session.state:
            await asyncio.to_thread(remove_tree, folder_of(session))

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        folder = folder_of(session)
        for path, text in task.solution.items():
            if read_file(folder, path) != text:
                arguments = json.dumps({"path": path, "text": text})
                return [function_call("write_file", arguments, call_id=f"call_{path}")]
        return "The mistake is mended."


def folder_of(session: Session) -> Path:
    """The folder of the rollout's repository."""
    return Path(session.state["workdir"])
