"""The model of a run that has no model: every call raises an error."""

from __future__ import annotations

from nemo_gym.models.base import Model
from nemo_gym.wire.errors import ModelRejected
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class NoModel(Model):
    """For a run whose agent is at a URL and has its own model."""

    name = "none"

    async def responses(self, params: RequestParams) -> Response:
        raise ModelRejected("this run has no model: its agent has its own")
