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
    """How often something was added before."""


class TokenSink(Protocol):
    """Takes the tokens of every captured call. Its methods may be coroutines or plain functions; these run
    in a thread.

    A sink may also have `begin_call(rollout_id, model_call_id)`, which is called before `put`, so that an
    entry that was begun and never put is known to be missing; and `clear(rollout_id)`, which is called before
    a rollout begins.
    """

    def put(self, entry: TokenEntry) -> Any:
        """Keep the tokens of a call, so that they outlive this process. May raise."""
        ...

    def mark_incomplete(self, rollout_id: str) -> Any:
        """Note that a call of the rollout is missing. May raise."""
        ...

    def close(self) -> Any:
        """Release what it holds."""
        ...


class TokenSource(Protocol):
    """Gives a rollout's tokens back when it is over. Coroutines or plain functions, as a sink's."""

    def freeze(self, rollout_id: str) -> Any:
        """The rollout's tokens as a `Snapshot`, or something with its attributes; nothing is added after."""
        ...

    def drop(self, snapshot: Any) -> Any:
        """Forget a rollout whose tokens are safe elsewhere; one that has started again since then stays."""
        ...

    def close(self) -> Any:
        """Release what it holds."""
        ...


class CaptureFailed(GymError):
    """The tokens of a call could be neither kept nor declared missing."""


class TokenRecorder:
    """A recorder that keeps the tokens of answered calls in a sink."""

    def __init__(self, sink: TokenSink) -> None:
        self.sink = sink

    async def record(self, call: ModelCall) -> None:
        """Keep the tokens of a call; without an answer there is nothing to keep.

        Raises:
            CaptureFailed: the tokens can't be kept, and the rollout can't be marked incomplete either.
        """
        if call.answer is None:
            return
        entry = token_entry(call)
        try:
            if entry is None:
                raise ValueError("the model gave no tokens, or those of several items")
            begin = getattr(self.sink, "begin_call", None)
            if begin is not None:
                await called(begin, call.rollout_id, call.model_call_id)
            await called(self.sink.put, entry)
        except Exception as error:
            log.error("rollout %s: the tokens of a call are not kept: %s", call.rollout_id, error)
            await self._miss(call.rollout_id)

    async def mark_incomplete(self, rollout_id: str) -> None:
        """A call that was given up: nobody has its answer, so no token of it is missing anywhere."""

    async def _miss(self, rollout_id: str) -> None:
        try:
            await called(self.sink.mark_incomplete, rollout_id)
        except Exception as error:
            raise CaptureFailed(f"rollout {rollout_id}: tokens are lost: {error}") from error


async def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function or a coroutine function; a plain function runs in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    return await asyncio.to_thread(function, *arguments)


async def cleared(store: TokenSink, rollout_id: str) -> None:
    """Have a store forget what an earlier run of the same rollout left, where it can (`clear`)."""
    clear = getattr(store, "clear", None)
    if clear is not None:
        await called(clear, rollout_id)


def captured_of(snapshot: Snapshot) -> Captured:
    """The calls of a snapshot; one whose tokens don't fit together is a missing one."""
    captured = Captured([], snapshot.incomplete)
    for entry in snapshot.entries:
        try:
            captured.calls.append(call_of_entry(entry))
        except ValueError as error:
            log.error("rollout %s: %s", snapshot.rollout_id, error)
            captured.incomplete = True
    return captured


log: Final = logging.getLogger(__name__)
