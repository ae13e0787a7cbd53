"""A sandbox server on loopback, in this loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from nemo_gym.sandbox import SandboxPool
from nemo_gym.serving.host import Host
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.sandbox_app import sandbox_app
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import bind, http_url


@dataclass
class SandboxServer:
    url: str
    pool: SandboxPool
    host: Host

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
    server = SandboxServer(http_url("127.0.0.1", listener.getsockname()[1]), pool, host)
    try:
        yield server
    finally:
        await server.stop()
