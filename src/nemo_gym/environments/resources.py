"""What an environment may use beside its own code: models that it asks, and sandboxes.

Whoever runs the environment supplies them (a run, a server, `gym.collect`, the conformance check); an
environment never makes them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nemo_gym.sandbox.pool import SandboxPool
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class AskedModel(Protocol):
    """A model that an environment asks, such as a judge."""

    async def responses(self, params: RequestParams) -> Response:
        """The model's answer.

        Raises:
            JudgeFailed: the model did not answer.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one environment is supplied with."""

    models: Mapping[str, AskedModel] = field(default_factory=dict[str, AskedModel])
    """By the names that the environment declares in `asks`."""
    sandboxes: SandboxPool = field(default_factory=SandboxPool)
    """Where `session.sandbox` gets its sandboxes from."""
