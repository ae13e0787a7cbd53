"""Waiting for model endpoints that are still being started."""

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
"""The key of a configuration that says how long."""
Problems = Callable[[], Awaitable[list[str]]]
"""Says what is wrong with endpoints, a line each."""


async def wait_for_endpoints(problems: Problems, seconds: float, warn: Write) -> list[str]:
    """Ask until nothing is wrong any more or the time is over, and say meanwhile what is waited for.

    A host whose name isn't known is not waited for.

    Returns:
        What is wrong in the end.
    """
    began = monotonic()
    last = 0.0
    while wrong := await problems():
        waited = monotonic() - began
        if waited >= seconds or any(UNKNOWN_HOST in problem for problem in wrong):
            return [f"{problem} (waited {waited:.0f} s)" for problem in wrong] if waited >= 1 else wrong
        if not last or monotonic() - last >= _PATIENCE_S:
            last = monotonic()
            warn(f"waiting up to {seconds - waited:.0f} s more: {'; '.join(wrong)}")
        await asyncio.sleep(min(_PAUSE_S, seconds - waited))
    return []


async def wait_for_model(spec: ModelSpec, seconds: float, warn: Write) -> None:
    """The same for the model of a run in this process.

    Raises:
        GymError: it doesn't answer.
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

        if wrong := await wait_for_endpoints(problems, seconds, warn):
            raise GymError("; ".join(wrong))


_PAUSE_S: Final = 1.0
_PATIENCE_S: Final = 5.0
"""Seconds between the lines that say what is being waited for."""
