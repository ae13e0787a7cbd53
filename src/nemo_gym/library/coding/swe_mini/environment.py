"""Repair a small Python repository from a description of the symptom; hidden tests decide."""

from __future__ import annotations

import asyncio
import json
import random
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

from nemo_gym import Environment, Response, Reward, Session, Task, ToolError, ask, generate_tasks, tool
from nemo_gym.environments.base import Config
from nemo_gym.environments.repository_files import text_files
from nemo_gym.environments.repository_tests import (
    MAX_REPOSITORY,
    CallResults,
    CallTest,
    check_files,
    check_tests,
    run_call_tests,
)
from nemo_gym.library.coding.swe_mini.drawing import draw_draft
from nemo_gym.sandbox import AsyncSandbox, SandboxCreateError, SandboxExecResult, SandboxSpec
from nemo_gym.sandbox.errors import ArchiveRefused, InvalidSandbox, SandboxFileError, SandboxStopped
from nemo_gym.wire.errors import EnvironmentFault
from nemo_gym.wire.items import Item, function_call

PROMPT: Final = """\
Your working directory is a small Python repository with a mistake. This is the issue:

{issue}

Mend the code, and keep its interface. Hidden tests decide: the behaviour in the issue has to be right, and \
all else has to work as before. `python3 -m unittest` runs the visible tests. When it is done, say so."""
FOLDER: Final = "work"
MAX_FOLDER: Final = 4 << 20
"""The most bytes of all files at the end."""
MAX_FILE: Final = 256 << 10
"""The most characters of a file that the tools read or write."""
MAX_OUTPUT: Final = 8000
"""The most characters of the output of a command that the model gets."""
MAX_COMMAND: Final = 1 << 16


class SweTask(Task):
    """A repository with a mistake, and the tests that decide."""

    files: dict[str, str]
    """The text of each file, by its path."""
    hidden_tests: list[CallTest]
    """Calls with their expected results, which are not in the repository."""
    solution: dict[str, str] = {}
    """The right text of each file that has to change; only for the oracle."""


class SweMini(Environment):
    """Repair a small Python repository from a description of the symptom; hidden tests decide."""

    domain = "coding"
    stateless = False
    reward_components = {"solved": (0.0, 1.0), "passed_share": (0.0, 1.0)}
    Task = SweTask

    class Config(Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """Higher levels have more modules and say less about the place of the bug; 4 has two bugs."""
        seconds: Annotated[float, Meta(gt=0, le=300)] = 20.0
        """The time limit of one command."""
        test_seconds: Annotated[float, Meta(gt=0, le=300)] = 4.0
        """The time limit of one hidden test."""
        all_tests_seconds: Annotated[float, Meta(gt=0, le=3600)] = 120.0
        """The time limit of all hidden tests together."""
        passed_share_weight: Annotated[float, Meta(ge=0, lt=1)] = 0.0
        """The part of the reward for the share of the hidden tests that pass; the rest is for all of them."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[SweTask]:
        return generate_tasks(self, self.draw, key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> SweTask:
        """A task of the level of the settings."""
        draft = draw_draft(rng, self.config.level)
        return SweTask(
            responses_create_params=dict(ask(PROMPT.format(issue=draft.issue))),
            files=draft.files,
            hidden_tests=draft.hidden,
            solution=draft.solution,
        )

    async def seed(self, task: SweTask, session: Session) -> None:
        """Lay out the repository in a sandbox.

        Raises:
            TaskUnfit: the row has no tests, or files or tests that can't be scored.
        """
        await asyncio.to_thread(check_files, task.files)
        await asyncio.to_thread(check_tests, task.hidden_tests)
        spec = SandboxSpec(
            files={f"{FOLDER}/{name}": text for name, text in task.files.items()},
            resources={"memory_mib": 512},
            provider_options={"local": {"limits": {"file_mib": 16, "cpu_s": 60, "processes": 64}}},
        )
        try:
            session.state["sandbox"] = await session.sandbox(spec)
        except (SandboxCreateError, InvalidSandbox, SandboxStopped) as error:
            raise EnvironmentFault(f"there is no sandbox for the repository: {error}") from None

    @tool
    async def bash(self, session: Session, command: str) -> dict[str, Any]:
        """Run a line of shell in the repository and return its output and exit code.

        Args:
            command: The line.
        """
        result = await self.run(session, command)
        return {
            "stdout": short(result.stdout or ""),
            "stderr": short(result.stderr or ""),
            "exit_code": result.return_code,
        }

    @tool
    async def view(self, session: Session, path: str) -> str:
        """Return the text of a file.

        Args:
            path: Its path in the repository.
        """
        return await self.read(session, path)

    @tool
    async def str_replace(self, session: Session, path: str, old: str, new: str) -> str:
        """Replace a text that occurs exactly once in a file.

        Args:
            path: The path of the file in the repository.
            old: The text to replace. An empty text creates a new file.
            new: The text in its place.
        """
        text = await self.read(session, path) if old else ""
        if old and (count := text.count(old)) != 1:
            raise ToolError(f"The text occurs {count} times in {path[:200]}; it has to occur exactly once.")
        await self.write(session, path, text.replace(old, new) if old else new)
        return f"{path} is changed." if old else f"{path} is written."

    async def run(self, session: Session, command: str) -> SandboxExecResult:
        """The result of a line of shell in the repository."""
        if "\0" in command or len(command) > MAX_COMMAND:
            raise ToolError("That is no line of shell.")
        sandbox: AsyncSandbox = session.state["sandbox"]
        line = command.encode("utf-8", "replace").decode()
        try:
            return await sandbox.exec(line, cwd=FOLDER, timeout_s=self.config.seconds)
        except TimeoutError:
            raise ToolError(f"The command did not end within {self.config.seconds:g} seconds.") from None
        except (SandboxStopped, OSError) as error:
            raise ToolError(f"The command can't be run: {error}"[:500]) from None

    async def read(self, session: Session, path: str) -> str:
        """The text of a file of the sandbox."""
        result = await self.run(session, f"head -c {MAX_FILE + 1} -- {shlex.quote(path)}")
        if result.return_code != 0:
            raise ToolError(f"{path[:200]!r} can't be read. `ls` names the files that there are.")
        text = result.stdout or ""
        if len(text) > MAX_FILE:
            raise ToolError(f"{path[:200]} is larger than {MAX_FILE} bytes.")
        return text

    async def write(self, session: Session, path: str, text: str) -> None:
        """Write a file of the sandbox, in place of its old text if there is one."""
        if not path or "\0" in path or path.startswith("/") or ".." in path.split("/"):
            raise ToolError(f"{path[:200]!r} is not a path in the repository.")
        if len(text) > MAX_FILE:
            raise ToolError(f"{path[:200]} would be larger than {MAX_FILE} characters.")
        sandbox: AsyncSandbox = session.state["sandbox"]
        with tempfile.TemporaryDirectory(prefix="gym-swe-") as folder:
            source = Path(folder, "file")
            await asyncio.to_thread(source.write_text, text, "utf-8", "replace", "")
            try:
                await sandbox.upload(source, f"{FOLDER}/{path}")
            except (SandboxStopped, InvalidSandbox, OSError, ValueError) as error:
                raise ToolError(f"{path[:200]} can't be written: {error}"[:500]) from None

    async def verify(self, task: SweTask, response: Response, session: Session) -> Reward:
        sandbox: AsyncSandbox = session.state["sandbox"]
        with tempfile.TemporaryDirectory(prefix="gym-swe-") as folder:
            try:
                await sandbox.download_folder(FOLDER, folder, most_bytes=MAX_FOLDER)
                files = await asyncio.to_thread(text_files, Path(folder), MAX_REPOSITORY)
            except (ArchiveRefused, SandboxFileError, SandboxStopped) as error:
                return self.reward(CallResults([], {}), "unreadable", [str(error)[:300]])
        changed = sorted(name for name in {*files, *task.files} if files.get(name) != task.files.get(name))
        if not changed:
            return self.reward(CallResults([], {}), "unchanged", [])
        results = await run_call_tests(
            session,
            files,
            task.hidden_tests,
            seconds=self.config.all_tests_seconds,
            seconds_each=self.config.test_seconds,
        )
        problems = [f"{name}: {problem}" for name, problem in results.failed.items()][:20]
        return self.reward(results, "right" if results.all_pass else "wrong", problems)

    def reward(self, results: CallResults, reason: str, problems: list[str]) -> Reward:
        """The reward of the results; a repository that is as it was earns nothing."""
        weight = self.config.passed_share_weight
        solved, share = (1 - weight) * results.all_pass, weight * results.passed_share
        details: dict[str, Any] = {"reason": reason, "extracted_answer": None, "problems": problems}
        details["tests_passed_share"] = results.passed_share
        return Reward(solved + share, {"solved": solved, "passed_share": share}, details)

    def oracle(self, task: SweTask, session: Session) -> str | list[Item]:
        position: int = session.state.get("oracle", 0)
        session.state["oracle"] = position + 1
        if position == len(task.solution):
            return "The mistake is mended."
        path, text = list(task.solution.items())[position]
        arguments = {"path": path, "old": task.files.get(path, ""), "new": text}
        return [function_call("str_replace", json.dumps(arguments), call_id=f"call_{position}")]


def key(task: SweTask) -> str:
    """What makes a task a different one: its request and its repository without the tests."""
    code = {name: text for name, text in task.files.items() if name != "test_visible.py"}
    return json.dumps([task.responses_create_params, code])


def short(text: str) -> str:
    """The beginning and the end of a long text."""
    return text if len(text) <= MAX_OUTPUT else text[: MAX_OUTPUT // 2] + "\n...\n" + text[-MAX_OUTPUT // 2 :]
