"""`ModelDoor`: the model, for agents whose loop runs in a program of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from nemo_gym.models.base import Model
from nemo_gym.wire.model_call import Captured


class Visit(Protocol):
    """One rollout's way to the model, for as long as its program runs."""

    @property
    def rollout_id(self) -> str:
        """The id that was asked for, or that one with an addition while another rollout has it."""
        ...

    @property
    def base_url(self) -> str:
        """`/v1/chat/completions`, `/v1/responses` and `/v1/messages` are below it."""
        ...

    @property
    def api_key(self) -> str:
        """What the program must send as its key."""
        ...

    async def captured(self) -> Captured:
        """Every call made so far."""
        ...


class ModelDoor(Model):
    """A model that programs can also call over HTTP, each rollout at a base URL of its own.

    The layer above the agents opens it (`serving.loopback_model`); an agent with `needs_door` gets one as its
    model.
    """

    @abstractmethod
    def visit(self, rollout_id: str, sampling: Mapping[str, Any]) -> AbstractAsyncContextManager[Visit]:
        """Let one rollout's program in for the length of a block; afterwards its base URL is dead.

        Args:
            rollout_id: letters, digits, dots, dashes and underscores.
            sampling: request parameters laid over those of every call, such as the task's temperature.
        """
