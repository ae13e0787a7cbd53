"""The arguments and results of route handlers and other functions that existing code writes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel


def request_body(args: Sequence[Any], kwargs: Mapping[str, Any]) -> BaseModel | None:
    """The body among the arguments of a handler."""
    return next((value for value in (*args, *kwargs.values()) if isinstance(value, BaseModel)), None)


async def value_of(result: Any) -> Any:
    """The value that a function returns, whether the function is async or not."""
    return await result if inspect.isawaitable(result) else result
