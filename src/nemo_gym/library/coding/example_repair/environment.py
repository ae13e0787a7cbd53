"""Repair a small repository until its tests pass."""

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_gym import Environment, Response, Reward, Session, Task, ask, tool
from nemo_gym.environments.base import Config
from nemo_gym.environments.repository_files import (
    list_files,
    make_repository,
    read_file,
    text_files,
    write_file,
)
from nemo_gym.environments.repository_tests import (
    MAX_REPOSITORY,
    CallResults,
    CallTest,
    check_files,
    check_tests,
    run_call_tests,
    unittest_file,
)
from nemo_gym.library.coding.example_repair.problems import PROBLEMS
from nemo_gym.support.removal import remove_tree
from nemo_gym.wire.items import Item, function_call

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
        """The most seconds of the tests."""

    class Task(Task):
        files: dict[str, str]
        """The text of each file of the broken repository, by its path."""
        tests: list[CallTest]
        """Its tests, which the tool `run_tests` runs."""
        held_out: list[CallTest] = []
        """More tests for the score, which are not in the repository."""
        solution: dict[str, str] = {}
        """Files that make the tests pass."""

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
                files={
                    f"{problem.name}.py": problem.broken(bug),
                    f"test_{problem.name}.py": unittest_file(problem.tests),
                },
                tests=list(problem.tests),
                held_out=list(problem.held_out),
                solution={f"{problem.name}.py": problem.source},
            )
            for problem, bug in bugs
        )

    async def seed(self, task: Task, session: Session) -> None:
        await asyncio.to_thread(check_files, task.files)
        await asyncio.to_thread(check_tests, [*task.tests, *task.held_out])
        folder = Path(tempfile.mkdtemp(prefix="gym-repair-"))
        session.state["workdir"] = str(folder)
        await make_repository(folder, task.files)

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
        """Run the repository's tests, and return how many pass and what is wrong about the others."""
        task: Any = session.task
        results = await self.test(session, task.tests)
        lines = [f"{name}: {problem}" for name, problem in results.failed.items()]
        return "\n".join([f"{len(results.passed)} tests pass, {len(lines)} fail.", *lines])

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        results = await self.test(session, [*task.tests, *task.held_out])
        details = {"tests_run": len(task.tests) + len(task.held_out), "tests_not_passed": len(results.failed)}
        return Reward(float(results.all_pass), details=details)

    async def test(self, session: Session, tests: list[CallTest]) -> CallResults:
        """The results of tests on the Python files of the rollout's repository."""
        files = await asyncio.to_thread(text_files, folder_of(session), MAX_REPOSITORY)
        code = {name: text for name, text in files.items() if name.endswith(".py")}
        return await run_call_tests(session, code, tests, seconds=self.config.test_timeout)

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
