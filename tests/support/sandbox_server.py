"""A sandbox server on loopback, in this loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from nemo_gym.sandbox import SandboxPool
from nemo_gym.serving.host import Host
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.sandbox_app import sandbox_app
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import bind, http_url
from nemo_gym.transport.retry import Retry


@dataclass
class SandboxServer:
    url: str
    pool: SandboxPool
    host: Host
    client: httpx.AsyncClient
    """Sends requests as they are."""

    async def stop(self) -> None:
        await self.host.stop(["sandboxes"], grace_s=0.1)


@asynccontextmanager
async def sandbox_server(
    provider: Any = "local", *, limit: int = 4, token: str = "", port: int = 0, **settings: Any
) -> AsyncGenerator[SandboxServer]:
    pool, host = SandboxPool(provider, limit=limit), Host(files=True)
    app = sandbox_app(pool, AppOptions(token=Secret(token) if token else None), **settings)
    listener = bind("127.0.0.1", port, "sandboxes")
    await host.serve("sandboxes", app, listener)
    url = http_url("127.0.0.1", listener.getsockname()[1])
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        server = SandboxServer(url, pool, host, client)
        try:
            yield server
        finally:
            await server.stop()


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make clients give a server up that refuses connections for a moment."""
    retry = Retry(attempts=3, budget=60.0, base=0.02, cap=0.1)
    monkeypatch.setattr("nemo_gym.sandbox.providers.remote.server._PATIENCE", retry)
