"""An environment whose right answer is the column `expected`, for tests that need known rewards."""

from __future__ import annotations

from typing import Any

from nemo_gym import Environment, Response, Session, Task


class Echo(Environment):
    """Say what you are told to."""

    class Task(Task):
        expected: str

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return float(response.final_text == task.expected)
