"""Games that a seed decides: the seeds of splits, and rows whose missing fields the settings give."""

from __future__ import annotations

import random
from typing import Final, TypeVar

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.task import Task

SPLITS: Final = ("train", "validation", "example", "test")
DEFAULT_N: Final = 100
_INTERLEAVED: Final = 3
"""The first splits share one block of seeds, each with its own remainder. Later splits have blocks above."""

T = TypeVar("T")


def split_seed(split: str, seed: int, place: int) -> int:
    """The seed of a task of one of `SPLITS`. The seeds of two splits are never equal."""
    number = random.Random(f"{seed}:{split}:{place}").getrandbits(40)
    block, rest = divmod(SPLITS.index(split), _INTERLEAVED)
    return (number + (block << 40)) * _INTERLEAVED + rest


def setup_of(environment: Environment, task: Task, kind: type[T]) -> T:
    """The fields of a row, completed by its `metadata` and then by the settings.

    Raises:
        TaskUnfit: they are no `kind`.
    """
    fields = {name: value for name, value in msgspec.structs.asdict(task).items() if value is not None}
    settings = msgspec.structs.asdict(environment.config)
    try:
        return msgspec.convert({**settings, **fields.get("metadata", {}), **fields}, kind)
    except msgspec.ValidationError as error:
        raise TaskUnfit(f"task does not fit {environment.name()}: {error}") from None
