"""Protocols for the sink that stores the tokens of model calls and the source that returns them."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from nemo_gym.wire.errors import GymError
from nemo_gym.wire.model_call import Captured, ModelCall, TokenEntry, call_of_entry, token_entry


class Snapshot(msgspec.Struct, frozen=True):
    """The tokens of one rollout, once it is over."""

    rollout_id: str
    entries: tuple[TokenEntry, ...]
    incomplete: bool
    """True when a call is known to be missing."""
    snapshot_id: str
    version: int
    """How many entries were added before."""


class TokenSink(Protocol):
    """Stores the tokens of every captured call. Its methods are coroutines or plain functions; a plain
    function runs in a thread.

    A sink may also have `begin_call(rollout_id, model_call_id)`, which is called before `put`: an entry that
    was begun and never put is missing. `clear(rollout_id)`, if there is one, is called before a rollout
    begins.
    """

    def put(self, entry: TokenEntry) -> Any:
        """Store the tokens of a call, so that they outlive this process. May raise."""
        ...

    def mark_incomplete(self, rollout_id: str) -> Any:
        """Note that a call of the rollout is missing. May raise."""
        ...

    def close(self) -> Any:
        """Release files and connections."""
        ...


class TokenSource(Protocol):
    """Returns the tokens of a rollout that is over. Its methods are coroutines or plain functions."""

    def freeze(self, rollout_id: str) -> Any:
        """The rollout's tokens as a `Snapshot` or an object with its attributes. No token is added later."""
        ...

    def drop(self, snapshot: Any) -> Any:
        """Delete a rollout whose tokens are on disk elsewhere, unless it has started again since."""
        ...

    def close(self) -> Any:
        """Release files and connections."""
        ...


class CaptureFailed(GymError):
    """The tokens of a call can be neither stored nor marked as missing."""


class TokenRecorder:
    """A recorder that stores the tokens of answered calls in a sink."""

    def __init__(self, sink: TokenSink) -> None:
        self.sink = sink

    async def record(self, call: ModelCall) -> None:
        """Store the tokens of a call that has an answer.

        Raises:
            CaptureFailed: the tokens can't be stored, and the rollout can't be marked incomplete either.
        """
        if call.answer is None:
            return
        entry = token_entry(call)
        try:
            if entry is None:
                raise ValueError("the model gave no tokens, or those of several items")
            begin = getattr(self.sink, "begin_call", None)
            if begin is not None:
                await await_call(begin, call.rollout_id, call.model_call_id)
            await await_call(self.sink.put, entry)
        except Exception as error:
            log.error("rollout %s: the tokens of a call are not stored: %s", call.rollout_id, error)
            await self._miss(call.rollout_id)

    async def mark_incomplete(self, rollout_id: str) -> None:
        """Do nothing: nobody has the answer of an abandoned call, so its tokens are not missing."""

    async def _miss(self, rollout_id: str) -> None:
        try:
            await await_call(self.sink.mark_incomplete, rollout_id)
        except Exception as error:
            raise CaptureFailed(f"rollout {rollout_id}: tokens are lost: {error}") from error


async def await_call(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function or a coroutine function; a plain function runs in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    return await asyncio.to_thread(function, *arguments)


async def clear_rollout(store: TokenSink, rollout_id: str) -> None:
    """Delete the tokens of an earlier run of the same rollout, if the store has `clear`."""
    clear = getattr(store, "clear", None)
    if clear is not None:
        await await_call(clear, rollout_id)


def captured_of(snapshot: Snapshot) -> Captured:
    """The calls of a snapshot. A call whose tokens don't fit together counts as missing."""
    captured = Captured([], snapshot.incomplete)
    for entry in snapshot.entries:
        try:
            captured.calls.append(call_of_entry(entry))
        except ValueError as error:
            log.error("rollout %s: %s", snapshot.rollout_id, error)
            captured.incomplete = True
    return captured


log: Final = logging.getLogger(__name__)
