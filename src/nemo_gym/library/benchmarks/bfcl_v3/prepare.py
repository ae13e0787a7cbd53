"""Prepares the single-turn Python categories of BFCL v3, which the package bfcl-eval holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from nemo_gym.datasets.benchmark_rows import package_file, write_benchmark
from nemo_gym.wire.jsonl import read_rows

CATEGORIES: Final = (
    "simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance", "live_simple",
    "live_multiple", "live_parallel", "live_parallel_multiple", "live_irrelevance",
)  # fmt: skip
TYPES: Final = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
"""Types of the leaderboard as those of JSON Schema, where they differ."""


def prepare() -> Path:
    """Write the tasks and return the path."""
    return write_benchmark("bfcl_v3", (row for name in CATEGORIES for row in rows(name)))


def rows(category: str) -> Iterator[dict[str, Any]]:
    """The tasks of a category. Names lose their dots, which endpoints refuse."""
    questions = [row for _, row in read_rows(package_file("bfcl_eval", f"data/BFCL_v4_{category}.json"))]
    answers: dict[str, list[dict[str, Any]]] = {}
    if "irrelevance" not in category:
        path = package_file("bfcl_eval", f"data/possible_answer/BFCL_v4_{category}.json")
        answers = {row["id"]: row["ground_truth"] for _, row in read_rows(path)}
    for question in questions:
        functions = [{**one, "name": plain_name(one["name"])} for one in question["function"]]
        calls = [
            {plain_name(name): given}
            for call in answers.get(question["id"], ())
            for name, given in call.items()
        ]
        yield {
            "responses_create_params": {"input": question["question"][0], "tools": [*map(tool, functions)]},
            "functions": functions,
            "possible_calls": calls,
            "category": category,
            "task_id": question["id"],
        }


def plain_name(name: str) -> str:
    """A function's name as endpoints take it."""
    return name.replace(".", "_")


def tool(function: dict[str, Any]) -> dict[str, Any]:
    """A function as a tool of the Responses API."""
    names = ("name", "description")
    return {
        "type": "function",
        **{name: function[name] for name in names},
        "parameters": schema(function["parameters"]),
        "strict": False,
    }


def schema(value: Any) -> Any:
    """A schema with the types of JSON Schema."""
    if isinstance(value, list):
        return [schema(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, dict):
        return value
    fields: dict[str, Any] = {str(key): schema(one) for key, one in value.items()}  # pyright: ignore
    if isinstance(kind := fields.get("type"), str):
        fields["type"] = TYPES.get(kind, kind)
    return fields
