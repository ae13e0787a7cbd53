"""Wait for model endpoints that are still starting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from nemo_gym.assembly.messages import Write
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.transport.exchange import UNKNOWN_HOST
from nemo_gym.wire.errors import GymError

READINESS: Final = "model_endpoint_readiness_timeout_seconds"
"""The key of a configuration for the longest wait."""
Problems = Callable[[], Awaitable[list[str]]]
"""Gives a line for each endpoint that can't be used."""


async def wait_for_endpoints(problems: Problems, seconds: float, warn: Write) -> list[str]:
    """Wait until there is no problem or the time is over, and report the problems meanwhile.

    A host whose name can't be resolved ends the wait at once.

    Returns:
        The problems that remain.
    """
    began = monotonic()
    last = 0.0
    while remaining := await problems():
        waited = monotonic() - began
        if waited >= seconds or any(UNKNOWN_HOST in problem for problem in remaining):
            return (
                [f"{problem} (waited {waited:.0f} s)" for problem in remaining] if waited >= 1 else remaining
            )
        if not last or monotonic() - last >= _PATIENCE_S:
            last = monotonic()
            warn(f"waiting up to {seconds - waited:.0f} s more: {'; '.join(remaining)}")
        await asyncio.sleep(min(_PAUSE_S, seconds - waited))
    return []


async def wait_for_model(spec: ModelSpec, seconds: float, warn: Write) -> None:
    """As `wait_for_endpoints`, for a model of a run in this process.

    Raises:
        GymError: the model doesn't answer in time.
    """
    if not spec.url or not seconds:
        return
    async with spec.build(None) as model:

        async def problems() -> list[str]:
            try:
                await model.check()
            except GymError as error:
                return [str(error)]
            return []

        if remaining := await wait_for_endpoints(problems, seconds, warn):
            raise GymError("; ".join(remaining))


_PAUSE_S: Final = 1.0
_PATIENCE_S: Final = 5.0
"""Seconds between two reports."""
