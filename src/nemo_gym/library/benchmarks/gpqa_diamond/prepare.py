"""Prepares the diamond set of GPQA."""

import random
from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import choice_row, hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path. The hub asks for an account that has accepted the terms."""
    records = hub_records("gpqa_diamond", "Idavidrein/gpqa", "gpqa_diamond.csv")
    return write_benchmark("gpqa_diamond", map(row, records))


def row(record: dict[str, str]) -> dict[str, Any]:
    """The task of a record. The options are in an order that depends on the question alone."""
    right = record["Correct Answer"].strip()
    options = [right, *(record[f"Incorrect Answer {number}"].strip() for number in (1, 2, 3))]
    random.Random(record["Question"]).shuffle(options)
    columns = {"domain": record["High-level domain"], "subdomain": record["Subdomain"]}
    return choice_row(record["Question"].strip(), options, options.index(right)) | columns
