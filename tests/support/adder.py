"""An environment with a tool, which trainers' tests name by the path of this file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nemo_gym import Response, Session, Task, ask, tool
from nemo_gym.environments.base import Config, Environment


class Adder(Environment):
    """Add two numbers with a tool."""

    class Config(Config):
        broken: list[int] = []
        """The numbers for which the verifier fails."""

    class Task(Task):
        a: int

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        return ({"responses_create_params": ask(f"{a} + 2 = ?"), "a": a} for a in range(8))

    @tool
    async def add(self, a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    async def verify(self, task: Adder.Task, response: Response, session: Session) -> float:
        if task.a in self.config.broken:
            raise RuntimeError("the verifier is broken")
        return float(response.final_text == str(task.a + 2))


def solve(prompt: str) -> str:
    """The policy for it: it calls the tool, with a space that a second rendering would not have, and then
    repeats the result."""
    before, *results = prompt.split("<|im_start|>tool\n")
    if results:
        return results[-1].split("<|im_end|>")[0]
    a = before.rsplit("<|im_start|>user\n", 1)[1].split(" ")[0]
    return f'<tool_call>{{"name": "add",  "arguments": {{"a":{a}, "b":2}}}}</tool_call>'
