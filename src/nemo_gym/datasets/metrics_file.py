"""Metrics files: the statistics of a data set, stored beside it and compared with new statistics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import msgspec

from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode, read_json

Document: TypeAlias = dict[str, Any]


def write_metrics(path: Path, document: Document) -> None:
    """Write a metrics file."""
    with whole_file(path) as file:
        file.write(msgspec.json.format(encode(document), indent=4) + b"\n")


def read_metrics(path: Path) -> Document:
    """The content of a metrics file; empty when there is none.

    Raises:
        UsageError: it can't be read as a JSON object.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    except FileNotFoundError:
        return {}
    document = read_json(path)
    if not isinstance(document, dict):
        raise UsageError(f"{path}: expected a JSON object, got {type(document).__name__}")
    return cast("Document", document)


def conflict_path(path: Path) -> Path:
    """The path for metrics that conflict with those at `path`."""
    return path.with_name(f"{path.stem}_conflict.json")


def differences(before: Document, now: Document) -> list[str]:
    """One line for each stored value that differs from the current value. Additional values are ignored."""
    return list(_differences(before, now, ()))


def _differences(before: Any, now: Any, place: tuple[str, ...]) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        old, new = cast("Document", before), cast("Document", now)
        for key, value in old.items():
            if key in new:
                yield from _differences(value, new[key], (*place, key))
            else:
                yield f"{': '.join((*place, key))}: was {_text(value)}, is gone"
    elif not _equal(before, now):
        yield f"{': '.join(place)}: was {_text(before)}, is {_text(now)}"


def _equal(before: Any, now: Any) -> bool:
    if _is_number(before) and _is_number(now):
        size = max(abs(before), abs(now))
        return abs(before - now) <= (TOLERANCE if size >= 1 else SMALL_TOLERANCE)
    return before == now


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _LARGE


def _text(value: Any) -> str:
    text = encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


TOLERANCE: Final = 5e-3
SMALL_TOLERANCE: Final = 5e-4
"""The tolerance where both numbers are below 1."""
MAX_BYTES: Final = 16 << 20
_LARGE: Final = 1e300
"""Larger whole numbers can't be subtracted from floats."""
