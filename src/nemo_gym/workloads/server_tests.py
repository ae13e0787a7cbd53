"""Runs a server's own tests with pytest, after installing the server's requirements."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from nemo_gym.config.server_kinds import ENTRYPOINT
from nemo_gym.serving.virtualenvs import python_for
from nemo_gym.support.processes import run_program
from nemo_gym.wire.errors import GymError, UsageError, did_you_mean

GROUP: Final = "resources_servers"
TESTS_S: Final = 3600.0
"""Seconds that the tests of one server may take."""


class ServerTest(msgspec.Struct):
    """How the tests of one server ended."""

    name: str
    passed: bool
    exit_code: int | None
    """pytest's; None when it could not be started or ran out of time."""
    seconds: float
    output: str
    """The last part of the printed output."""
    data_problems: list[str] = []
    """What is wrong with its examples, when they were looked at."""


def server_folder(name: str, roots: Sequence[Path]) -> Path:
    """The folder of a resources server: its name, or a path relative to a search root.

    Raises:
        UsageError: there is none, with the nearest name.
    """
    for root in roots:
        for folder in (root / GROUP / name, root / name):
            if (folder / ENTRYPOINT).is_file():
                return folder.resolve()
    names = [folder.name for folder in server_folders(roots)]
    looked = ", ".join(map(str, roots))
    hint = did_you_mean(name, names)
    raise UsageError(f"no resources server {name!r} with a folder of its own.{hint} (looked in {looked})")


def server_folders(roots: Sequence[Path], shards: int = 1, shard: int = 0) -> list[Path]:
    """Every resources server that has a folder, by name; or every `shards`-th of them, from the `shard`-th.

    Raises:
        UsageError: there is no such shard.
    """
    if not 0 <= shard < shards:
        raise UsageError(f"shard_index {shard}: expected 0 to {shards - 1}, as num_shards is {shards}")
    folders: dict[str, Path] = {}
    for root in roots:
        for folder in (root / GROUP).glob("*/"):
            if (folder / ENTRYPOINT).is_file():
                folders.setdefault(folder.name, folder.resolve())
    return [folders[name] for name in sorted(folders)][shard::shards]


async def run_tests(folder: Path, virtualenvs: Path, *, keep_virtualenv: bool = True) -> ServerTest:
    """Run the tests of a server, in its folder and with its search root importable.

    Raises:
        UsageError: there is no pytest.
    """
    if find_spec("pytest") is None:
        raise UsageError("pytest can't be imported: pip install pytest")
    if not any((folder / "tests").glob("**/test_*.py")):
        return ServerTest(
            folder.name, False, None, 0.0, f"{folder}: has no tests: expected tests/test_app.py"
        )
    try:
        python = await python_for(folder, virtualenvs)
    except GymError as error:
        return ServerTest(folder.name, False, None, 0.0, str(error))
    path = os.pathsep.join([str(folder.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = await run_program(
        [python, "-m", "pytest", *_settings(folder), "tests"],
        folder=folder,
        env={**os.environ, "PYTHONPATH": path},
        seconds=TESTS_S,
    )
    if not keep_virtualenv and python != sys.executable:
        shutil.rmtree(Path(python).parents[1], ignore_errors=True)
    return ServerTest(
        name=folder.name,
        passed=ended.exit_code == 0,
        exit_code=ended.exit_code,
        seconds=ended.seconds,
        output=(ended.stdout.strip() or ended.stderr.strip()),
    )


def _settings(folder: Path) -> list[str]:
    """pytest's own, where no file of the project has any: `async def` tests run as they are, as the tests of
    existing servers expect."""
    places = (folder, *folder.parents[:2])
    files = (place / name for place in places for name in _PYTEST_SECTIONS)
    configured = any(
        file.is_file() and _PYTEST_SECTIONS[file.name] in file.read_text(errors="replace") for file in files
    )
    return [] if configured else ["-o", "asyncio_mode=auto"]


_PYTEST_SECTIONS: Final = {
    "pytest.ini": "",
    ".pytest.ini": "",
    "pytest.toml": "",
    ".pytest.toml": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
"""Files that configure pytest, by what they hold when they do."""
