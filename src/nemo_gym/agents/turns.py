"""The turns of unfinished rollouts on disk, so that a rollout whose process was killed goes on after them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.environments.link import RestorableLink
from nemo_gym.environments.session import Session
from nemo_gym.wire import keys
from nemo_gym.wire.errors import RolloutError
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row

log: Final = logging.getLogger(__name__)


class NotRestored(Exception):
    """The environment can't be brought to where it was, so the rollout starts again."""


class Turn(msgspec.Struct, omit_defaults=True):
    """An answer of the model, and what the environment did with it."""

    answer: dict[str, Any]
    """The model's Response, with the tokens of its items."""
    result: Any
    """The environment's turn, as JSON: the outputs of tools, or a step."""
    model_s: float = 0.0
    state: Any = None
    """The snapshot of the session after the turn, where the environment gives one."""


class TurnFolder:
    """A file for each unfinished rollout: a line with the number of its attempt, then a line for each turn.

    The file is deleted once the rollout's row is in the journal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, row: Row) -> TurnFile:
        """The file of a rollout."""
        path = self.path(row[keys.TASK_INDEX], row[keys.ROLLOUT_INDEX])
        return TurnFile(path, row.get(keys.ATTEMPT_INDEX, 0))

    def path(self, task: int, rollout: int) -> Path:
        """The path of a rollout's file."""
        return self.folder / f"{task}-{rollout}.jsonl"

    def clear(self) -> None:
        """Delete the folder and its files."""
        for path in self.folder.glob("*.jsonl"):
            with suppress(OSError):
                path.unlink()
        with suppress(OSError):
            self.folder.rmdir()


class TurnFile:
    """The turns of one attempt at a rollout. A process that is killed leaves a torn last line, which is cut
    off. A turn that the disk did not keep is asked for again."""

    def __init__(self, path: Path, attempt: int) -> None:
        self._path = path
        self._head = encode({"attempt": attempt}) + b"\n"
        self._size = 0

    def read(self) -> list[Turn]:
        """The turns so far; later ones are written after them."""
        self._size = 0
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except OSError:
            return []
        if not lines or lines[0] != self._head:
            return []
        self._size = len(lines[0])
        turns: list[Turn] = []
        for line in lines[1:]:
            try:
                turn = msgspec.convert(decode(line), Turn)
            except (ValueError, RecursionError):
                break
            if not line.endswith(b"\n"):
                break
            turns.append(turn)
            self._size += len(line)
        return turns

    def append(self, turn: Turn) -> None:
        """Write a turn after those that were read or written.

        Raises:
            OSError: it can't be written.
            ValueError: it is not JSON.
        """
        line = encode(msgspec.structs.asdict(turn)) + b"\n"
        if self._size == 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            line = self._head + line
        with self._path.open("r+b" if self._size else "wb") as file:
            os.ftruncate(file.fileno(), self._size)
            file.seek(self._size)
            file.write(line)
        self._size += len(line)

    def delete(self) -> None:
        """Delete the file; the next turn begins a new one."""
        self._size = 0
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


class TurnLog:
    """The turns of a running rollout: first those of the earlier process, then those that it adds.

    Args:
        earlier: turns whose answers are not asked for again. The environment's part of them is run again and
            must come to the same result; where it has snapshots, the last one is restored instead.
    """

    def __init__(self, file: TurnFile, link: RestorableLink, session: Session, earlier: list[Turn]) -> None:
        self._file = file
        self._link = link
        self._session = session
        self._earlier = deque(earlier)
        self._turn: Turn | None = None
        self._broken = False
        self.count = len(earlier)
        """How many turns the earlier process had completed."""

    def earlier_turn(self) -> Turn | None:
        """The next turn of the earlier process, which begins; None when there are no more."""
        self._turn = self._earlier.popleft() if self._earlier else None
        return self._turn

    async def result(self, answer: Response, model_s: float, act: Callable[[], Awaitable[Any]]) -> Any:
        """The environment's part of a turn, as JSON.

        Raises:
            NotRestored: it is not as it was.
        """
        if self._turn is not None:
            return await self._restored(self._turn, act)
        result = await act()
        if not self._broken:
            state = await self._link.snapshot(self._session) if self._link.restores == "snapshot" else None
            await self._append(Turn(answer.data, result, model_s, state))
        return result

    async def _restored(self, turn: Turn, act: Callable[[], Awaitable[Any]]) -> Any:
        try:
            if self._link.restores == "snapshot":
                if not self._earlier:
                    await self._link.restore(self._session, turn.state)
                return turn.result
            result = await act()
        except RolloutError as error:
            raise NotRestored(str(error)) from error
        if decode(encode(result)) != turn.result:
            number = self.count - len(self._earlier)
            raise NotRestored(f"the environment's part of turn {number} is not what it was")
        return result

    async def _append(self, turn: Turn) -> None:
        try:
            await asyncio.to_thread(self._file.append, turn)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            self._broken = True
            self._file.delete()
            row = self._session.row
            log.warning("%s: its turns are not kept, so it would start again: %s", rollout_name(row), error)


def rollout_name(row: Row) -> str:
    """`task 3, repeat 0`."""
    return f"task {row[keys.TASK_INDEX]}, repeat {row[keys.ROLLOUT_INDEX]}"
