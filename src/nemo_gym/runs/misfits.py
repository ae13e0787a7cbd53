"""`Misfits`: rows that can't be run, named all at once."""

from __future__ import annotations

from typing import Final

from nemo_gym.wire.errors import DataError


class Misfits:
    """Collects what is wrong with which task."""

    def __init__(self) -> None:
        self._tasks: dict[str, list[int]] = {}

    def add(self, number: int, problem: str) -> None:
        """Task `number`, counted from 1, has this problem."""
        self._tasks.setdefault(problem, []).append(number)

    def refuse(self, where: str = "") -> None:
        """Nothing, when all is well.

        Raises:
            DataError: it isn't; with the tasks of each problem.
        """
        if self._tasks:
            said = [f"{_listed(tasks)}: {problem}" for problem, tasks in self._tasks.items()]
            more = f"; and {len(said) - _SHOWN} other problems" if len(said) > _SHOWN else ""
            raise DataError(where + "; ".join(said[:_SHOWN]) + more)


_SHOWN: Final = 10


def _listed(tasks: list[int]) -> str:
    if len(tasks) == 1:
        return f"task {tasks[0]}"
    more = f" and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else ""
    return f"tasks {', '.join(map(str, tasks[:_SHOWN]))}{more}"
