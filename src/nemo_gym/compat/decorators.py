"""Decorators of functions and classes of existing code."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def experimental(message: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Warn at the first call of a function that the function may still change."""

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        @functools.cache
        def warn() -> None:
            text = f"{function.__qualname__} is experimental. {message}".rstrip()
            warnings.warn(text, FutureWarning, stacklevel=3)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            warn()
            return function(*args, **kwargs)

        return call

    return mark
