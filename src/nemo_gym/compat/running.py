"""Serving one instance in this process, or in several workers (CONTRACT 3.2)."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from functools import cache
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI

from nemo_gym.serving.secrets import Secret

ENTRYPOINT_VARIABLE: Final = "IS_NEMO_GYM_FASTAPI_ENTRYPOINT"
"""Environment variable with the file whose `app` the workers serve."""
WORKER_VARIABLE: Final = "IS_NEMO_GYM_FASTAPI_WORKER"
COOKIE_SECRET_VARIABLE: Final = "NEMO_GYM_COOKIE_SECRET"
"""Environment variable by which the workers of a server sign the same cookies."""
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


def run_app(app: FastAPI | None, host: str, port: int, *, workers: int = 1) -> None:
    """Serve until stopped: `app`, or with workers the `app` of the main module, once in each of them."""
    _raise_open_files()
    target: FastAPI | str
    if app is None:
        main = Path(sys.modules["__main__"].__file__ or "").resolve()
        os.environ[ENTRYPOINT_VARIABLE] = str(main)
        os.environ[WORKER_VARIABLE] = "1"
        os.environ[COOKIE_SECRET_VARIABLE] = cookie_secret().reveal()
        sys.path.insert(0, str(main.parent))
        target = f"{main.stem}:app"
    else:
        target = app
    uvicorn.run(
        target,
        host=host,
        port=port,
        workers=workers if workers > 1 else None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
        log_level="info",
        access_log=False,
    )


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
