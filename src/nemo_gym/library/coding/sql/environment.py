"""Answer questions about a generated database with a SQL query."""

from __future__ import annotations

import random
from collections.abc import Iterator

from msgspec import Struct

from nemo_gym import Response, Reward, Session, Task, ToolError, ask, blocking, generate_tasks, tool
from nemo_gym.environments.sql_databases import DOMAINS, Domain, read_generated
from nemo_gym.environments.sql_environment import SqlEnvironment, reward_of
from nemo_gym.environments.sql_questions import draw_question
from nemo_gym.environments.sql_runner import Rule
from nemo_gym.verifiers.sql_results import extract_sql
from nemo_gym.wire.errors import TaskUnfit

RULE = Rule(name="bird", allow_empty=True)


class Facts(Struct, kw_only=True):
    """The verifier's part of a row."""

    db_id: str
    """`generated/BUSINESS/SEED`."""
    gold_sql: str
    difficulty: int = 0


class SqlTask(Task):
    """A question, and the query that answers it."""

    question: str
    verifier_metadata: Facts  # pyright: ignore


class Sql(SqlEnvironment):
    """Answer a question about a generated database with a query that must also be right on other rows."""

    Task = SqlTask

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[SqlTask]:
        return generate_tasks(self, self.draw, key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> SqlTask:
        """A task of the level of the settings."""
        level: int = self.config.level
        question = draw_question(rng, level)
        return SqlTask(
            responses_create_params=dict(ask(prompt(question.text, question.domain, level))),
            question=f"{question.domain.name}: {question.text}",
            verifier_metadata=Facts(db_id=question.db_id, gold_sql=question.gold_sql, difficulty=level),
        )

    def seed(self, task: SqlTask, session: Session) -> None:
        """Refuse a row without a generated database."""
        names(task)

    @tool
    def list_tables(self, session: Session) -> list[str]:
        """List the tables of the database."""
        return list(domain_of(session).tables)

    @tool
    def describe_table(self, session: Session, table: str) -> str:
        """Return the statement that creates a table.

        Args:
            table: Its name.
        """
        for statement in domain_of(session).schema.split(";\n"):
            if statement.startswith(f"CREATE TABLE {table} ("):
                return statement
        raise ToolError(
            "There is no such table. The tables are " + ", ".join(domain_of(session).tables) + "."
        )

    @tool
    @blocking
    def run_query(self, session: Session, sql: str) -> dict[str, object]:
        """Run a SQLite SELECT query and return the columns, the first 20 rows and the number of rows.

        Args:
            sql: One SELECT statement.
        """
        outcome = self.runner.query(self.database(session.row["verifier_metadata"]["db_id"]), sql)
        if outcome.error:
            raise ToolError(outcome.error)
        return {"columns": outcome.columns, "rows": outcome.rows, "row_count": outcome.row_count}

    @blocking
    def verify(self, task: SqlTask, response: Response, session: Session) -> Reward:
        facts = task.verifier_metadata
        sql = extract_sql(response.final_text)
        if sql is None:
            return reward_of(None)
        gold = [facts.gold_sql]
        visible = self.runner.compare(self.database(facts.db_id), sql, RULE, gold_sql=gold)
        return reward_of(sql, visible, *self.compare_twin(facts.db_id, sql, RULE, gold))

    def oracle(self, task: SqlTask, session: Session) -> str:
        return f"```sql\n{task.verifier_metadata.gold_sql}\n```"


def key(task: SqlTask) -> str:
    """What makes a task a different one: the question."""
    return task.question


def names(task: SqlTask) -> tuple[str, str]:
    """The business and the seed of a task's database."""
    db_id = task.verifier_metadata.db_id
    if generated := read_generated(db_id):
        return generated
    raise TaskUnfit(
        f"db_id {db_id[:80]!r}: expected generated/BUSINESS/SEED, with one of {', '.join(DOMAINS)}"
    )


def domain_of(session: Session) -> Domain:
    """The business of a session's database."""
    return DOMAINS[session.row["verifier_metadata"]["db_id"].split("/")[1]]


def prompt(question: str, domain: Domain, level: int) -> str:
    """The request; from level 2 on the model finds out the schema itself."""
    schema = (
        f"Its tables:\n{domain.schema}\n" if level < 2 else "Its tables are unknown: look at them first.\n\n"
    )
    return (
        "Write one SQLite query that answers a question about the database of a "
        f"{domain.name.replace('_', ' ')}. {schema}Question: {question}\n\n"
        "The order of the rows does not count. The query is also run on a second database with the same "
        "tables and other rows. Give the final query in a ```sql block."
    )
