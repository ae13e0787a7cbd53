"""Prepares the 13 subsets of RULER with the generator of the environment `ruler`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.datasets.benchmark_rows import write_benchmark
from nemo_gym.library.long_context.ruler.environment import Ruler
from nemo_gym.library.long_context.ruler.generation import SUBSETS


def prepare(length: int = 3000, tasks: int = 100) -> Path:
    """Write the tasks and return the path.

    Args:
        length: the words of a text; three of them are about four tokens.
        tasks: the number of tasks of each subset.
    """
    return write_benchmark("ruler", rows(length, tasks))


def rows(length: int, tasks: int) -> Iterator[dict[str, Any]]:
    """The tasks of each subset, always the same ones."""
    for name in SUBSETS:
        environment = Ruler({"length": length, "subsets": name})
        yield from map(msgspec.to_builtins, environment.tasks("test", 0, tasks))
