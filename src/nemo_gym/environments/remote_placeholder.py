"""`RemotePlaceholder`: stands for an environment at a URL where the caller needs only its tasks."""

from __future__ import annotations

from collections.abc import Iterable

from nemo_gym.environments.base import Environment
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.task import Row, Task


class RemotePlaceholder(Environment):
    """An environment whose tools and verifier run on a server; its tasks come from a file."""

    @classmethod
    def name(cls) -> str:
        return "a running server"

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[Task | Row]:
        raise UsageError("a running server has no tasks to hand out: give an input file").about("input")
