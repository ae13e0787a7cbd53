"""Helpers for specs: image references, and variables that keep programs within a limit of cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nemo_gym.sandbox.errors import InvalidSandbox

CPU_CAP_ENV_VARS: Final = (
    # Arithmetic libraries of Python, C and Fortran.
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
    # Languages and their run-times.
    "PYTHON_CPU_COUNT",
    "GOMAXPROCS",
    "RAYON_NUM_THREADS",
    "UV_THREADPOOL_SIZE",
    # Builds and tests.
    "CARGO_BUILD_JOBS",
    "CMAKE_BUILD_PARALLEL_LEVEL",
    "RUST_TEST_THREADS",
    "PYTEST_XDIST_AUTO_NUM_WORKERS",
    "DJANGO_TEST_PROCESSES",
)
"""Variables that set how many threads or processes a program starts. Without them a program counts the cores
of the machine, which are more than a sandbox with a limit has."""


def cpu_cap_env(cpu: float | None) -> dict[str, str]:
    """Variables that keep programs within a limit of cores, at least one whole core; none without a limit."""
    return {} if cpu is None else dict.fromkeys(CPU_CAP_ENV_VARS, str(max(1, int(cpu))))


def rewrite_image(image: str | None, rewrites: Sequence[Mapping[str, str]] | None) -> str | None:
    """The image at another registry, such as a mirror. The first rule `{"from": ..., "to": ...}` whose `from`
    begins the image replaces that beginning.

    Raises:
        InvalidSandbox: a rule lacks one of the two.
    """
    for rule in rewrites or ():
        if not {"from", "to"} <= set(rule):
            raise InvalidSandbox(f"image rewrite {dict(rule)!r}: expected the keys 'from' and 'to'")
        if image is not None and image.startswith(rule["from"]):
            return rule["to"] + image.removeprefix(rule["from"])
    return image
