"""Benchmarks for NeMo Evaluator 0.3: `nel eval run` loads this file by its path.

`PATH:nemo_gym` takes any environment with `params: {environment: ..., split: ..., limit: ...}`, as
`TaskSource` names them. `PATH:gym-NAME` is the built-in environment NAME with its defaults. `gym evaluator
plugin` prints the path.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any, Final

import msgspec

from nemo_gym.environments.environment_info import library
from nemo_gym.siblings.evaluator.tasks import INDEX, EvaluatorTasks, TaskSource
from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import UsageError

_base: Any = import_module("nemo_evaluator.environments.base")
_registry: Any = import_module("nemo_evaluator.environments.registry")


class GymBenchmark(_base.EvalEnvironment):
    """An environment; its tasks are opened at the first use, in the event loop of the evaluation."""

    environment: str = ""

    def __init__(self, **params: Any) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        limit = params.pop("num_examples", None)
        fields = {"environment": self.environment, **params}
        fields.setdefault("limit", limit)
        try:
            source = msgspec.convert(fields, TaskSource)
        except msgspec.ValidationError as error:
            raise UsageError(f"params: {explain_misfit(error, TaskSource)}") from None
        if not source.environment:
            raise UsageError("params.environment: required, the name of an environment or a path.py")
        self._tasks = EvaluatorTasks(source)
        self._is_open = False
        self._opening = asyncio.Lock()

    async def dataset_size(self) -> int:
        return len((await self._opened()).rows)

    async def seed(self, idx: int) -> Any:
        return _base.SeedResult(**msgspec.structs.asdict((await self._opened()).seed(idx)))

    async def verify(self, response: str, expected: str, sandbox: Any = None, **metadata: Any) -> Any:
        verdict = await (await self._opened()).verify(metadata[INDEX], response)
        return _base.VerifyResult(**msgspec.structs.asdict(verdict))

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            await self._tasks.__aexit__(None, None, None)

    async def _opened(self) -> EvaluatorTasks:
        async with self._opening:
            if not self._is_open:
                await self._tasks.__aenter__()
                self._is_open = True
        return self._tasks


def _of(environment: str) -> type[GymBenchmark]:
    return type("GymBenchmark", (GymBenchmark,), {"environment": environment})


BENCHMARKS: Final = {"nemo_gym": GymBenchmark, **{f"gym-{name}": _of(name) for name in library()}}
"""Every benchmark by its name in Evaluator."""
for _name, _kind in BENCHMARKS.items():
    _registry.register(_name)(_kind)
