"""Keeps the turns of a run's unfinished rollouts, and deletes them once their rows are written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from nemo_gym.agents.trajectory import LoopAgent
from nemo_gym.agents.turns import TurnFolder
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import restores
from nemo_gym.runs.journal import Commit
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.row_identity import read_stamp


class TurnWatch:
    """Deletes the turns of rollouts whose rows, scored or failed, are on disk."""

    def __init__(self, folder: TurnFolder) -> None:
        self._folder = folder

    async def on_commit(self, commit: Commit) -> None:
        await asyncio.to_thread(self._delete, [*commit.rollouts, *commit.failures])

    def _delete(self, lines: list[bytes]) -> None:
        for number, line in enumerate(lines, start=1):
            stamp = read_stamp(line, Path("commit"), number, is_checked=True)
            self._folder.path(stamp.task_index, stamp.rollout_index).unlink(missing_ok=True)


def keep_turns(agent: object, folder: str) -> None:
    """Let an agent keep its turns in a folder, if it can."""
    if isinstance(agent, LoopAgent) and _keeps_turns(agent):
        agent.turns = TurnFolder(Path(folder))


def turn_notes(agent: object, environment: Environment, capture: CaptureSettings | None) -> list[str]:
    """A note, if a killed rollout of a run that keeps turns would start again all the same.

    Raises:
        UsageError: the run also captures model calls.
    """
    if capture is not None:
        raise UsageError(
            "turns and captured calls can't be kept together: a rollout that goes on would lack the calls of "
            "its earlier turns"
        ).about("journal_turns", "capture_dir")
    if not _keeps_turns(agent):
        return [f"{_AGAIN}: the agent {type(agent).__name__} keeps no turns"]
    if not restores(environment):
        declared = "it declares neither restorable = True nor snapshot() and restore(), or it is at a URL"
        return [f"{_AGAIN}: environment {environment.name()} can't be restored: {declared}"]
    return []


_AGAIN: Final = "warning: the turns are not kept, and a killed rollout starts again"


def _keeps_turns(agent: object) -> bool:
    return bool(vars(type(agent)).get("keeps_turns"))
