"""Reads the result of an evaluation for NeMo Evaluator 0.2."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from nemo_gym.siblings.evaluator.harness import scores_of


def parse_output(output_dir: str) -> Any:
    """The `EvaluationResult` of the run in a folder."""
    dataclasses: Any = import_module("nemo_evaluator.api.api_dataclasses")
    return dataclasses.EvaluationResult(**scores_of(Path(output_dir)))
