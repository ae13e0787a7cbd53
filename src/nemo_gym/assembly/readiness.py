"""Waiting for model endpoints that are still being started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from nemo_gym.cli.texts import print_error
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.transport.exchange import UNKNOWN_HOST
from nemo_gym.wire.errors import GymError

READINESS: Final = "model_endpoint_readiness_timeout_seconds"
"""The key of a configuration that says how long."""
Problems = Callable[[], Awaitable[list[str]]]
"""Says what is wrong with endpoints, a line each."""


async def wait_for_endpoints(problems: Problems, seconds: float) -> list[str]:
    """Ask until nothing is wrong any more or the time is over, and say meanwhile what is waited for.

    A host whose name isn't known is not waited for.

    Returns:
        What is wrong in the end.
    """
    began = monotonic()
    told = 0.0
    while found := await problems():
        waited = monotonic() - began
        if waited >= seconds or any(UNKNOWN_HOST in problem for problem in found):
            return [f"{problem} (waited {waited:.0f} s)" for problem in found] if waited >= 1 else found
        if not told or monotonic() - told >= _PATIENCE_S:
            told = monotonic()
            print_error(f"waiting up to {seconds - waited:.0f} s more: {'; '.join(found)}")
        await asyncio.sleep(min(_PAUSE_S, seconds - waited))
    return []


async def wait_for_model(spec: ModelSpec, seconds: float) -> None:
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

        if found := await wait_for_endpoints(problems, seconds):
            raise GymError("; ".join(found))


_PAUSE_S: Final = 1.0
_PATIENCE_S: Final = 5.0
"""Seconds between the lines that say what is being waited for."""
