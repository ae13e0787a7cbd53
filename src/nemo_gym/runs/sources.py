"""Where the tasks of a run come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.environments.base import Environment
from nemo_gym.runs.components import fingerprint
from nemo_gym.runs.plan import task_rows
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.prompt import Prompt
from nemo_gym.wire.task import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One task file, or an environment's own tasks."""

    path: Path | None = None
    """None for the environment's own."""
    environment: Environment | None = None
    """Whose tasks these are; None for the run's environment."""
    agent: str = ""
    """Whom every task is for; empty leaves it to the tasks."""
    repeats: int = 1
    """How often each task counts; the repeats of the run come on top."""
    prompt: Prompt | None = None
    """What the input of every task is made from."""

    def public(self) -> dict[str, Any]:
        """What is written down and compared on resume.

        Raises:
            UsageError: the file can't be read.
        """
        known = {
            "source": "" if self.path is None else self.path.name,
            "sha256": "" if self.path is None else _digest(self.path),
        }
        prompt = self.prompt and {"name": self.prompt.name, "digest": self.prompt.digest}
        added = {
            "environment": self.environment and fingerprint(self.environment),
            "agent": self.agent,
            "times": self.repeats if self.repeats > 1 else None,
            "prompt": prompt,
        }
        return known | {key: value for key, value in added.items() if value}


def source_rows(
    environment: Environment, sources: Sequence[Source], *, split: str, seed: int, limit: int | None
) -> Iterator[Row]:
    """The checked tasks of all sources, one after the other, each as often as it counts.

    Args:
        limit: how many different tasks altogether.

    Raises:
        UsageError: a task doesn't fit, as `task_rows` says.
    """
    left = limit
    for source in sources:
        rows = task_rows(
            source.environment or environment,
            source.path,
            split=split,
            seed=seed,
            limit=left,
            prompt=source.prompt,
        )
        if limit is None and source.repeats == 1 and not source.agent:
            yield from rows
            continue
        for row in rows:
            left = None if left is None else left - 1
            if source.agent:
                row = {**row, keys.AGENT_REF: {"type": "responses_api_agents", "name": source.agent}}
            for _ in range(source.repeats):
                yield row


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from None
