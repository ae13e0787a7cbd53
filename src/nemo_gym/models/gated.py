"""`GatedModel`: a model whose calls can be held back for a while, for instance during a weight update."""

from __future__ import annotations

import asyncio

from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class Gate:
    """Lets calls begin, or holds them back. A call runs inside of `async with gate`."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._change = asyncio.Event()
        self._running = 0

    async def close(self, *, wait: bool = True) -> None:
        """Let no further call begin.

        Args:
            wait: return when no call runs any more, or when the gate is opened again. A cancellation of the
                wait opens the gate.
        """
        self._open.clear()
        try:
            while wait and self._running and not self._open.is_set():
                self._change.clear()
                await self._change.wait()
        except BaseException:
            self.open()
            raise

    def open(self) -> None:
        """Let calls begin, first those that were held back."""
        self._open.set()
        self._change.set()

    async def passed(self) -> None:
        """Wait until a call may begin."""
        while not self._open.is_set():
            await self._open.wait()

    async def __aenter__(self) -> None:
        await self.passed()
        self._running += 1

    async def __aexit__(self, *_: object) -> None:
        self._running -= 1
        if self._running == 0:
            self._change.set()


class GatedModel(WrappedModel):
    """The calls of a model behind a gate."""

    def __init__(self, inner: Model, gate: Gate) -> None:
        super().__init__(inner)
        self._gate = gate

    async def ready(self) -> None:
        await self._gate.passed()
        await self.inner.ready()

    async def responses(self, params: RequestParams) -> Response:
        async with self._gate:
            return await self.inner.responses(params)
