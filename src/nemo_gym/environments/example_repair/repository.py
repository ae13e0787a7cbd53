"""A rollout's own repository on disk: laid out, read and written within bounds, and tested."""

from __future__ import annotations

import inspect
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nemo_gym.environments.example_repair import testing
from nemo_gym.environments.tool import ToolError
from nemo_gym.sandbox import AsyncSandbox, SandboxCreateError, SandboxProvider, SandboxSpec
from nemo_gym.sandbox.process import clean_environment, run_program
from nemo_gym.sandbox.providers.local import LocalProvider
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


def sandboxes() -> LocalProvider:
    """Where tests run: shut off from this machine, or not at all."""
    return LocalProvider(
        create={"isolation": "required"},
        exec={"output_bytes": 16 << 10},
        limits={"memory_mib": 1024, "file_mib": 1, "cpu_s": 60, "processes": 64},
    )


async def run_tests(
    provider: SandboxProvider, folder: Path, tests: Mapping[str, str], *, seconds: float
) -> Tested:
    """The tests as they were given, run in a sandbox on the repository's Python files for so long at most.

    So it makes no difference what was done to the tests, to git or with links.

    Raises:
        EnvironmentFault: no sandbox can be made.
    """
    word = secrets.token_hex(16)
    files = {_SCRIPT: inspect.getsource(testing), _WORD: word}
    for name in list_files(folder):
        if name.endswith(".py") and not Path(name).name.startswith("test_"):
            files[name] = (folder / name).read_bytes()[:MAX_BYTES].decode("utf-8", "replace")
    try:
        async with AsyncSandbox(provider, SandboxSpec(files={**files, **tests}, workdir=_WORKDIR)) as sandbox:
            command = f"exec python3 -I -S {_SCRIPT} {_WORKDIR} {_WORD}"
            ended = await sandbox.exec(command, timeout_s=seconds)
    except TimeoutError:
        return Tested(None, 0, f"The tests did not end within {seconds:g} seconds.")
    except SandboxCreateError as error:
        raise EnvironmentFault(f"the tests can't be run: {error}") from None
    report = _TIME.sub("", (ended.stderr or "").replace(_WORKDIR, ".")).strip()
    last = (ended.stdout or "").strip().rpartition("\n")[2].split()
    if len(last) != 3 or last[0] != word:
        return Tested(
            None, 0, f"The tests did not get to their end (exit code {ended.return_code}).\n{report}"
        )
    return Tested(int(last[1]), int(last[2]), report)


_WORKDIR: Final = "/repository"
_SCRIPT: Final = "/tmp/testing.py"  # noqa: S108 - the sandbox's own
_WORD: Final = "/tmp/word"  # noqa: S108
_TIME: Final = re.compile(r" in \d+\.\d+s$", re.MULTILINE)
"""How long the tests took, which is never the same twice."""


def _inside(folder: Path, name: str) -> Path:
    try:
        path = (folder / name).resolve()
    except (ValueError, OSError, RuntimeError):
        raise ToolError(f"{name!r} is not a path.") from None
    root = folder.resolve()
    if path == root or not path.is_relative_to(root) or ".git" in path.relative_to(root).parts:
        raise ToolError(f"{name!r} is not a file of this repository.")
    return path
