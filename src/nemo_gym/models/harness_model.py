"""`Restoring`: a model for black-box agents, which restores the model's own items in each request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nemo_gym.models.base import Model
from nemo_gym.wire.conversation_restore import ConversationRestorer
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class Restoring(Model):
    """The model for one rollout's program: continued conversations get the model's own items.

    Args:
        model: the model that answers.
        replayed: the rollout's calls so far.
        sampling: request parameters that replace those of every call.
    """

    def __init__(
        self, model: Model, replayed: ConversationRestorer, sampling: Mapping[str, Any] | None = None
    ) -> None:
        self.name = model.name
        self._model = model
        self._replayed = replayed
        self._sampling = dict(sampling or {})

    async def responses(self, params: RequestParams) -> Response:
        request = cast("RequestParams", {**self._replayed.restore(params), **self._sampling})
        response = await self._model.responses(request)
        self._replayed.add(request, response)
        return response
