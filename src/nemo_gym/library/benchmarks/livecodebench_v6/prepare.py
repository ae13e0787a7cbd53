"""Prepares the newest release of LiveCodeBench."""

import base64
import json
import pickletools
import zlib
from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark

_MOST_BYTES = 1 << 28
_TEXT = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
"""The operations of a pickle that hold a text."""


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("livecodebench_v6", "livecodebench/code_generation_lite", "test6.jsonl")
    return write_benchmark("livecodebench_v6", map(row, records))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record, with its public and its private tests."""
    tests = tests_of(record["public_test_cases"]) + tests_of(record["private_test_cases"])
    metadata: dict[str, Any] = json.loads(record["metadata"] or "{}")
    unit_tests: dict[str, Any] = {
        "inputs": [test["input"] for test in tests],
        "outputs": [test["output"] for test in tests],
    }
    if name := metadata.get("func_name"):
        unit_tests["fn_name"] = name
    starter = record.get("starter_code") or ""
    start = f"\n\nComplete this code:\n\n```python\n{starter}\n```" if starter else ""
    return {
        "question": record["question_content"] + start,
        "verifier_metadata": {
            "problem_id": record["question_id"],
            "difficulty": record["difficulty"],
            "unit_tests": unit_tests,
        },
        "platform": record["platform"],
        "contest_date": str(record["contest_date"]),
    }


def tests_of(text: str) -> list[dict[str, str]]:
    """The tests of a field: JSON, or a compressed pickle of a JSON text, which is read without running it."""
    if text.startswith("["):
        return json.loads(text)
    inflater = zlib.decompressobj()
    data = inflater.decompress(base64.b64decode(text), _MOST_BYTES)
    if not inflater.eof:
        raise ValueError(f"tests of more than {_MOST_BYTES >> 20} MiB")
    texts = [text for code, text, _ in pickletools.genops(data) if code.name in _TEXT]
    return json.loads(str(texts[0]))
