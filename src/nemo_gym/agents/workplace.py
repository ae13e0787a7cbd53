"""`Workplace`: the place where an agent program runs, either this machine itself or a sandbox."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nemo_gym.support.processes import Ended, clean_environment, kill_carriers, run_program
from nemo_gym.support.removal import remove_tree
from nemo_gym.wire.errors import AgentFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to run."""

    argv: Sequence[str]
    env: Mapping[str, str]
    """Variables that are added to the clean environment of every program."""
    files: Mapping[str, str]
    """The text of each file to write, by its path below HOME."""
    stdin: str | None
    seconds: float
    """The longest time it may run."""
    ok_exit_codes: Collection[int]
    """Exit codes that mean that the program did its work, with a good result or a bad one."""


class Workplace(Protocol):
    """One program's own place: a working directory, a HOME, and access to the servers that it may use."""

    @property
    def workdir(self) -> str:
        """The working directory, as the program sees it."""
        ...

    @property
    def home(self) -> str:
        """HOME, as the program sees it."""
        ...

    @property
    def observation(self) -> Mapping[str, Any] | None:
        """The sandbox that the program ran in, as a `SandboxObservation`."""
        ...

    async def reach(self, url: str) -> str:
        """The URL at which the program can reach a server of this machine.

        Raises:
            AgentFault: the program can't reach it.
        """
        ...

    async def run(self, program: Program) -> Ended:
        """Run the program to its end. The rollout's folder then holds the content of its working directory.

        Raises:
            AgentFault: the program can't be started, or the place failed.
        """
        ...


class OnThisMachine:
    """This machine, without a sandbox: the program works in the rollout's folder and has its own HOME."""

    observation = None

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.workdir = str(folder)
        self.home = str(scratch / "home")

    async def reach(self, url: str) -> str:
        return url

    async def run(self, program: Program) -> Ended:
        home = Path(self.home)
        await asyncio.to_thread(_write_files, home, program.files)
        stdin = None if program.stdin is None else program.stdin.encode("utf-8", "replace")
        env = {**clean_environment(home), **program.env}
        try:
            return await run_program(
                program.argv, folder=Path(self.workdir), env=env, seconds=program.seconds, stdin=stdin
            )
        except (OSError, ValueError) as error:
            raise AgentFault(f"{program.argv[0]} can't be started: {error}") from error
        finally:
            await asyncio.to_thread(kill_carriers, f"HOME={env['HOME']}")


@asynccontextmanager
async def scratch_folder() -> AsyncGenerator[Path, None]:
    """A temporary folder, removed at the end of the block."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="gym-agent-"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(remove_tree, folder)


def _write_files(home: Path, files: Mapping[str, str]) -> None:
    home.mkdir(exist_ok=True)
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8", "replace")
