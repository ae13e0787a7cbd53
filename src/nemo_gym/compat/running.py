"""Serves one instance in this process, or in several workers."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from nemo_gym.compat.global_config import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME as CONFIG_VARIABLE
from nemo_gym.runs.loop import allow_many_files
from nemo_gym.serving.profiling import CpuProfile
from nemo_gym.serving.protocol import protocol
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import BACKLOG

ENTRYPOINT_VARIABLE: Final = "IS_NEMO_GYM_FASTAPI_ENTRYPOINT"
"""The environment variable with the file whose `app` the workers serve."""
WORKER_VARIABLE: Final = "IS_NEMO_GYM_FASTAPI_WORKER"
COOKIE_SECRET_VARIABLE: Final = "NEMO_GYM_COOKIE_SECRET"
"""The environment variable with the cookie secret; it is set inside the workers of a server."""
KEEP_ALIVE_S: Final = 30
"""Seconds. Clients keep an idle connection for less, so none is closed while a request is on its way."""


def is_nemo_gym_fastapi_entrypoint(file: str) -> bool:
    """True when the module of this file has to hold `app` for uvicorn's workers."""
    entrypoint = os.environ.get(ENTRYPOINT_VARIABLE)
    is_starting = getattr(multiprocessing.current_process(), "_inheriting", False)
    return not is_starting and entrypoint is not None and Path(file).resolve() == Path(entrypoint)


def is_worker() -> bool:
    """True in one of several worker processes of a server."""
    return WORKER_VARIABLE in os.environ


@cache
def cookie_secret() -> Secret:
    """The secret for the cookies of this process: random, or for a worker that of its server."""
    inherited = os.environ.get(COOKIE_SECRET_VARIABLE)
    return Secret(inherited) if inherited else Secret.random()


def enter_around(app: FastAPI, context: AbstractAsyncContextManager[None]) -> None:
    """Enter a context before the lifespan of an app begins, and leave it after the lifespan ends."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[Any]:
        async with context, inner(app) as state:
            yield state

    app.router.lifespan_context = lifespan


@asynccontextmanager
async def profile_while_open(profile: CpuProfile) -> AsyncGenerator[None]:
    """Profile until the context ends."""
    profile.start()
    try:
        yield
    finally:
        profile.stop()


def run_app(app: FastAPI, host: str, port: int) -> None:
    """Serve an app until stopped."""
    allow_many_files()
    uvicorn.run(app, host=host, port=port, **_SERVING)


def run_workers(host: str, port: int, workers: int) -> None:
    """Serve the `app` of the main module until stopped, in several processes.

    The configuration and the cookie secret reach the processes through the pipe that starts them. Other users
    may read the arguments and the first environment of a process, so neither of these holds them.
    """
    allow_many_files()
    file = Path(sys.modules["__main__"].__file__ or "").resolve()
    os.environ[ENTRYPOINT_VARIABLE] = str(file)
    os.environ[WORKER_VARIABLE] = "1"
    sys.path.insert(0, str(file.parent))
    sys.modules["__main__"] = ModuleType("__main__")  # or else each worker would run the file again
    config = _WorkerConfig(f"{file.stem}:app", host=host, port=port, workers=workers, **_SERVING)
    config.variables = {COOKIE_SECRET_VARIABLE: cookie_secret().reveal()}
    if text := os.environ.pop(CONFIG_VARIABLE, None):
        config.variables[CONFIG_VARIABLE] = text
    Multiprocess(config, sockets=[config.bind_socket()]).run()


class _WorkerConfig(uvicorn.Config):
    """A configuration for each worker, which adds `variables` to its environment."""

    variables: dict[str, str]

    def load_app(self) -> Any:
        os.environ.update(self.variables)
        return super().load_app()


_SERVING: Final[dict[str, Any]] = {
    "http": protocol(),
    "timeout_keep_alive": KEEP_ALIVE_S,
    "backlog": BACKLOG,
    "timeout_graceful_shutdown": 1,
    "log_level": "info",
    "access_log": False,
}
