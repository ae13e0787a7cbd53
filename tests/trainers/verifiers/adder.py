"""A tool environment, for workers of verifiers, which find it by its path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_gym import Environment, Response, Session, Task, ask, tool


class Adder(Environment):
    """Add two numbers with a tool."""

    class Config(Environment.Config):
        breaks: bool = False
        closes: str = ""
        """A pipe into which it writes when a session closes."""

    class Task(Task):
        a: int

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        return ({"responses_create_params": ask(f"{a} + 2 = ?"), "a": a} for a in range(n or 8))

    @tool
    async def add(self, a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    async def close(self, session: Session) -> None:
        if self.config.closes:
            Path(self.config.closes).write_text("closed")

    async def verify(self, task: Adder.Task, response: Response, session: Session) -> dict[str, float]:
        if self.config.breaks:
            raise RuntimeError("the judge is away")
        right = response.final_text == str(task.a + 2)
        return {"right": float(right), "calls": 0.125 * len(response.function_calls)}
