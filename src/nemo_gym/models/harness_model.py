"""`RestoringModel`: a model for black-box agents; it restores the model's own items in each request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nemo_gym.models.base import Model
from nemo_gym.wire.conversation_restore import ConversationRestorer
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class RestoringModel(Model):
    """The model for the program of one rollout. In a conversation that continues, the program's copies of
    the model's items are replaced by the items themselves.

    Args:
        model: the model that answers.
        history: the rollout's calls so far.
        sampling: request parameters that replace those of every call.
    """

    def __init__(
        self, model: Model, history: ConversationRestorer, sampling: Mapping[str, Any] | None = None
    ) -> None:
        self.name = model.name
        self._model = model
        self._history = history
        self._sampling = dict(sampling or {})

    async def responses(self, params: RequestParams) -> Response:
        request = cast("RequestParams", {**self._history.restore(params), **self._sampling})
        response = await self._model.responses(request)
        self._history.add(request, response)
        return response
