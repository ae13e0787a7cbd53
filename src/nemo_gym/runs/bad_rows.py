"""`BadRows`: collects the rows that can't be used, for one error."""

from __future__ import annotations

from typing import Final

from nemo_gym.wire.errors import DataError


class BadRows:
    """The problems of rows, each with the numbers of its rows.

    Args:
        noun: what is numbered, for the message.
    """

    def __init__(self, noun: str = "task") -> None:
        self._noun = noun
        self._tasks: dict[str, list[int]] = {}

    def add(self, number: int, problem: str) -> None:
        """Add the problem of one row; rows are numbered from 1."""
        self._tasks.setdefault(problem, []).append(number)

    def refuse(self, where: str = "") -> None:
        """Check that there is no problem.

        Args:
            where: the beginning of the message.

        Raises:
            DataError: with the rows of each problem.
        """
        if self._tasks:
            problems = [f"{self._listed(tasks)}: {problem}" for problem, tasks in self._tasks.items()]
            more = f"; and {len(problems) - _MOST} other problems" if len(problems) > _MOST else ""
            raise DataError(where + "; ".join(problems[:_MOST]) + more)

    def _listed(self, numbers: list[int]) -> str:
        if len(numbers) == 1:
            return f"{self._noun} {numbers[0]}"
        more = f" and {len(numbers) - _MOST} more" if len(numbers) > _MOST else ""
        return f"{self._noun}s {', '.join(map(str, numbers[:_MOST]))}{more}"


_MOST: Final = 10
