"""Text to SQL with the row form and the comparison of Spider 2 (lite)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta, Struct

from nemo_gym import Response, Reward, Session, Task, ask, blocking, generate_tasks
from nemo_gym.environments.sql_environment import (
    SqlConfig,
    SqlEnvironment,
    query_key,
    query_prompt,
    reward_of,
)
from nemo_gym.environments.sql_questions import draw_question
from nemo_gym.environments.sql_runner import Rule
from nemo_gym.library.coding.spider2_lite.results import read_results
from nemo_gym.verifiers.sql_results import extract_sql
from nemo_gym.wire.errors import TaskUnfit


class Facts(Struct, kw_only=True):
    """The verifier's part of a row: `gold_sql` or `gold_result`."""

    db_id: str
    gold_sql: str | list[str] | None = None
    gold_result: Any = None
    """Rows, a CSV text with a header, or a list of alternatives."""
    difficulty: str | int | None = None
    condition_cols: list[int | list[int]] = []
    """The positions of the gold columns that count; empty means all."""
    ignore_order: bool = False

    @property
    def queries(self) -> list[str]:
        """The right queries."""
        return [self.gold_sql] if isinstance(self.gold_sql, str) else self.gold_sql or []


class SpiderTask(Task):
    """A question, and the query that answers it."""

    verifier_metadata: Facts  # pyright: ignore


class Spider2Lite(SqlEnvironment):
    """Answer a question about a database with a query whose columns include those of the right result."""

    class Config(SqlConfig):
        extra_columns: Annotated[int, Meta(ge=0, le=2000)] = 5
        """The most columns beyond those of the right result: more of them are a list of guesses."""
        allow_empty_results: bool = False
        """Score tasks whose right result has no rows too: any query without a result earns 1 there."""

    Task = SpiderTask

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[SpiderTask]:
        return generate_tasks(self, self.draw, key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> SpiderTask:
        """A task of the level of the settings; its right result stands in the row."""
        level: int = self.config.level
        question = draw_question(rng, level)
        facts = Facts(
            db_id=question.db_id,
            gold_sql=question.gold_sql,
            gold_result=[list(row) for row in question.rows],
            difficulty=level,
            ignore_order=True,
        )
        return SpiderTask(responses_create_params=dict(ask(query_prompt(question))), verifier_metadata=facts)

    def seed(self, task: SpiderTask, session: Session) -> None:
        """Refuse a row whose database or right result is missing."""
        self.database(task.verifier_metadata.db_id)
        results(task.verifier_metadata)

    @blocking
    def verify(self, task: SpiderTask, response: Response, session: Session) -> Reward:
        facts = task.verifier_metadata
        sql = extract_sql(response.final_text)
        if sql is None:
            return reward_of(None)
        rule = Rule(
            name="spider2",
            condition_cols=facts.condition_cols,
            ignore_order=facts.ignore_order,
            extra_columns=self.config.extra_columns,
            allow_empty=self.config.allow_empty_results,
        )
        golds = results(facts)
        outcome = self.runner.compare(
            self.database(facts.db_id), sql, rule, gold_sql=[] if golds else facts.queries, gold_results=golds
        )
        return reward_of(sql, outcome, *self.compare_twin(facts.db_id, sql, rule, facts.queries))

    def oracle(self, task: SpiderTask, session: Session) -> str | None:
        queries = task.verifier_metadata.queries
        return f"```sql\n{queries[0]}\n```" if queries else None


def results(facts: Facts) -> list[list[list[Any]]]:
    """The right results of a row; empty when a query gives them.

    Raises:
        TaskUnfit: there is neither.
    """
    if facts.gold_result is None:
        if not facts.queries:
            raise TaskUnfit("verifier_metadata has neither gold_sql nor gold_result")
        return []
    try:
        return read_results(facts.gold_result)
    except ValueError as error:
        raise TaskUnfit(str(error)) from None


def key(task: SpiderTask) -> str:
    """What makes a task a different one: the query and the business."""
    return query_key(task.verifier_metadata.db_id, str(task.verifier_metadata.gold_sql))
