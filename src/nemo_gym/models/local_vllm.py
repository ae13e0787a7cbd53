"""Model back end that starts vLLM itself, with `vllm serve` as a child process."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nemo_gym.models.base import Model
from nemo_gym.models.engine import Engine
from nemo_gym.models.vllm import VllmModel, VllmSettings
from nemo_gym.wire.errors import ModelUnreachable, UsageError
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class LocalVllmSettings(VllmSettings, kw_only=True, frozen=True):
    """The settings of vLLM and of the engine itself."""

    vllm_program: str = "vllm"
    """The command, or its path when it is in another virtual environment."""
    vllm_serve_kwargs: dict[str, Any] = {}
    """Options of `vllm serve` by name, for instance `{"tensor_parallel_size": 8}`. False turns a switch into
    its `--no-...`; null leaves an option out."""
    vllm_serve_env_vars: dict[str, str] = {}
    hf_home: str = ""
    """The folder of the Hugging Face cache. vLLM downloads missing weights to it."""
    ready_s: float = 3600.0
    """The most seconds until the engine is loaded."""
    show_vllm_engine_stats: bool = False
    debug: bool = False
    """Show the engine's output on standard error."""
    ray_worker_py_executable: str = ""
    """Not used, because nothing here runs in Ray. It is accepted so that configurations stay valid."""


class LocalVllmModel(VllmModel):
    """vLLM at a URL, or an engine that is started here when there is no URL."""

    Settings = LocalVllmSettings
    starts_engine = True


class EngineModel(Model):
    """A model with its own engine, which is started by the first call, check or `begin`.

    Args:
        build: builds the model at the engine's URL.
        name: the weights: a folder, or a name in the Hugging Face hub.
        api_key: the key that callers must send; empty for none.

    Raises:
        UsageError: vLLM is not installed.
    """

    def __init__(
        self, build: Callable[[str], Model], name: str, settings: LocalVllmSettings, *, api_key: str = ""
    ) -> None:
        program = shutil.which(settings.vllm_program)
        if program is None:
            raise UsageError(f"there is no program {settings.vllm_program!r} here: pip install vllm")
        options = {"host": "127.0.0.1", "port": _free_port(), **settings.vllm_serve_kwargs}
        root = f"http://{options['host']}:{options['port']}"
        self.name = name
        self.access = {"base_url": [f"{root}/v1"], "api_key": api_key or "dummy", "model": name}
        """The answer of the route `/get_inner_vllm_config`."""
        self._inner = build(f"{root}/v1")
        self._engine = Engine(
            [program, "serve", name, *serve_arguments(options, stats=settings.show_vllm_engine_stats)],
            env=_environment(settings, api_key),
            url=root,
            ready_s=settings.ready_s,
            shows_output=settings.debug,
        )

    @property
    def pushbacks(self) -> int:
        return self._inner.pushbacks

    def begin(self) -> None:
        """Start the engine without waiting for it."""
        self._engine.begin()

    async def responses(self, params: RequestParams) -> Response:
        await self._engine.ready()
        try:
            return await self._inner.responses(params)
        except ModelUnreachable:
            if message := self._engine.exit_message:
                raise ModelUnreachable(message) from None
            raise

    async def check(self) -> None:
        await self._engine.ready()

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            await self._engine.stop()


def engine_of(model: Model) -> EngineModel | None:
    """The engine's model, which other models may wrap; None when the model starts no engine."""
    candidate: Model | None = model
    while candidate is not None and not isinstance(candidate, EngineModel):
        candidate = getattr(candidate, "inner", None)
    return candidate


def serve_arguments(options: Mapping[str, Any], *, stats: bool) -> list[str]:
    """The command line of `vllm serve` for options by name."""
    own = {} if stats else {"disable_log_stats": True}
    return [word for key, value in {**own, **options}.items() for word in _words(key, value)]


def _words(key: str, value: Any) -> Iterator[str]:
    flag = key.replace("_", "-")
    match value:
        case None:
            return
        case bool():
            yield f"--{flag}" if value else f"--no-{flag}"
        case list():
            yield from (f"--{flag}", *map(str, value))  # pyright: ignore[reportUnknownArgumentType]
        case dict():
            yield f"--{flag}={encode(value).decode()}"
        case _:
            yield f"--{flag}={value}"


def _environment(settings: LocalVllmSettings, api_key: str) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("NEMO_GYM_")}
    home = {"HF_HOME": settings.hf_home} if settings.hf_home else {}
    key = {"VLLM_API_KEY": api_key} if api_key not in ("", "dummy") else {}
    return {**variables, "PYTHONUNBUFFERED": "1", **home, **key, **settings.vllm_serve_env_vars}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
