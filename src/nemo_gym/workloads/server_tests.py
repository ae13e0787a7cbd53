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
    """The result of the tests of one server."""

    name: str
    passed: bool
    exit_code: int | None
    """The exit code of pytest; None when it could not start or ran out of time."""
    seconds: float
    output: str
    """The last part of pytest's output."""
    data_problems: list[str] = []
    """The problems of the server's examples, if they were checked."""


def server_folder(name: str, roots: Sequence[Path]) -> Path:
    """The folder of a resources server.

    Args:
        name: of the server, or the path of its folder relative to a search root.

    Raises:
        UsageError: there is no such server; the message has the nearest name.
    """
    for root in roots:
        for folder in (root / GROUP / name, root / name):
            if (folder / ENTRYPOINT).is_file():
                return folder.resolve()
    hint = did_you_mean(name, [folder.name for folder in server_folders(roots)])
    places = ", ".join(map(str, roots))
    raise UsageError(f"no resources server {name!r} with a folder of its own.{hint} (looked in {places})")


def server_folders(roots: Sequence[Path], shards: int = 1, shard: int = 0) -> list[Path]:
    """The folders of resources servers in the order of their names: every `shards`-th from the `shard`-th on.

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
    """Run the tests of a server in its folder, with its search root on the import path.

    Raises:
        UsageError: pytest is not installed.
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
    process = await run_program(
        [python, "-m", "pytest", *_settings(folder), "tests"],
        folder=folder,
        env={**os.environ, "PYTHONPATH": path},
        seconds=TESTS_S,
    )
    if not keep_virtualenv and python != sys.executable:
        shutil.rmtree(Path(python).parents[1], ignore_errors=True)
    output = process.stdout.strip() or process.stderr.strip()
    return ServerTest(folder.name, process.exit_code == 0, process.exit_code, process.seconds, output)


def _settings(folder: Path) -> list[str]:
    """The options of pytest for a project without settings of its own: `async def` tests need no mark, as
    existing servers expect."""
    places = (folder, *folder.parents[:2])
    files = (place / name for place in places for name in _PYTEST_SECTIONS)
    has_settings = any(
        file.is_file() and _PYTEST_SECTIONS[file.name] in file.read_text(errors="replace") for file in files
    )
    return [] if has_settings else ["-o", "asyncio_mode=auto"]


_PYTEST_SECTIONS: Final = {
    "pytest.ini": "",
    ".pytest.ini": "",
    "pytest.toml": "",
    ".pytest.toml": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
"""The files that may configure pytest, and the text that a file with settings has."""
