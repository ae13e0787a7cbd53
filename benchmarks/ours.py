"""How the benchmark runs this project: through its command line, as a user would."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import msgspec
import workload

ENVIRONMENTS: dict[workload.Kind, str] = {"single": "string_match", "tool": "example_single_tool_call"}
GYM = Path(sys.executable).with_name("gym")


class _Row(msgspec.Struct):
    reward: float | None = None


def label() -> str:
    """Name and version for the table."""
    return f"nemo-gym {metadata.version('nemo-gym')} (this project)"


def unavailable() -> str | None:
    """Why this project cannot be run, or None."""
    if not GYM.exists():
        return "the command `gym` is not installed beside this Python"
    probe = subprocess.run([GYM, "run", "--help"], capture_output=True, check=False)
    return None if probe.returncode == 0 else "`gym run --help` fails"


def write_tasks(path: Path, kind: workload.Kind, rollouts: int) -> None:
    """Write the task rows."""
    workload.write_rows(path, (workload.gym_row(kind, index) for index in range(rollouts)))


def command(kind: workload.Kind, concurrency: int, url: str, tasks: Path, out: Path) -> list[str]:
    """The command line to measure; `url` ends in /v1."""
    return [
        *(str(GYM), "run", ENVIRONMENTS[kind]),
        *("-i", str(tasks), "-o", str(out / "rollouts.jsonl")),
        *("--model-type", "chat", "--model-url", url, "-m", workload.MODEL),
        *("--concurrency", str(concurrency)),
    ]


def tally(out: Path) -> tuple[int, int]:
    """Number of rollouts recorded, and of those with full reward."""
    decode = msgspec.json.Decoder(_Row).decode
    with (out / "rollouts.jsonl").open("rb") as file:
        rewards = [decode(line).reward for line in file]
    return len(rewards), sum(reward == 1.0 for reward in rewards)
