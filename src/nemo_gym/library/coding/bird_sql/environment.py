"""Text to SQL with the row form and the comparison of BIRD."""

from __future__ import annotations

import random
from collections.abc import Iterator

from msgspec import Struct

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
from nemo_gym.verifiers.sql_results import extract_sql

DIFFICULTIES = ("simple", "simple", "moderate", "moderate", "challenging")


class Facts(Struct, kw_only=True):
    """The verifier's part of a row."""

    db_id: str
    gold_sql: str
    difficulty: str | None = None


class BirdTask(Task):
    """A question, and the query that answers it."""

    verifier_metadata: Facts  # pyright: ignore


class BirdSql(SqlEnvironment):
    """Answer a question about a database with a SQL query whose rows must be those of the right query."""

    class Config(SqlConfig):
        allow_empty_results: bool = False
        """Score tasks whose right query returns no rows too: any query without a result earns 1 there."""

    Task = BirdTask

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[BirdTask]:
        return generate_tasks(self, self.draw, key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> BirdTask:
        """A task of the level of the settings."""
        level: int = self.config.level
        question = draw_question(rng, level)
        facts = Facts(db_id=question.db_id, gold_sql=question.gold_sql, difficulty=DIFFICULTIES[level])
        return BirdTask(responses_create_params=dict(ask(query_prompt(question))), verifier_metadata=facts)

    def seed(self, task: BirdTask, session: Session) -> None:
        """Refuse a row whose database is missing."""
        self.database(task.verifier_metadata.db_id)

    @blocking
    def verify(self, task: BirdTask, response: Response, session: Session) -> Reward:
        facts = task.verifier_metadata
        sql = extract_sql(response.final_text)
        if sql is None:
            return reward_of(None)
        rule = Rule(name="bird", allow_empty=self.config.allow_empty_results)
        gold = [facts.gold_sql]
        outcome = self.runner.compare(self.database(facts.db_id), sql, rule, gold_sql=gold)
        return reward_of(sql, outcome, *self.compare_twin(facts.db_id, sql, rule, gold))

    def oracle(self, task: BirdTask, session: Session) -> str:
        return f"```sql\n{task.verifier_metadata.gold_sql}\n```"


def key(task: BirdTask) -> str:
    """What makes a task a different one: the query and the business."""
    return query_key(task.verifier_metadata.db_id, str(task.verifier_metadata.gold_sql))
