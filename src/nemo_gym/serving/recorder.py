"""What a model server tells about the calls it answers, and to whom (CONTRACT 5.8, 5.10)."""

from __future__ import annotations

from typing import Protocol

from nemo_gym.wire.calls import ModelCall


class Recorder(Protocol):
    """Takes the calls of a model server whose path names a rollout (`/ng-rollout/<id>`).

    A model server makes one `ModelCall` of every such request, failed ones too, and awaits `record` before
    the last byte of its answer leaves, so that whoever has the answer finds the call recorded. `answer` is
    the back end's Response before a dialect drops its tokens; `params` the request in Responses form when
    the dialect is another one (`wire.calls` has the id, the error categories and the check of the id).
    """

    async def record(self, call: ModelCall) -> None:
        """Keep a call. Never raises for a store that fails: the rollout is marked incomplete instead."""
        ...

    async def mark_incomplete(self, rollout_id: str) -> None:
        """Note that a call of this rollout is missing, for instance because its client went away."""
        ...
