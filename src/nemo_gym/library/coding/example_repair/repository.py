"""A rollout's own repository on disk: it creates it, reads and writes its files, and runs its tests."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import ToolError
from nemo_gym.library.coding.example_repair import testing
from nemo_gym.library.coding.example_repair.exchange import exchange
from nemo_gym.sandbox import SandboxCreateError, SandboxPool, SandboxSpec
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxPtyError, SandboxStopped
from nemo_gym.support.processes import clean_environment, run_program
from nemo_gym.wire.errors import EnvironmentFault

MAX_BYTES: Final = 256 << 10
"""The most bytes of one file that is read or written."""
MAX_FILES: Final = 500
MAX_CODE: Final = 8 << 20
"""The most bytes of all files together that are tested."""
MAX_DEPTH: Final = 20
MAX_PATH: Final = 500


@dataclass(frozen=True, slots=True)
class TestRun:
    """The result of the tests."""

    count: int | None
    """How many tests ran; None when not all of them ran to their end."""
    failures: int
    """How many of them did not pass."""
    report: str

    @property
    def passed(self) -> bool:
        return bool(self.count) and self.failures == 0


async def make_repository(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files and commit them.

    Raises:
        EnvironmentFault: git is missing or failed.
    """
    for name, text in files.items():
        write_file(folder, name, text)
    env = clean_environment(folder) | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["-c", "user.name=gym", "-c", "user.email=gym@localhost", "commit", "--quiet", "-m", "As found"],
    ):
        try:
            result = await run_program(["git", *words], folder=folder, env=env, seconds=30.0)
        except OSError as error:
            raise EnvironmentFault(f"git can't be started: {error}") from None
        if result.exit_code != 0:
            raise EnvironmentFault(f"git {words[0]} failed: {result.stderr[-500:]}")


def list_files(folder: Path) -> list[str]:
    """The sorted names of the regular files, without those of git and those in too many folders."""
    names: list[str] = []
    for place, folders, files in os.walk(folder):
        deep = len(Path(place).relative_to(folder).parts) + 1 >= MAX_DEPTH
        folders[:] = [] if deep else [name for name in folders if name not in (".git", "__pycache__")]
        for name in files:
            path = Path(place, name)
            inner = str(path.relative_to(folder))
            if len(inner) <= MAX_PATH and stat.S_ISREG(path.lstat().st_mode):
                names.append(inner)
        if len(names) > MAX_FILES:
            break
    return sorted(names)[:MAX_FILES]


def read_file(folder: Path, name: str) -> str:
    """A file's text.

    Raises:
        ToolError: it is missing, too large, or outside the repository.
    """
    path = _inside(folder, name)
    try:
        exists = path.is_file()
    except OSError:  # No file can have that name.
        exists = False
    if not exists:
        raise ToolError(f"There is no file {name!r}; list_files names those that there are.")
    if path.stat().st_size > MAX_BYTES:
        raise ToolError(f"{name} is larger than {MAX_BYTES} bytes.")
    return path.read_text("utf-8", "replace")


def write_file(folder: Path, name: str, text: str) -> None:
    """Write a file, in place of its old text if there is one.

    Raises:
        ToolError: it is outside the repository, git's own, or too large.
    """
    path = _inside(folder, name)
    content = text.encode("utf-8", "replace")
    if len(content) > MAX_BYTES:
        raise ToolError(f"{name} would be larger than {MAX_BYTES} bytes.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ToolError(f"{name} can't be written: {error.strerror}.") from None


def sandboxes() -> SandboxPool:
    """A pool with places for both sandboxes of `run_tests`, for use without a session."""
    return SandboxPool(limit=2)


async def run_tests(
    holder: Session | SandboxPool, folder: Path, tests: Mapping[str, str], *, seconds: float
) -> TestRun:
    """Run tests on the repository's Python files, for at most so many seconds. The tests are in one sandbox
    and the files in another, and only values cross between them (`testing`).

    So the result does not depend on changes to the repository's tests, to git or to links, or on what the
    files do to their own process.

    Raises:
        EnvironmentFault: no sandbox can be created.
    """
    code = python_files(folder)
    try:
        specs = _spec("code", code), _spec("tests", tests)
        async with holder.sandbox(specs[0]) as subject, holder.sandbox(specs[1]) as tester:
            async with asyncio.timeout(seconds):
                verdict = await exchange(subject, tester, [f"python3 -I -S -u {_SCRIPT}", *_modules(code)])
    except TimeoutError:
        return TestRun(None, 0, f"The tests did not end within {seconds:g} seconds.")
    except (SandboxCreateError, InvalidSandbox) as error:
        raise EnvironmentFault(f"the tests can't be run: {error}") from None
    except (SandboxPtyError, SandboxStopped):
        verdict = None
    if verdict is None:
        return TestRun(None, 0, "The tests did not get to their end.")
    report = _TIME.sub("", _PLACE.sub('File "./', verdict.report)).strip()
    count = sum(len(_TEST.findall(text)) for text in tests.values())
    if verdict.count < count:
        return TestRun(None, verdict.failures, f"Only {verdict.count} of {count} tests were run.\n{report}")
    return TestRun(verdict.count, verdict.failures, report)


_SCRIPT: Final = "testing.py"
_TIME: Final = re.compile(r" in \d+\.\d+s$", re.MULTILINE)
"""The duration of the tests, which differs from run to run."""
_PLACE: Final = re.compile(r'File "[^"\n]*/(?:code|tests)/')
_TEST: Final = re.compile(r"^[ \t]+(?:async[ \t]+)?def[ \t]+test\w*[ \t]*\(", re.MULTILINE)


def _spec(place: str, files: Mapping[str, str]) -> SandboxSpec:
    paths = {f"{place}/{name}": text for name, text in files.items()}
    limits = {"file_mib": 1, "cpu_s": 20, "processes": 64}
    return SandboxSpec(
        files={_SCRIPT: inspect.getsource(testing), **paths},
        resources={"memory_mib": 1024},
        provider_options={"local": {"limits": limits}},
    )


def python_files(folder: Path) -> dict[str, str]:
    """The text of each Python file that is not a test, by name."""
    code: dict[str, str] = {}
    room = MAX_CODE
    for name in list_files(folder):
        if name.endswith(".py") and not Path(name).name.startswith("test_"):
            with (folder / name).open("rb") as file:
                data = file.read(min(room, MAX_BYTES))
            room -= len(data)
            code[name] = data.decode("utf-8", "replace")
    return code


def _modules(code: Mapping[str, str]) -> list[str]:
    """The names by which tests can import them."""
    names = {Path(name).parts[0].removesuffix(".py") for name in code}
    return sorted(name for name in names if name.isidentifier())


def _inside(folder: Path, name: str) -> Path:
    try:
        path = (folder / name).resolve()
    except (ValueError, OSError, RuntimeError):
        raise ToolError(f"{name!r} is not a path.") from None
    root = folder.resolve()
    if len(name) > MAX_PATH or len(path.parts) - len(root.parts) > MAX_DEPTH:
        raise ToolError(
            f"The path is longer than {MAX_PATH} characters or more than {MAX_DEPTH} folders deep."
        )
    if path == root or not path.is_relative_to(root) or ".git" in path.relative_to(root).parts:
        raise ToolError(f"{name!r} is not a file of this repository.")
    return path
