"""The real Data Designer, with a home of its own and no telemetry."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["NEMO_TELEMETRY_ENABLED"] = "false"
os.environ["DATA_DESIGNER_HOME"] = tempfile.mkdtemp(prefix="data-designer-")  # read when it is imported

import yaml

from nemo_gym.siblings.data_designer.generation import create_dataset
from nemo_gym.siblings.data_designer.records import open_dataset

MODELS = [
    {
        "alias": "writer",
        "model": "mine",
        "provider": "gym",
        "inference_parameters": {"max_parallel_requests": 8},
    }
]


def generate(
    folder: Path, columns: list[dict[str, Any]], n: int, url: str, **parts: Any
) -> list[dict[str, Any]]:
    """The records of a data set with these columns."""
    config = folder / "config.yaml"
    parts = {"model_configs": MODELS, **parts, "columns": columns}
    config.write_text(yaml.safe_dump({"data_designer": parts}))
    dataset = create_dataset(config, folder / "artifacts", records=n, model_url=url)
    return [record for _, record in open_dataset(dataset).records()]
