"""Runs SQL that a model wrote: read-only, limited, and in processes that can be killed."""

from __future__ import annotations

from typing import Final

import msgspec

from nemo_gym.environments.line_workers import LineWorkers, NoAnswer
from nemo_gym.environments.sql_worker import Database, Job, Limits, Outcome, Rule
from nemo_gym.wire.errors import EnvironmentFault, TaskUnfit

__all__ = ["Database", "Limits", "Outcome", "Rule", "SqlRunner"]

_GRACE_S: Final = 1.0
"""Seconds that a worker has beyond the limits of its queries."""


class SqlRunner:
    """Runs queries in worker processes and keeps the idle ones for the next query.

    Its methods block; call them from a `@blocking` hook or tool.

    Args:
        limits: of each query.
        workers: the most processes; by default one for each core.
    """

    def __init__(self, limits: Limits | None = None, workers: int | None = None) -> None:
        self.limits = limits or Limits()
        ready = Job(database=Database(script="SELECT 1;"), sql="SELECT 1", limits=self.limits)
        module, memory = "nemo_gym.environments.sql_worker", str(self.limits.memory_mib)
        self._workers = LineWorkers(module, [memory], _line(ready), workers)

    def query(self, database: Database, sql: str, *, rows: int = 20) -> Outcome:
        """Run a query and return the first rows of its result, or its error."""
        return self._run(Job(database=database, sql=sql, limits=self.limits, preview_rows=rows))

    def compare(
        self,
        database: Database,
        sql: str,
        rule: Rule,
        *,
        gold_sql: list[str] | None = None,
        gold_results: list[list[list[object]]] | None = None,
    ) -> Outcome:
        """Run a query and compare its result with that of one of the right queries, or a right result.

        Raises:
            TaskUnfit: a right query fails, or there is nothing to compare with.
        """
        job = Job(database=database, sql=sql, limits=self.limits, rule=rule)
        job.gold_sql, job.gold_results = gold_sql or [], gold_results or []
        outcome = self._run(job)
        if outcome.gold_error:
            raise TaskUnfit(f"the right result of the task can't be compared with: {outcome.gold_error}")
        return outcome

    def close(self) -> None:
        """End the idle workers. The runner can be used again."""
        self._workers.close()

    def _run(self, job: Job) -> Outcome:
        job.sql = job.sql.encode("utf-8", "replace").decode()
        try:
            answer = self._workers.ask(_line(job), self._seconds(job))
        except NoAnswer as error:
            if error.timed_out:
                return Outcome(error="the query did not end within its time limit", reason="timeout")
            return Outcome(error="the query ended its process, probably for want of memory", reason="limit")
        except OSError as error:
            raise EnvironmentFault(f"the process that runs SQL queries can't be started: {error}") from None
        return msgspec.json.decode(answer, type=Outcome)

    def _seconds(self, job: Job) -> float:
        return self.limits.seconds * (1 + len(job.gold_sql)) + _GRACE_S


def _line(job: Job) -> bytes:
    return msgspec.json.encode(job) + b"\n"
