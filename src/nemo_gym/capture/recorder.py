"""Recorders to which a model server reports the calls that it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nemo_gym.wire.model_call import ModelCall


class Recorder(Protocol):
    """Takes the calls of a model server whose path names a rollout (`/ng-rollout/<id>`), and those that an
    agent of the same process makes without a server.

    Whoever has a call answered makes one `ModelCall` of it, failed ones too, and awaits `record` before the
    last byte of the answer leaves, so that whoever has the answer finds the call recorded. `answer` is
    the back end's Response before a dialect drops its tokens; `params` the request in Responses form when
    the dialect is another one (`wire.calls` has the id, the error categories and the check of the id).
    """

    async def record(self, call: ModelCall) -> None:
        """Keep a call. A store that fails marks the rollout incomplete instead; this raises only when that
        fails too, and then the answer must not leave.
        """
        ...

    async def mark_incomplete(self, rollout_id: str) -> None:
        """Note that a call of this rollout is missing, for instance because its client went away."""
        ...


class Recorders:
    """Several recorders that receive the same calls."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self._recorders = recorders

    async def record(self, call: ModelCall) -> None:
        for recorder in self._recorders:
            await recorder.record(call)

    async def mark_incomplete(self, rollout_id: str) -> None:
        for recorder in self._recorders:
            await recorder.mark_incomplete(rollout_id)
