"""Serving one instance in this process, or in several workers."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from nemo_gym.compat.global_config import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME as CONFIG_VARIABLE
from nemo_gym.serving.profiling import CpuProfile
from nemo_gym.serving.protocol import protocol
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import BACKLOG

ENTRYPOINT_VARIABLE: Final = "IS_NEMO_GYM_FASTAPI_ENTRYPOINT"
"""Environment variable with the file whose `app` the workers serve."""
WORKER_VARIABLE: Final = "IS_NEMO_GYM_FASTAPI_WORKER"
COOKIE_SECRET_VARIABLE: Final = "NEMO_GYM_COOKIE_SECRET"
"""Environment variable with what the workers of a server sign their cookies with; set within them."""
OPEN_FILES: Final = 65_535
KEEP_ALIVE_S: Final = 30
"""Longer than clients keep an idle connection, so that none is closed under a request."""


def is_nemo_gym_fastapi_entrypoint(file: str) -> bool:
    """True when the module of this file is to hold `app` for uvicorn's workers."""
    entrypoint = os.environ.get(ENTRYPOINT_VARIABLE)
    being_prepared = getattr(multiprocessing.current_process(), "_inheriting", False)
    return not being_prepared and entrypoint is not None and Path(file).resolve() == Path(entrypoint)


def is_worker() -> bool:
    """True in one of several worker processes of a server."""
    return WORKER_VARIABLE in os.environ


@cache
def cookie_secret() -> Secret:
    """What this process signs cookies with: random, or handed down to a worker."""
    inherited = os.environ.get(COOKIE_SECRET_VARIABLE)
    return Secret(inherited) if inherited else Secret.random()


def profiled(app: FastAPI, profile: CpuProfile) -> None:
    """Have the profile run as long as the app is served."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[Any]:
        profile.start()
        try:
            async with inner(app) as state:
                yield state
        finally:
            profile.stop()

    app.router.lifespan_context = lifespan


def run_app(app: FastAPI, host: str, port: int) -> None:
    """Serve an app until stopped."""
    _raise_open_files()
    uvicorn.run(app, host=host, port=port, **_SERVING)


def run_workers(host: str, port: int, workers: int) -> None:
    """Serve the `app` of the main module until stopped, in several processes.

    The configuration and the cookie secret reach them through the pipe that starts them: neither their
    arguments nor the environment that they are started with, which others may read, has them.
    """
    _raise_open_files()
    file = Path(sys.modules["__main__"].__file__ or "").resolve()
    os.environ[ENTRYPOINT_VARIABLE] = str(file)
    os.environ[WORKER_VARIABLE] = "1"
    sys.path.insert(0, str(file.parent))
    sys.modules["__main__"] = ModuleType("__main__")  # else each worker would run the file once more
    config = _WorkerConfig(f"{file.stem}:app", host=host, port=port, workers=workers, **_SERVING)
    config.handed = {COOKIE_SECRET_VARIABLE: cookie_secret().reveal()}
    if text := os.environ.pop(CONFIG_VARIABLE, None):
        config.handed[CONFIG_VARIABLE] = text
    Multiprocess(config, sockets=[config.bind_socket()]).run()


class _WorkerConfig(uvicorn.Config):
    """Sent to each worker, which reads `handed` as if it stood in its environment."""

    handed: dict[str, str]

    def load_app(self) -> Any:
        os.environ.update(self.handed)
        return super().load_app()


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


_SERVING: Final[dict[str, Any]] = {
    "http": protocol(),
    "timeout_keep_alive": KEEP_ALIVE_S,
    "backlog": BACKLOG,
    "timeout_graceful_shutdown": 1,
    "log_level": "info",
    "access_log": False,
}
