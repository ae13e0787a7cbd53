"""Prepares the graph walks of OpenAI."""

import json
from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark


def prepare(max_chars: int = 400_000) -> Path:
    """Write the tasks and return the path.

    Args:
        max_chars: the longest prompt in characters; about four of them are a token.
    """
    records = hub_records("graphwalks", "openai/graphwalks", "*.parquet")
    return write_benchmark("graphwalks", (row(one) for one in records if one["prompt_chars"] <= max_chars))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record."""
    return {
        "responses_create_params": {"input": [{"role": "user", "content": record["prompt"]}]},
        "expected_answer": json.dumps(record["answer_nodes"]),
        "problem_type": record["problem_type"],
        "prompt_chars": record["prompt_chars"],
    }
