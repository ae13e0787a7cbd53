"""Recorders to which a model server reports the calls that it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nemo_gym.wire.model_call import ModelCall


class Recorder(Protocol):
    """Receives the calls of a model server whose path names a rollout (`/ng-rollout/<id>`), and the calls of
    agents in the same process, which use no server.

    Each call becomes one `ModelCall`, a failed one too. `record` is awaited before the last byte of the
    answer is sent: a client that has the answer finds the call recorded.
    """

    async def record(self, call: ModelCall) -> None:
        """Store a call. When that fails, the rollout is marked incomplete instead. When that fails too, this
        raises, and the answer must not be sent.
        """
        ...

    async def mark_incomplete(self, rollout_id: str) -> None:
        """Note that a call of this rollout is missing, for example because its client went away."""
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
