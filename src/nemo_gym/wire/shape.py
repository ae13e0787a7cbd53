"""The shape of JSON that comes from anywhere."""

from __future__ import annotations

from typing import Any, cast

from nemo_gym.wire.errors import UsageError


def objects(value: object, where: str) -> list[dict[str, Any]]:
    """`value` itself when it is a list of objects.

    Raises:
        UsageError: naming the place that is something else.
    """
    if not isinstance(value, list):
        raise UsageError(f"{where}: {'required,' if value is None else 'expected'} a list of objects")
    for place, entry in enumerate(cast("list[object]", value)):
        if not isinstance(entry, dict):
            raise UsageError(f"{where}[{place}]: expected an object")
    return cast("list[dict[str, Any]]", value)
