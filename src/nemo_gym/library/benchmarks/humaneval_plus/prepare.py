"""Prepares the problems of HumanEval+."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import benchmark_path, hub_records, write_benchmark
from nemo_gym.datasets.evalplus_problems import test_inputs, write_problems

PROMPT = "Complete this Python function. Give the whole function in one ```python block.\n\n```python\n{}```"


def prepare() -> Path:
    """Write the problems and the tasks, and return the path of the tasks."""
    records = hub_records("humaneval_plus", "evalplus/humanevalplus", "data/test-*.parquet")
    path = benchmark_path("humaneval_plus").with_name("problems.jsonl")
    problems = write_problems(path, map(problem, records))
    return write_benchmark("humaneval_plus", map(row, problems))


def problem(record: dict[str, Any]) -> dict[str, Any]:
    """The problem of a record; its right values are those of the reference solution."""
    names = ("task_id", "prompt", "entry_point", "canonical_solution")
    return {**{name: record[name] for name in names}, "base_input": test_inputs(record["test"]), "atol": 1e-6}


def row(one: dict[str, Any]) -> dict[str, Any]:
    """The task of a problem."""
    message = {"role": "user", "content": PROMPT.format(one["prompt"])}
    metadata = {"task_id": one["task_id"]}
    return {"responses_create_params": {"input": [message]}, "verifier_metadata": metadata}
