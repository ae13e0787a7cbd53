"""Makes task rows from the templates in turn, in splits that share no task."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from typing import Final

from nemo_gym.library.agent.workplace_assistant.data import MY_EMAIL, MY_NAME, NOW
from nemo_gym.library.agent.workplace_assistant.templates import TEMPLATES, Draft
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import ask
from nemo_gym.wire.task import Row

INSTRUCTIONS: Final = f"""\
You are the office assistant of {MY_NAME} ({MY_EMAIL}). It is now Wednesday, {NOW}.
You can reach the company directory, the mailbox, the calendar, the website's analytics, the project boards \
and the customer list through your tools. Do what you are asked, nothing more, and then say in a sentence \
what you did. Nobody answers questions in between.
Use texts in quotes exactly as they are given. Dates are written YYYY-MM-DD, times YYYY-MM-DD HH:MM:SS, ids \
have eight digits."""

SPLITS: Final = {"train": 1000, "validation": 100, "test": 100, "example": 5}
"""The default number of tasks in each split."""


def generate(split: str, seed: int, n: int | None) -> Iterator[Row]:
    """At most `n` different tasks; fewer when the templates have no more."""
    rng = random.Random(f"{split}:{seed}")
    kinds = [(category, template) for category, several in TEMPLATES.items() for template in several]
    rng.shuffle(kinds)
    keys: set[bytes] = set()
    count = SPLITS[split] if n is None else n
    while kinds and len(keys) < count:
        for category, template in list(kinds):
            for _ in range(_TRIES):
                draft = template(rng)
                key = encode(draft.calls)
                if _split_of(key) == split and key not in keys:
                    break
            else:
                kinds.remove((category, template))
                continue
            if len(keys) == count:
                return
            keys.add(key)
            yield _row(f"{split}_{seed}_{len(keys) - 1}", category, draft)


_TRIES = 200
_SHARES = ("train",) * 16 + ("validation", "validation", "test", "example")


def _split_of(key: bytes) -> str:
    """The split of a task; it is the same for every seed."""
    return _SHARES[zlib.crc32(key) % len(_SHARES)]


def _row(id: str, category: str, draft: Draft) -> Row:
    row: Row = {
        "task_id": id,
        "id": id,
        "responses_create_params": ask(draft.prompt, instructions=INSTRUCTIONS),
        "ground_truth": [
            {"name": name, "arguments": encode(arguments).decode()} for name, arguments in draft.calls
        ],
        "category": category,
        "environment_name": "workplace_assistant",
    }
    if draft.expected_text is not None:
        row["expected_text"] = draft.expected_text
    return row
