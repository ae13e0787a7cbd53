"""The escapes, started as root and as an ordinary user, with user namespaces and on a kernel without them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import nemo_gym
from nemo_gym.sandbox.providers.local.landlock import SIGNALS, TRUNCATION, version

ORDINARY: Final = 54_321
USERS: Final = (
    {"root": 0, "ordinary user": ORDINARY} if os.geteuid() == 0 else {"ordinary user": os.geteuid()}
)
REPOSITORY: Final = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    path = Path(tempfile.mkdtemp(prefix="gym-escapes-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def interpreter(user: int) -> str:
    """A Python that a user can start."""
    if user == os.geteuid():
        return sys.executable
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for path in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        real = Path(path).resolve()
        if real.exists() and all(part.stat().st_mode & 1 for part in (real, *real.parents)):
            return path
    raise AssertionError(f"no {name} here can be started by another user")


async def escapes(user: int, without: str, folder: Path) -> dict[str, Any]:
    """The report of `tests.support.escapes`."""
    paths = (sysconfig.get_path("purelib"), str(Path(nemo_gym.__file__).parents[1]), str(REPOSITORY))
    other: dict[str, Any] = {}
    if user != os.geteuid():
        os.chown(folder, user, user)
        other = {"user": user, "group": user, "extra_groups": []}
    process = await asyncio.create_subprocess_exec(
        interpreter(user), "-m", "tests.support.escapes", without, str(folder),
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": ":".join(paths)},
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, **other,
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(), 600)
    assert process.returncode == 0, errors.decode()[-2000:]
    return json.loads(out)


def check(report: dict[str, Any], isolation: str) -> None:
    assert report["isolation"] == isolation
    assert report["successes"] == ["end"]
    assert report["excesses"] == []
    assert report["outside"] == {"secret": ["hush", 0o644]}
    assert report["left"] == ["secret", "secret.socket"]


@pytest.mark.parametrize("user", USERS)
async def test_no_escape_succeeds_with_namespaces(user: str, folder: Path) -> None:
    report = await escapes(USERS[user], "namespaces", folder)
    assert report["user"] == USERS[user]
    check(report, "namespaces")


@pytest.mark.parametrize("user", USERS)
async def test_without_namespaces_none_succeeds_or_nothing_runs(user: str, folder: Path) -> None:
    report = await escapes(USERS[user], "landlock", folder)
    assert report["user"] == USERS[user]
    if version() >= (TRUNCATION if user == "root" else SIGNALS):
        check(report, "landlock")
    else:
        assert "Landlock is not enough" in report["refusal"]


@pytest.mark.parametrize("user", USERS)
async def test_without_namespaces_and_landlock_nothing_runs(user: str, folder: Path) -> None:
    report = await escapes(USERS[user], "nothing", folder)
    assert report["refusal"].startswith("sandboxes can't be isolated here: ")
    assert "the kernel has no Landlock" in report["refusal"]
    assert "\n" not in report["refusal"]
