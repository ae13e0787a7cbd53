"""Tasks that a program makes from seeds: disjoint splits, no task twice, the same on every machine."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from nemo_gym.environments.base import Environment
from nemo_gym.wire.items import Item, assistant, user
from nemo_gym.wire.task import Task

T = TypeVar("T", bound=Task)

SPLIT_SHARES: Final[dict[str, range]] = {
    "train": range(7),
    "validation": range(7, 8),
    "test": range(8, 9),
    "example": range(9, 10),
}
"""For each split the remainders, by 10, of the checksums of its tasks' keys."""

DEFAULT_N: Final = 1000
_MAX_REPEATS: Final = 2000


def whole_request(task: Task) -> str:
    """The request of a task as JSON."""
    return json.dumps(task.responses_create_params)


def last_message(task: Task) -> str:
    """The text of the last message of a task; empty without one."""
    items: Any = (task.responses_create_params or {}).get("input", "")
    return items if isinstance(items, str) else str(items[-1].get("content", "")) if items else ""


def after_solved_tasks(task: T, draw: Callable[[random.Random], T], answer: Callable[[T], str]) -> T:
    """Put two solved tasks before a task, as earlier turns, so that a small model keeps to the form.

    They are the same ones for every task (but never the task itself), and their answers differ.

    Args:
        task: its request has one message.
        draw: draws such a task with a generator of random numbers.
        answer: the right answer to a task.
    """
    prompt, rng = last_message(task), random.Random("solved")
    examples: dict[str, str] = {}
    while len(examples) < 2:
        example = draw(rng)
        if (question := last_message(example)) != prompt:
            examples.setdefault(answer(example), question)
    items: list[Item] = []
    for number, (text, question) in enumerate(examples.items()):
        items += [user(question), assistant(text, id=f"msg_{number}")]
    task.responses_create_params = {"input": [*items, user(prompt)]}
    return task


def generate_tasks(
    environment: Environment,
    make: Callable[[random.Random], T],
    key: Callable[[T], str] = whole_request,
    *,
    split: str,
    seed: int,
    n: int | None,
) -> Iterator[T]:
    """Tasks of a split: `make` draws them, and the checksum of a task's key says to which split it belongs.

    So a task is in one split only, whatever the seed is. Tasks with equal keys are the same task, and only
    the first of them is kept. When 2,000 draws in turn give no new task, there are no more.

    Args:
        environment: whose name an error message has.
        make: draws a task with a generator of random numbers, and uses no other randomness.
        key: what makes a task a different one, such as the question; by default its request.
        split: `train`, `validation`, `test` or `example`.
        n: the most tasks; None is 1,000.

    Raises:
        UsageError: there is no such split.
    """
    environment.check_split(split, SPLIT_SHARES)
    return _draw(make, key, split, random.Random(f"{split} {seed}"), DEFAULT_N if n is None else n)


def _draw(
    make: Callable[[random.Random], T], key: Callable[[T], str], split: str, rng: random.Random, n: int
) -> Iterator[T]:
    share = SPLIT_SHARES[split]
    known: set[str] = set()
    repeats = 0
    while len(known) < n and repeats < _MAX_REPEATS:
        task = make(rng)
        name = key(task)
        if name in known or zlib.crc32(name.encode()) % 10 not in share:
            repeats += 1
            continue
        known.add(name)
        repeats = 0
        yield task
