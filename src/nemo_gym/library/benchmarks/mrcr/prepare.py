"""Prepares the multi-round coreference task of OpenAI."""

import json
from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark


def prepare(max_chars: int = 400_000) -> Path:
    """Write the tasks and return the path.

    Args:
        max_chars: the longest conversation in characters; about four of them are a token.
    """
    records = hub_records("mrcr", "openai/mrcr", ["2needle*.parquet", "4needle*.parquet", "8needle*.parquet"])
    return write_benchmark("mrcr", (row(record) for record in records if record["n_chars"] <= max_chars))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record. Its prompt is the JSON text of a conversation."""
    names = ("random_string_to_prepend", "n_needles", "desired_msg_index", "total_messages", "n_chars")
    return {
        "responses_create_params": {"input": json.loads(record["prompt"])},
        "expected_answer": record["answer"],
        **{name: record[name] for name in names},
    }
