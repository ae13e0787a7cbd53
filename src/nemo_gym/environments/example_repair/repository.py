"""A rollout's own repository on disk: laid out, read and written within bounds, copied and tested."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nemo_gym.environments.example_repair import testing
from nemo_gym.environments.process import Limits, clean_environment, run_program
from nemo_gym.environments.tool import ToolError
from nemo_gym.wire.errors import EnvironmentFault

MAX_BYTES: Final = 256 << 10
"""Of one file that is read or written."""
MAX_FILES: Final = 500


@dataclass(frozen=True, slots=True)
class Tested:
    """What the tests said; `ran` is None when they did not get to their end."""

    ran: int | None
    bad: int
    report: str

    @property
    def passed(self) -> bool:
        return bool(self.ran) and self.bad == 0


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
            ended = await run_program(["git", *words], folder=folder, env=env, seconds=30.0)
        except OSError as error:
            raise EnvironmentFault(f"git can't be started: {error}") from None
        if ended.exit_code != 0:
            raise EnvironmentFault(f"git {words[0]} failed: {ended.stderr[-500:]}")


def list_files(folder: Path) -> list[str]:
    """The regular files, git's own left out, sorted."""
    names: list[str] = []
    for place, folders, found in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", "__pycache__")]
        for name in found:
            path = Path(place, name)
            if stat.S_ISREG(path.lstat().st_mode):
                names.append(str(path.relative_to(folder)))
        if len(names) > MAX_FILES:
            break
    return sorted(names)[:MAX_FILES]


def read_file(folder: Path, name: str) -> str:
    """A file's text.

    Raises:
        ToolError: it is missing, too large, or outside the repository.
    """
    path = _inside(folder, name)
    if not path.is_file():
        raise ToolError(f"There is no file {name!r}; list_files names those that there are.")
    if path.stat().st_size > MAX_BYTES:
        raise ToolError(f"{name} is larger than {MAX_BYTES} bytes.")
    return path.read_text("utf-8", "replace")


def write_file(folder: Path, name: str, text: str) -> None:
    """Make a file, or put `text` in the place of all that it holds.

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


async def run_tests(folder: Path, tests: Mapping[str, str], *, seconds: float) -> Tested:
    """The tests as they were given, run on a copy of the repository's Python files for so long at most.

    So it makes no difference what was done to the tests, to git or with links.
    """
    copy = Path(tempfile.mkdtemp(prefix="gym-repair-"))
    try:
        for name in list_files(folder):
            path = folder / name
            if name.endswith(".py") and not Path(name).name.startswith("test_"):
                write_file(copy, name, path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace"))
        for name, text in tests.items():
            write_file(copy, name, text)
        word = secrets.token_hex(16)
        ended = await run_program(
            [sys.executable, "-I", "-S", testing.__file__, str(copy)],
            folder=copy,
            env=clean_environment(copy),
            seconds=seconds,
            stdin=f"{word}\n".encode(),
            limits=_LIMITS,
            keep_bytes=8 << 10,
        )
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    report = _TIME.sub("", ended.stderr.replace(str(copy), ".")).strip()
    last = ended.stdout.strip().rpartition("\n")[2].split()
    if ended.exit_code is None:
        return Tested(None, 0, f"The tests did not end within {seconds:g} seconds.")
    if len(last) != 3 or last[0] != word:
        return Tested(None, 0, f"The tests did not get to their end (exit code {ended.exit_code}).\n{report}")
    return Tested(int(last[1]), int(last[2]), report)


_TIME: Final = re.compile(r" in \d+\.\d+s$", re.MULTILINE)
"""How long the tests took, which is never the same twice."""
_LIMITS: Final = Limits(cpu_s=60, memory_bytes=1 << 30, file_bytes=1 << 20)


def _inside(folder: Path, name: str) -> Path:
    try:
        path = (folder / name).resolve()
    except (ValueError, OSError, RuntimeError):
        raise ToolError(f"{name!r} is not a path.") from None
    root = folder.resolve()
    if path == root or not path.is_relative_to(root) or ".git" in path.relative_to(root).parts:
        raise ToolError(f"{name!r} is not a file of this repository.")
    return path
