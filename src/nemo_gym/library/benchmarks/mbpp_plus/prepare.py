"""Prepares the problems of MBPP+."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import benchmark_path, hub_records, write_benchmark
from nemo_gym.datasets.evalplus_problems import called_name, test_inputs, write_problems

PROMPT = "{}\n\nName the function `{}`. Give the whole program in one ```python block."


def prepare() -> Path:
    """Write the problems and the tasks, and return the path of the tasks."""
    records = hub_records("mbpp_plus", "evalplus/mbppplus", "data/test-*.parquet")
    path = benchmark_path("mbpp_plus").with_name("problems.jsonl")
    problems = write_problems(path, map(problem, records))
    return write_benchmark("mbpp_plus", map(row, problems))


def problem(record: dict[str, Any]) -> dict[str, Any]:
    """The problem of a record; its right values are those of the reference solution."""
    return {
        "task_id": f"Mbpp/{record['task_id']}",
        "prompt": "",
        "description": record["prompt"],
        "entry_point": called_name(record["test_list"][0]),
        "canonical_solution": record["code"],
        "base_input": test_inputs(record["test"]),
        "atol": 1e-6,
    }


def row(one: dict[str, Any]) -> dict[str, Any]:
    """The task of a problem."""
    message = {"role": "user", "content": PROMPT.format(one["description"], one["entry_point"])}
    metadata = {"task_id": one["task_id"]}
    return {"responses_create_params": {"input": [message]}, "verifier_metadata": metadata}
