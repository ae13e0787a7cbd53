"""Mend a small repository until its tests pass."""

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nemo_gym import Environment, Response, Reward, Session, Task, ask, tool
from nemo_gym.environments.base import Config
from nemo_gym.library.coding.example_repair.problems import PROBLEMS, Problem
from nemo_gym.library.coding.example_repair.repository import (
    Tested,
    list_files,
    make_repository,
    read_file,
    run_tests,
    write_file,
)
from nemo_gym.support.removal import remove_tree
from nemo_gym.wire.items import Item, function_call

_PROMPT = (
    "The tests of this small Python repository fail. Find the mistake in {name}.py and mend it. "
    "`python -m unittest` runs the tests; leave test_{name}.py as it is."
)


class Repair(Environment):
    """Find the mistake in a small git repository and mend it, so that its tests pass."""

    domain = "coding"
    stateless = False

    class Config(Config):
        test_timeout: float = 60.0
        """Seconds the tests may take. Code that computes all the time is stopped earlier."""

    class Task(Task):
        files: dict[str, str]
        """The repository as found: text by path."""
        tests: dict[str, str]
        """Its tests; these are what is run for the score, whatever became of the files."""
        solution: dict[str, str]
        """Files that make the tests pass."""
        held_out: dict[str, str] = {}
        """Further tests for the score, which are not in the repository."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        places = [(problem, bug) for problem in PROBLEMS for bug in range(len(problem.bugs))]
        held_out = places[3::4]
        chosen = held_out if split == "validation" else [place for place in places if place not in held_out]
        random.Random(f"{split} {seed}").shuffle(chosen)
        return (_task(problem, bug) for problem, bug in chosen)

    async def seed(self, task: Task, session: Session) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gym-repair-"))
        session.state["workdir"] = str(folder)
        await make_repository(folder, {**task.files, **task.tests})

    @tool
    def list_files(self, session: Session) -> list[str]:
        """List the files of the repository."""
        return list_files(_folder(session))

    @tool
    def read_file(self, session: Session, path: str) -> str:
        """Return the text of a file.

        Args:
            path: Its path in the repository, for instance `inventory.py`.
        """
        return read_file(_folder(session), path)

    @tool
    def write_file(self, session: Session, path: str, text: str) -> str:
        """Write a file, in place of what it held.

        Args:
            path: Its path in the repository.
            text: All of its new text.
        """
        write_file(_folder(session), path, text)
        return f"{path} is written."

    @tool
    async def run_tests(self, session: Session) -> str:
        """Run the repository's tests and return their report."""
        return (await self._tested(session, {})).report

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        tested = await self._tested(session, task.held_out)
        return Reward(float(tested.passed), details={"tests_run": tested.ran, "tests_not_passed": tested.bad})

    async def close(self, session: Session) -> None:
        if "workdir" in session.state:
            await asyncio.to_thread(remove_tree, _folder(session))

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        folder = _folder(session)
        for path, text in task.solution.items():
            if read_file(folder, path) != text:
                arguments = json.dumps({"path": path, "text": text})
                return [function_call("write_file", arguments, call_id=f"call_{path}")]
        return "The mistake is mended."

    async def _tested(self, session: Session, more: dict[str, str]) -> Tested:
        tests = {**session.row["tests"], **more}
        seconds = self.config.test_timeout
        return await run_tests(session, _folder(session), tests, seconds=seconds)


def _folder(session: Session) -> Path:
    return Path(session.state["workdir"])


def _task(problem: Problem, bug: int) -> Repair.Task:
    return Repair.Task(
        task_id=f"{problem.name}_{bug}",
        responses_create_params=dict(ask(_PROMPT.format(name=problem.name))),
        files={f"{problem.name}.py": problem.broken(bug)},
        tests={f"test_{problem.name}.py": problem.tests},
        solution={f"{problem.name}.py": problem.source},
        held_out={f"test_{problem.name}_further.py": problem.held_out},
    )
