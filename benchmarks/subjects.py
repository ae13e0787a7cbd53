"""Who takes part: the floor, this project, and the peers, each behind the same few functions."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import ours
import served
import workload

HERE = Path(__file__).parent
PEER_ENVIRONMENTS = HERE / ".peers"
INSTALL_TIMEOUT_S = 1200


class Unavailable(Exception):
    """Raised when a subject cannot be run here; the message is the reason shown in the table."""


@dataclass(frozen=True)
class Subject:
    """One column of the table."""

    name: str
    label: str
    write_tasks: Callable[[Path, workload.Kind, int], None]
    command: Callable[[workload.Kind, int, str, Path, Path], list[str]]
    """(kind, concurrency, url ending in /v1, tasks file, empty output folder) to the command."""
    tally: Callable[[Path], tuple[int, int]]
    """Output folder to (rollouts recorded, rollouts right)."""
    minutes: float = 0.0
    """Time for all cells of a peer; 0 for the floor and this project, which always finish."""


@dataclass(frozen=True)
class Peer:
    """A published package with its script in `peers/`, and its pinned requirements beside it."""

    name: str
    package: str
    script: str
    minutes: float
    """Time for all its cells in a full run."""


PEERS = (
    Peer("verifiers", "verifiers", "run_verifiers.py", 6),
    Peer("verifiers-0.3", "verifiers", "run_verifiers_03.py", 5),
    Peer("inspect-ai", "inspect-ai", "run_inspect.py", 8),
    Peer("nemo-gym", "nemo-gym", "run_nemo_gym.py", 12),
)
OWN = ("floor", "ours", "served")
"""What is ours: measured cell by cell, side by side."""
NAMES = (*OWN, *(peer.name for peer in PEERS))


def find(name: str) -> Subject:
    """The subject called `name`, installed if it is a peer. Raises Unavailable."""
    if name == "floor":
        return _floor()
    if name in OWN:
        if reason := ours.unavailable():
            raise Unavailable(reason)
        if name == "ours":
            return Subject(name, ours.label(), ours.write_tasks, ours.command, ours.tally)
        label = "this project through its HTTP servers: environment, agent, model and head in one process"
        return Subject(name, label, ours.write_tasks, served.command, ours.tally)
    return _peer(next(peer for peer in PEERS if peer.name == name))


def python_with(name: str) -> Path:
    """The Python of the virtual environment with `peers/NAME.txt`, made again when that file has changed.

    Raises:
        Unavailable: it can't be installed here.
    """
    pins = HERE / "peers" / f"{name}.txt"
    home = PEER_ENVIRONMENTS / name
    python = home / "bin" / "python"
    stamp = home / "requirements.sha256"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest and python.exists():
        return python
    asked = re.match(r"# python (3\.\d+)\n", pins.read_text())
    if asked is None:
        raise Unavailable(f"{pins.name} does not begin with `# python 3.x`")
    print(f"installing {name} (once) ...", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    _install_step([_find_python(asked[1]), "-m", "venv", str(home)])
    _install_step([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(pins)])
    stamp.write_text(digest)
    return python


def plain_reason(text: str) -> str:
    """The last line of an error output, without addresses and absolute paths."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[-1] if lines else "no output"
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = re.sub(r"\w+://\S+", "<address>", line)
    line = re.sub(r"(?:/[\w.@+-]+){2,}/", ".../", line)
    return line.replace("|", "/")[:160]


def _floor() -> Subject:
    def write_tasks(path: Path, kind: workload.Kind, rollouts: int) -> None:
        workload.write_rows(path, (workload.chat_body(kind, index) for index in range(rollouts)))

    def command(kind: workload.Kind, concurrency: int, url: str, tasks: Path, out: Path) -> list[str]:
        return [
            *(sys.executable, str(HERE / "floor.py"), "--url", url, "--kind", kind),
            *("--bodies", str(tasks), "--out", str(out / "answers.jsonl"), "--concurrency", str(concurrency)),
        ]

    def tally(out: Path) -> tuple[int, int]:
        with (out / "answers.jsonl").open("rb") as file:
            right = [b"Final answer: amber-" in line for line in file]
        return len(right), sum(right)

    label = f"floor (wreq {metadata.version('wreq')})"
    return Subject("floor", label, write_tasks, command, tally)


def _peer(peer: Peer) -> Subject:
    python = python_with(peer.name)
    script = HERE / "peers" / peer.script

    def write_tasks(path: Path, kind: workload.Kind, rollouts: int) -> None:
        workload.write_rows(path, (workload.plain_row(kind, index) for index in range(rollouts)))

    def command(kind: workload.Kind, concurrency: int, url: str, tasks: Path, out: Path) -> list[str]:
        return [
            *(str(python), str(script), "--url", url, "--kind", kind),
            *("--tasks", str(tasks), "--out", str(out), "--concurrency", str(concurrency)),
        ]

    def tally(out: Path) -> tuple[int, int]:
        summary = json.loads((out / "summary.json").read_bytes())
        return summary["done"], summary["right"]

    ask = (
        "import importlib.metadata, platform, sys;"
        "print(importlib.metadata.version(sys.argv[1]), platform.python_version())"
    )
    version, on = subprocess.check_output([python, "-c", ask, peer.package], text=True).split()
    label = f"{peer.package} {version} (Python {on})"
    return Subject(peer.name, label, write_tasks, command, tally, peer.minutes)


def _install_step(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"not installed after {INSTALL_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise Unavailable("cannot be installed: " + plain_reason(done.stderr))


def _find_python(version: str) -> str:
    """A working interpreter of this minor version: on PATH, then among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    for candidate in [*([on_path] if on_path else []), *map(str, found)]:
        probe = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if probe.returncode == 0 and probe.stdout.startswith(f"Python {version}."):
            return candidate
    raise Unavailable(f"needs Python {version}, which is not on PATH")
