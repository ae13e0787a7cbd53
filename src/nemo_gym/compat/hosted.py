"""Servers of existing code in a process that also serves other instances (`nemo_gym.serving.programs`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self

from fastapi import FastAPI
from omegaconf import DictConfig

from nemo_gym.compat.client import close_global_aiohttp_client
from nemo_gym.compat.config_types import BaseRunServerInstanceConfig
from nemo_gym.compat.global_config import SERVER_TOKEN_KEY_NAME, set_global_config_dict
from nemo_gym.compat.running import enter_around
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.profiling import CpuProfile
from nemo_gym.serving.programs import NeedsOwnProcess
from nemo_gym.serving.secrets import Secret


class ServerClass(Protocol):
    """The methods of a server class (`server_utils.SimpleServer`) that are used here."""

    @classmethod
    def load_config_of(cls, name: str) -> BaseRunServerInstanceConfig: ...

    @classmethod
    def of_config(cls, config: BaseRunServerInstanceConfig) -> Self: ...

    def served_app(self, *, token: Secret | None = None, profile: CpuProfile | None = None) -> FastAPI: ...


def hosted_app(kind: type[ServerClass], name: str, tree: Mapping[str, Any], options: AppOptions) -> FastAPI:
    """The app of an instance of a server class. The configuration becomes that of the process, because all
    instances of a process share one.

    Raises:
        NeedsOwnProcess: the class has its own way to start, or the instance needs several workers.
        ConfigError: the settings don't fit.
    """
    base: Any = next(one for one in kind.__mro__ if "__gym_app__" in one.__dict__)
    for method in ("run_webserver", "load_config_from_global_config"):
        if getattr(kind, method).__func__ is not getattr(base, method).__func__:
            raise NeedsOwnProcess(f"{kind.__name__} has its own {method}()")
    shared = {SERVER_TOKEN_KEY_NAME: options.token.reveal()} if options.token else {}
    set_global_config_dict(DictConfig({**tree, **shared}))
    config = kind.load_config_of(name)
    if (config.num_workers or 1) > 1:
        raise NeedsOwnProcess(f"num_workers is {config.num_workers}")
    app = kind.of_config(config).served_app(token=options.token, profile=options.profile)
    enter_around(app, _as_open(name))
    return app


_open: list[str] = []
"""The instances that are served now. They share the client and the configuration."""


@asynccontextmanager
async def _as_open(name: str) -> AsyncGenerator[None]:
    _open.append(name)
    try:
        yield
    finally:
        _open.remove(name)
        if not _open:
            await close_global_aiohttp_client()
            set_global_config_dict(None)
