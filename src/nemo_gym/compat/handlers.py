"""Bodies and results of route handlers and other functions of existing code."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from nemo_gym.wire.validation import json_object


def request_body(args: Sequence[Any], kwargs: Mapping[str, Any]) -> BaseModel | None:
    """The body among the arguments of a handler."""
    return next((value for value in (*args, *kwargs.values()) if isinstance(value, BaseModel)), None)


async def value_of(result: Any) -> Any:
    """The value that a function returns, whether the function is async or not."""
    return await result if inspect.isawaitable(result) else result


def object_in(body: bytes | bytearray) -> dict[str, Any] | None:
    """The JSON object in a body; None for any other body."""
    try:
        return json_object(bytes(body))
    except ValueError:
        return None
