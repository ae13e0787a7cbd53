"""Do a task in a sandboxed shell; the files at the end decide."""

from __future__ import annotations

import asyncio
import json
import os
import random
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from msgspec import Meta

from nemo_gym import Environment, Response, Reward, Session, Task, ToolError, ask, generate_tasks, tool
from nemo_gym.environments.base import Config
from nemo_gym.library.coding.terminal.families import draw_job
from nemo_gym.sandbox import AsyncSandbox, SandboxCreateError, SandboxSpec
from nemo_gym.sandbox.errors import ArchiveRefused, InvalidSandbox, SandboxFileError, SandboxStopped
from nemo_gym.sandbox.extraction import unpack
from nemo_gym.wire.errors import EnvironmentFault, TaskUnfit
from nemo_gym.wire.items import Item, function_call

PROMPT: Final = (
    "The tool `run_command` runs a line of shell in your working directory. Do this there: {text}\n"
    "Leave all other files as they are, and no further files. When it is done, say so."
)
FOLDER: Final = "work"
MAX_FILES: Final = 4 << 20
"""The most characters of all files of a row, and bytes of all files at the end."""
MAX_OUTPUT: Final = 8000
"""The most characters of the output of a command that the model gets."""


class TerminalTask(Task):
    """Files at the beginning and at the end."""

    files: dict[str, str]
    """The text of each file at the beginning, by its path."""
    expected_files: dict[str, str]
    """The text of each file at the end, without the archives."""
    executable: list[str] = []
    """The files that their owner can execute at the end, and no others."""
    expected_archives: dict[str, dict[str, str]] = {}
    """The files inside each uncompressed archive at the end, by its path."""
    solution: str | None = None
    """A line of shell that does the task."""


class Terminal(Environment):
    """Do a task in a sandboxed shell; the files that are there at the end decide."""

    domain = "coding"
    stateless = False
    Task = TerminalTask

    class Config(Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """0 has four kinds of tasks and few files; each further level has more of both."""
        seconds: Annotated[float, Meta(gt=0, le=300)] = 20.0
        """The time limit of one command."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[TerminalTask]:
        return generate_tasks(self, self.draw, key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> TerminalTask:
        """A task of the level of the settings."""
        job = draw_job(rng, self.config.level)
        end = {name: text for name, text in {**job.files, **job.changes}.items() if text is not None}
        return TerminalTask(
            responses_create_params=dict(ask(PROMPT.format(text=job.text))),
            files=job.files,
            expected_files=end,
            executable=list(job.executable),
            expected_archives={name: dict(files) for name, files in job.archives.items()},
            solution=job.command,
        )

    async def seed(self, task: TerminalTask, session: Session) -> None:
        """Lay out the files in a sandbox.

        Raises:
            TaskUnfit: a path leads out of the folder, the files are too large, or nothing has to be done.
        """
        check_task(task)
        spec = SandboxSpec(
            files={".start": "", **{f"{FOLDER}/{name}": text for name, text in task.files.items()}},
            resources={"memory_mib": 512},
            provider_options={"local": {"limits": {"file_mib": 16, "cpu_s": 60, "processes": 64}}},
        )
        try:
            sandbox = await session.sandbox(spec)
            await sandbox.exec(f"mkdir -p {FOLDER}")
        except (SandboxCreateError, InvalidSandbox, SandboxStopped) as error:
            raise EnvironmentFault(f"there is no shell: {error}") from None
        session.state["sandbox"] = sandbox

    @tool
    async def run_command(self, session: Session, command: str) -> dict[str, Any]:
        """Run a line of shell in the working directory and return its output and exit code.

        Args:
            command: The line.
        """
        if "\0" in command or len(command) > MAX_FILES:
            raise ToolError("That is no line of shell.")
        sandbox: AsyncSandbox = session.state["sandbox"]
        try:
            result = await sandbox.exec(
                command.encode("utf-8", "replace").decode(), cwd=FOLDER, timeout_s=self.config.seconds
            )
        except TimeoutError:
            raise ToolError(f"The command did not end within {self.config.seconds:g} seconds.") from None
        except (SandboxStopped, OSError) as error:
            raise ToolError(f"The command can't be run: {error}"[:500]) from None
        return {
            "stdout": short(result.stdout or ""),
            "stderr": short(result.stderr or ""),
            "exit_code": result.return_code,
        }

    async def verify(self, task: TerminalTask, response: Response, session: Session) -> Reward:
        sandbox: AsyncSandbox = session.state["sandbox"]
        folder = tempfile.TemporaryDirectory(prefix="gym-terminal-")
        try:
            await sandbox.download_folder(FOLDER, folder.name, most_bytes=MAX_FILES)
            problem = await asyncio.to_thread(difference, task, Path(folder.name))
        except (ArchiveRefused, SandboxFileError, SandboxStopped) as error:
            problem = f"the files can't be read: {error}"
        finally:
            await asyncio.to_thread(folder.cleanup)
        reason = "wrong" if problem else "right"
        details = {"reason": reason, "extracted_answer": None, "difference": problem and problem[:300]}
        return Reward(float(problem is None), details=details)

    def oracle(self, task: TerminalTask, session: Session) -> str | list[Item]:
        if task.solution and not session.state.get("has_run"):
            session.state["has_run"] = True
            return [function_call("run_command", json.dumps({"command": task.solution}), call_id="call_0")]
        return "It is done."


def key(task: TerminalTask) -> str:
    """What makes a task a different one: its text and files."""
    return json.dumps([task.responses_create_params, task.files])


def check_task(task: TerminalTask) -> None:
    """Refuse a row that can't be scored.

    Raises:
        TaskUnfit: a path leads out of the folder, the files are too large, or nothing has to be done.
    """
    inside = [name for files in task.expected_archives.values() for name in files]
    for name in (*task.files, *task.expected_files, *task.executable, *task.expected_archives, *inside):
        if not name or name != str(PurePosixPath(name)) or name[0] == "/" or ".." in name.split("/"):
            raise TaskUnfit(f"files: {name[:80]!r} is no plain path below the working directory")
    texts = (*task.files.values(), *task.expected_files.values())
    if sum(map(len, texts)) > MAX_FILES:
        raise TaskUnfit(f"files: together more than {MAX_FILES} characters")
    if task.files == task.expected_files and not task.executable and not task.expected_archives:
        raise TaskUnfit("expected_files: they are the files of the beginning, so that nothing has to be done")


def difference(task: TerminalTask, folder: Path) -> str | None:
    """The first difference between the files in a folder and the expected ones; None if there is none."""
    paths = {str(path.relative_to(folder)): path for path in walk(folder)}
    if missing := (task.expected_files.keys() | task.expected_archives.keys()) ^ paths.keys():
        return f"{min(missing)} is missing or should not be there"
    for name, text in task.expected_files.items():
        if not same_file(paths[name], text):
            return f"{name} has another content"
    for name, path in paths.items():
        if name not in task.expected_archives and (name in task.executable) != is_executable(path):
            return f"{name} has other permissions"
    checks = (archive_difference(paths[name], name, each) for name, each in task.expected_archives.items())
    return next(filter(None, checks), None)


def archive_difference(path: Path, name: str, files: Mapping[str, str]) -> str | None:
    """The difference between the files in an archive and the expected ones."""
    if path.is_symlink():
        return f"{name} is a link"
    with tempfile.TemporaryDirectory(prefix="gym-terminal-") as inside, path.open("rb") as source:
        try:
            unpack(source, Path(inside), most_bytes=MAX_FILES)
        except ArchiveRefused as error:
            return f"{name}: {error}"
        paths = {str(each.relative_to(inside)): each for each in walk(Path(inside))}
        same = paths.keys() == files.keys() and all(same_file(paths[each], files[each]) for each in files)
    return None if same else f"{name} has other files inside"


def walk(folder: Path) -> Iterator[Path]:
    """Everything in a folder that is no folder, links too."""
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in (*files, *links))


def same_file(path: Path, text: str) -> bool:
    """Whether it is a file, not a link, with this text; a line break at its end does not matter."""
    state = path.lstat()
    content = text.encode("utf-8", "surrogatepass")
    if not stat.S_ISREG(state.st_mode) or abs(state.st_size - len(content)) > 1:
        return False
    return path.read_bytes().removesuffix(b"\n") == content.removesuffix(b"\n")


def is_executable(path: Path) -> bool:
    return bool(path.lstat().st_mode & stat.S_IXUSR)


def short(text: str) -> str:
    """The beginning and the end of a long text."""
    return text if len(text) <= MAX_OUTPUT else text[: MAX_OUTPUT // 2] + "\n...\n" + text[-MAX_OUTPUT // 2 :]
