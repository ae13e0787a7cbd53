"""`ServedModel`: a model that an agent program can call over HTTP."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from nemo_gym.models.base import Model
from nemo_gym.wire.model_call import Captured


class Visit(Protocol):
    """The access of one rollout to the model while its program runs."""

    @property
    def rollout_id(self) -> str:
        """The rollout's id; it has a suffix while another rollout uses the same id."""
        ...

    @property
    def base_url(self) -> str:
        """The URL below which `/v1/chat/completions`, `/v1/responses` and `/v1/messages` are served."""
        ...

    @property
    def api_key(self) -> str:
        """The key that the program must send."""
        ...

    async def captured(self) -> Captured:
        """Every call so far."""
        ...


class ServedModel(Model):
    """A model that programs can also call over HTTP; each rollout has its own base URL.

    `serving.loopback_model` starts it. An agent with `needs_served_model` gets it as its model.
    """

    @abstractmethod
    def visit(self, rollout_id: str, sampling: Mapping[str, Any]) -> AbstractAsyncContextManager[Visit]:
        """Serve the model to one rollout's program for the length of a block.

        Args:
            rollout_id: letters, digits, dots, dashes and underscores.
            sampling: request parameters that replace those of every call, such as the task's temperature.
        """
