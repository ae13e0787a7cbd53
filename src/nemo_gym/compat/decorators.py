"""Decorators of existing code that mark functions and classes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def experimental(message: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Warn, once per function, that what is called may still change."""

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        warned = False

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal warned
            if not warned:
                warned = True
                text = f"{function.__qualname__} is experimental. {message}".rstrip()
                warnings.warn(text, FutureWarning, stacklevel=2)
            return function(*args, **kwargs)

        return call

    return mark
