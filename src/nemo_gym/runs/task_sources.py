"""Where the tasks of a run come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.environments.base import Environment
from nemo_gym.runs.component_specs import fingerprint
from nemo_gym.runs.plan import task_rows
from nemo_gym.wire import keys
from nemo_gym.wire.jsonl import open_regular
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
    """The agent that every task is for; empty leaves that to the tasks."""
    num_repeats: int = 1
    """How often each task counts; multiplied by the repeats of the run."""
    prompt: Prompt | None = None
    """The template for the input of every task."""

    def public(self) -> dict[str, Any]:
        """What the manifest holds of it; compared on resume.

        Raises:
            UsageError: the file can't be read.
        """
        always = {
            "source": "" if self.path is None else self.path.name,
            "sha256": "" if self.path is None else digest_of(self.path),
        }
        prompt = self.prompt and {"name": self.prompt.name, "digest": self.prompt.digest}
        where_set = {
            "environment": self.environment and fingerprint(self.environment),
            "agent": self.agent,
            "times": self.num_repeats if self.num_repeats > 1 else None,
            "prompt": prompt,
        }
        return always | {key: value for key, value in where_set.items() if value}


def source_rows(
    environment: Environment, sources: Sequence[Source], *, split: str, seed: int, limit: int | None
) -> Iterator[tuple[Row, int]]:
    """The checked tasks of all sources, one after the other, each with how often it counts.

    Args:
        limit: the number of different tasks of all sources together; None takes all.

    Raises:
        UsageError: a task doesn't fit, as `task_rows` says.
    """
    remaining = limit
    for source in sources:
        for row in rows_of(source, environment, split=split, seed=seed, limit=remaining):
            remaining = None if remaining is None else remaining - 1
            yield row, source.num_repeats


def rows_of(
    source: Source,
    environment: Environment,
    *,
    split: str = "train",
    seed: int = 0,
    limit: int | None = None,
    on_problem: Callable[[int, str], None] | None = None,
) -> Iterator[Row]:
    """The checked tasks of one source, each once, stamped with the agent that they are for.

    Args:
        on_problem: as for `task_rows`.

    Raises:
        UsageError: a task doesn't fit, as `task_rows` says.
    """
    rows = task_rows(
        source.environment or environment,
        source.path,
        split=split,
        seed=seed,
        limit=limit,
        prompt=source.prompt,
        on_problem=on_problem,
    )
    if not source.agent:
        return rows
    ref = {"type": "responses_api_agents", "name": source.agent}
    return ({**row, keys.AGENT_REF: ref} for row in rows)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        UsageError: it can't be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
