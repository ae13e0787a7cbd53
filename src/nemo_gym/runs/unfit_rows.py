"""`BadRows`: rows that can't be run, named all at once."""

from __future__ import annotations

from typing import Final

from nemo_gym.wire.errors import DataError


class BadRows:
    """Collects what is wrong with which task, or whatever else is counted."""

    def __init__(self, counted: str = "task") -> None:
        self._counted = counted
        self._tasks: dict[str, list[int]] = {}

    def add(self, number: int, problem: str) -> None:
        """Number so and so has this problem; tasks are counted from 1."""
        self._tasks.setdefault(problem, []).append(number)

    def refuse(self, where: str = "") -> None:
        """Nothing, when all is well.

        Raises:
            DataError: it isn't; with the tasks of each problem.
        """
        if self._tasks:
            problems = [f"{self._listed(tasks)}: {problem}" for problem, tasks in self._tasks.items()]
            more = f"; and {len(problems) - _SHOWN} other problems" if len(problems) > _SHOWN else ""
            raise DataError(where + "; ".join(problems[:_SHOWN]) + more)

    def _listed(self, numbers: list[int]) -> str:
        if len(numbers) == 1:
            return f"{self._counted} {numbers[0]}"
        more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
        return f"{self._counted}s {', '.join(map(str, numbers[:_SHOWN]))}{more}"


_SHOWN: Final = 10
