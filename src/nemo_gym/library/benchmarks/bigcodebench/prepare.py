"""Prepares the tasks of BigCodeBench."""

import ast
from pathlib import Path
from typing import Any, Literal

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark
from nemo_gym.wire.errors import GymError

REPOSITORIES = {"full": "bigcode/bigcodebench", "hard": "bigcode/bigcodebench-hard"}
FIELDS = ("task_id", "code_prompt", "canonical_solution", "test", "entry_point")
COMPLETE = "Complete this program. Give the whole program in one ```python block.\n\n```python\n{}\n```"


def prepare(
    subset: Literal["full", "hard"] = "full",
    prompt: Literal["instruct", "complete"] = "instruct",
    version: str = "v0.1.4",
) -> Path:
    """Write the tasks and return the path.

    Args:
        subset: all tasks, or the hard ones.
        prompt: a description in words, or the head of the function with its docstring.
        version: the split.
    """
    records = hub_records("bigcodebench", REPOSITORIES[subset], f"data/{version}-*.parquet")
    return write_benchmark("bigcodebench", (row(record, prompt) for record in records))


def row(record: dict[str, Any], prompt: str) -> dict[str, Any]:
    """The task of a record."""
    text = record["instruct_prompt"] if prompt == "instruct" else COMPLETE.format(record["complete_prompt"])
    return {
        "responses_create_params": {"input": [{"role": "user", "content": text}]},
        "verifier_metadata": {**{name: record[name] for name in FIELDS}, "libs": libraries(record)},
    }


def libraries(record: dict[str, Any]) -> list[str]:
    """The names in `libs`, which holds a list as Python writes it; it is not run."""
    try:
        return list(map(str, ast.literal_eval(record["libs"])))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise GymError(f"{record['task_id']}: libs can't be read: {error}") from None
