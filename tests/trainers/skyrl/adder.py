"""A tool environment, and a model that plays it, for SkyRL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nemo_gym import Environment, Response, Session, Task, ask, tool


class Adder(Environment):
    """Add two numbers with a tool."""

    class Task(Task):
        a: int

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        return ({"responses_create_params": ask(f"{a} + 2 = ?"), "a": a} for a in range(n or 8))

    @tool
    async def add(self, a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    async def verify(self, task: Adder.Task, response: Response, session: Session) -> dict[str, float]:
        right = response.final_text == str(task.a + 2)
        return {"right": float(right), "calls": 0.125 * len(response.function_calls)}


def question(prompt: str) -> str:
    """The number of the task that a prompt is about."""
    return prompt.split("<|im_start|>user\n", 1)[1].split(" ")[0]


def call(a: str) -> str:
    return f'<tool_call>{{"name": "add",  "arguments": {{"a":{a}, "b":2}}}}</tool_call>'


def result_of(prompt: str, opening: str, ending: str) -> str | None:
    """What a tool said last; None before the first call."""
    _, found, rest = prompt.rpartition(opening)
    return rest.split(ending)[0].strip() if found else None
