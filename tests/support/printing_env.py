"""An environment that prints, and whose process ends when a task asks for it."""

from __future__ import annotations

import os
from typing import Any

from nemo_gym import Environment, Response, Session, Task


class Printing(Environment):
    """Talk on standard output while scoring."""

    class Task(Task):
        expected: str

    def seed(self, task: Any, session: Session) -> None:
        if task.expected == "die":
            os._exit(3)

    def verify(self, task: Any, response: Response, session: Session) -> float:
        print("this must not be taken for a report")
        os.write(1, b"nor this")
        return float(response.final_text == task.expected)
