"""Stores for the calls of a model server, by rollout."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from nemo_gym.capture.capture_files import CaptureFiles
from nemo_gym.capture.recorder import Recorder
from nemo_gym.capture.shared_lines import create_folder
from nemo_gym.wire.items import Json
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.model_call import Captured, ModelCall

T = TypeVar("T")


class CaptureStore(Recorder, Protocol):
    """A recorder whose calls can be read again."""

    async def read(self, rollout_id: str) -> Captured:
        """The agent's calls of a rollout so far; an unknown rollout has none."""
        ...

    async def clear(self, rollout_id: str) -> None:
        """Delete the calls of a rollout: before it runs again, or once its row is on disk."""
        ...


class MemoryCapture:
    """Keeps calls in memory until their rollout is cleared."""

    def __init__(self) -> None:
        self._rollouts: dict[str, Captured] = {}

    async def record(self, call: ModelCall) -> None:
        self._of(call.rollout_id).calls.append(call)

    async def mark_incomplete(self, rollout_id: str) -> None:
        self._of(rollout_id).incomplete = True

    async def read(self, rollout_id: str) -> Captured:
        captured = self._rollouts.get(rollout_id, Captured([]))
        return Captured(list(captured.calls), captured.incomplete)

    async def clear(self, rollout_id: str) -> None:
        self._rollouts.pop(rollout_id, None)

    def _of(self, rollout_id: str) -> Captured:
        return self._rollouts.setdefault(rollout_id, Captured([]))


class FileCapture:
    """`<folder>/<rollout_id>.capture.jsonl`, one line a call, each on disk before `record` returns.

    Several processes may record into one folder. `<rollout_id>.capture.incomplete` marks a rollout of
    which a call could not be written.

    Raises:
        UsageError: the folder can't be created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = create_folder(folder, "capture")
        self._files = CaptureFiles(self.folder)
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="capture")

    async def record(self, call: ModelCall) -> None:
        try:
            await self._off_loop(lambda: self._files.append(call.rollout_id, encode(call)))
        except (OSError, msgspec.MsgspecError, TypeError) as error:
            log.error("a call of rollout %s could not be recorded: %s", call.rollout_id, error)
            await self.mark_incomplete(call.rollout_id)

    async def mark_incomplete(self, rollout_id: str) -> None:
        try:
            await self._off_loop(lambda: self._files.mark_incomplete(rollout_id))
        except OSError as error:
            log.error("rollout %s could not be marked incomplete: %s", rollout_id, error)

    async def read(self, rollout_id: str) -> Captured:
        return await self._off_loop(lambda: _read(self._files, rollout_id))

    async def lines(self, rollout_id: str) -> tuple[list[dict[str, Json]], bool]:
        """The lines of a rollout as they are, those of other writers too, and whether a call is missing."""
        calls, is_whole = await self._off_loop(lambda: self._files.lines(rollout_id))
        return calls, not is_whole or self._files.is_incomplete(rollout_id)

    async def clear(self, rollout_id: str) -> None:
        await self._off_loop(lambda: self._files.clear(rollout_id))

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


log: Final = logging.getLogger(__name__)
_calls: Final = msgspec.json.Decoder(ModelCall)


def _read(files: CaptureFiles, rollout_id: str) -> Captured:
    captured = Captured([], files.is_incomplete(rollout_id))
    for line in files.raw_lines(rollout_id):
        try:
            call = _calls.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            captured.incomplete = True
            continue
        if not call.asked_as:
            captured.calls.append(call)
    return captured
