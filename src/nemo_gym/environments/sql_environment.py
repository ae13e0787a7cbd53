"""What environments whose answers are SQL queries share: settings, databases and the runner."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta, structs

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.sql_databases import generated_database, hidden_database, read_generated
from nemo_gym.environments.sql_questions import Question
from nemo_gym.environments.sql_runner import Database, Limits, Outcome, Rule, SqlRunner
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.rollout import Reward


class SqlConfig(Config):
    """Settings of an environment about SQL."""

    level: Annotated[int, Meta(ge=0, le=4)] = 0
    """The difficulty of the generated tasks."""
    databases: str = ""
    """The folder of the database files, `<db_id>/<db_id>.sqlite` or `<db_id>.sqlite`; DuckDB files end in
    `.duckdb`. Generated tasks need none."""
    seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    """The time limit of one query."""


class SqlEnvironment(Environment):
    """An environment whose answers are SQL queries."""

    domain: ClassVar[str] = "coding"
    stateless: ClassVar[bool | None] = True
    answer_key: ClassVar[str | None] = "extracted_answer"
    Config: ClassVar[type[Config]] = SqlConfig

    @cached_property
    def runner(self) -> SqlRunner:
        """The processes that run the queries."""
        return SqlRunner(Limits(seconds=self.config.seconds))

    def database(self, db_id: str) -> Database:
        """The database of a task.

        Raises:
            TaskUnfit: there is none, or the id is not a plain name.
        """
        if generated := read_generated(db_id):
            return generated_database(*generated)
        if not _NAME.fullmatch(db_id):
            raise TaskUnfit(f"db_id {db_id[:80]!r}: expected the plain name of a database")
        folder: str = self.config.databases
        if not folder:
            raise TaskUnfit(
                f"the task needs the database {db_id!r}: set databases=FOLDER to where its file is"
            )
        for ending in _ENDINGS:
            for path in (Path(folder, db_id, db_id + ending), Path(folder, db_id + ending)):
                if path.is_file():
                    engine = "duckdb" if ending == ".duckdb" else "sqlite"
                    return Database(path=str(path.resolve()), engine=engine)
        raise TaskUnfit(f"there is no {db_id}/{db_id}.sqlite in the folder {folder!r} (setting databases)")

    def compare_twin(self, db_id: str, sql: str, rule: Rule, gold_sql: list[str]) -> list[Outcome]:
        """The outcome on the hidden twin of a generated database; nothing for another one.

        Raises:
            TaskUnfit: the right query fails.
        """
        if not gold_sql or not (generated := read_generated(db_id)):
            return []
        rule = structs.replace(rule, allow_empty=True)
        return [self.runner.compare(hidden_database(*generated), sql, rule, gold_sql=gold_sql)]

    def aclose(self) -> None:
        """End the processes that run the queries."""
        self.runner.close()


def query_prompt(question: Question) -> str:
    """The request for the query of a question, with the tables of the database."""
    return (
        f"{question.domain.schema}\nWrite one SQLite query that answers the question.\nQuestion: "
        f"{question.text}\nGive the query in a ```sql block."
    )


def query_key(db_id: str, gold_sql: str) -> str:
    """What makes a generated task a different one: the business and the right query."""
    return f"{db_id.rsplit('/', 1)[0]}: {gold_sql}"


def reward_of(sql: str | None, *outcomes: Outcome) -> Reward:
    """1 when the query is right for every outcome, else 0 with the reason of the first that is not."""
    if sql is None:
        return Reward(0.0, details={"extracted_answer": None, "reason": "no_answer", "sql_error": None})
    worst = next((outcome for outcome in outcomes if not outcome.equal), outcomes[0])
    details = {"extracted_answer": sql, "reason": worst.reason, "sql_error": worst.error or None}
    return Reward(float(worst.equal is True), details=details)


_ENDINGS = (".sqlite", ".db", ".duckdb")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
