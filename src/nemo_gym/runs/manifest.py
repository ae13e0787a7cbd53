"""The run manifest: what was run, so that resuming continues the same run and not a similar one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from nemo_gym.runs.paths import RunPaths, whole_file
from nemo_gym.wire.errors import UsageError


class Identity(msgspec.Struct, frozen=True):
    """Everything that must be the same for two halves of a run to belong together."""

    environment: dict[str, Any]
    """`ref`, `settings` and a `fingerprint` of its code."""
    model: dict[str, Any]
    """`type`, `name` and `url`."""
    agent: dict[str, Any]
    """`name` and `arguments`."""
    sampling: dict[str, Any]
    inputs: dict[str, Any]
    """`source`, `limit`, `repeats`, `seed`, `split`, and for a file its `sha256`."""


class Manifest(msgspec.Struct):
    """`<stem>_manifest.json`: written when a run starts, again when it ends."""

    identity: Identity
    requested: int
    """Rollouts the plan asks for."""
    gym_version: str
    started_at: float
    """Unix time."""
    status: str = "running"
    """running, complete, interrupted (by the user), or stopped (by an error or a limit)."""
    ended_at: float | None = None
    counts: dict[str, int] = {}
    """`scored`, `failed` and `pending` when last written."""
    reason: str = ""
    """Why the run stopped early, if it did."""
    schema_version: str = "1.0"

    def save(self, paths: RunPaths) -> None:
        """Write the file, whole or not at all."""
        with whole_file(paths.manifest) as file:
            file.write(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def load_manifest(path: Path) -> Manifest:
    """The manifest at `path`.

    Raises:
        UsageError: it is missing or not a manifest.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a run manifest: {error}") from None


def differences(old: Identity, new: Identity) -> list[str]:
    """One line for each thing that is not the same, for instance `model.name was 'a', is now 'b'`."""
    return list(_differences("", msgspec.to_builtins(old), msgspec.to_builtins(new)))


def _differences(path: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        before, after = cast("dict[str, Any]", was), cast("dict[str, Any]", now)
        for key in dict.fromkeys([*before, *sorted(after)]):
            yield from _differences(f"{path}.{key}" if path else key, before.get(key), after.get(key))
    elif was != now:
        yield f"{path} was {was!r}, is now {now!r}"
