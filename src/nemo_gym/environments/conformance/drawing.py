"""Draws an environment's tasks, here or in a new process with another hash seed, to compare them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from typing import Any, Final, TypeAlias

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.environments.discovery import reference, resolve_reference
from nemo_gym.environments.task_source import TasksError, own_tasks
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.task import Row

Drawn: TypeAlias = dict[str, list[Row]]
"""Rows by split; only splits that the environment has."""

SPLITS: Final = ("train", "validation", "test", "example")


def rows_to_play(environment: Environment, seed: int, n: int) -> tuple[str, list[Row]]:
    """The first rows of the split `test`, or else of the first split that has some, numbered as tasks.

    Raises:
        TasksError: `tasks()` has a mistake.
    """
    for split in ("test", *SPLITS):
        try:
            rows = [decode(encode(row)) for row in own_tasks(environment, split, seed, n)]
        except TasksError:
            raise
        except UsageError:
            continue  # There is no such split.
        if rows:
            return split, [{**row, keys.TASK_INDEX: at, keys.ROLLOUT_INDEX: 0} for at, row in enumerate(rows)]
    return "", []


def draw(environment: Environment, seed: int, n: int) -> Drawn:
    """The first `n` rows of every split.

    Raises:
        TasksError: `tasks()` has a mistake.
    """
    rows_by_split: Drawn = {}
    for split in SPLITS:
        try:
            rows_by_split[split] = [decode(encode(row)) for row in own_tasks(environment, split, seed, n)]
        except TasksError:
            raise
        except UsageError:
            continue  # There is no such split.
    return rows_by_split


async def draw_elsewhere(environment: Environment, seed: int, n: int) -> Drawn | None:
    """The same in a child process with another PYTHONHASHSEED; None for a class that the child can't find.

    Raises:
        UsageError: the child failed; the message has the end of its output.
    """
    ref = reference(type(environment))
    if ref is None:
        return None
    config = encode(msgspec.to_builtins(environment.config)).decode()
    arguments = [ref, config, str(seed), str(n)]
    script = "import sys; from nemo_gym.environments.conformance.drawing import main; main(*sys.argv[1:])"
    hash_seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(filter(None, sys.path))
    try:
        child = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-c", script, *arguments],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"drawing tasks did not end in {_CHILD_SECONDS:.0f} s") from None
    if child.returncode:
        words = child.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(words[-1] if words else f"exit code {child.returncode}")
    return decode(child.stdout)


def twins(environment: Environment, seed: int, n: int = 200) -> list[str]:
    """A phrase for each split that has identical tasks among its first `n`."""
    phrases: list[str] = []
    for split, rows in draw(environment, seed, n).items():
        different = len({encode(row) for row in rows})
        if different < len(rows):
            phrases.append(
                f"{len(rows) - different} of {len(rows)} {split} tasks are identical to an earlier one"
            )
    return phrases


def difference(one: Drawn, other: Drawn) -> str | None:
    """The first place where two drawings differ, in words."""
    for split in SPLITS:
        mine, its = one.get(split), other.get(split)
        if (mine is None) != (its is None):
            return f"split {split!r} is there only once"
        mine, its = mine or [], its or []
        for index, (left, right) in enumerate(zip(mine, its, strict=False)):
            for key in {**left, **right}:
                if left.get(key) != right.get(key):
                    return f"split {split!r}, task {index}, {key!r}: {_short(left.get(key), right.get(key))}"
        if len(mine) != len(its):
            return f"split {split!r}: {len(mine)} tasks, then {len(its)}"
    return None


def main(ref: str, config: str, seed: str, n: str) -> None:
    """The child's program: it prints the drawing as JSON, and nothing else, to standard output."""
    with contextlib.redirect_stdout(sys.stderr):
        environment = resolve_reference(ref)(decode(config))
        drawn = draw(environment, int(seed), int(n))
    sys.stdout.buffer.write(encode(drawn))


_CHILD_SECONDS = 120.0


def _short(left: Any, right: Any) -> str:
    one, other = (encode(value).decode() for value in (left, right))
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    start = max(0, start - 20)
    return f"first ...{one[start : start + 60]}..., then ...{other[start : start + 60]}..."
