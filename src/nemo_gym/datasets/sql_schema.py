"""The tables of a database as text for a prompt."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from nemo_gym.wire.errors import UsageError


def sqlite_schema(path: Path) -> str:
    """The `CREATE` statements of the tables of a SQLite database, which is only read.

    Raises:
        UsageError: there is no such file, or it is no database.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such database")
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as database:
            query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL ORDER BY rowid"
            return ";\n\n".join(statement for (statement,) in database.execute(query)) + ";"
    except sqlite3.Error as error:
        raise UsageError(f"{path}: can't be read as a SQLite database: {error}") from None
