"""The real Data Designer in processes of its own, with a home of its own and no telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from nemo_gym.siblings.data_designer.records import open_dataset

HOME = Path(tempfile.mkdtemp(prefix="data-designer-"))
MODELS = [
    {
        "alias": "writer",
        "model": "mine",
        "provider": "gym",
        "inference_parameters": {"max_parallel_requests": 8},
    }
]


def program(name: str, *arguments: object, home: Path = HOME) -> subprocess.CompletedProcess[str]:
    """`gym` or `data-designer` of this environment, run to its end."""
    variables = {"DATA_DESIGNER_HOME": str(home), "NEMO_TELEMETRY_ENABLED": "false", "COLUMNS": "200"}
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)


def create(config: Path, n: int, url: str, *, name: str = "dataset") -> Path:
    """The folder of a new data set."""
    artifacts = config.parent / "artifacts"
    flags = ["-n", n, "-o", artifacts, "--name", name, "--model-url", url, "--model", "mine"]
    ended = program("gym", "data-designer", "create", config, *flags)
    assert ended.returncode == 0, ended.stderr
    return artifacts / name


def write_config(folder: Path, columns: list[dict[str, Any]], **parts: Any) -> Path:
    """A configuration with these columns and one model."""
    path = folder / "config.yaml"
    parts = {"model_configs": MODELS, **parts, "columns": columns}
    path.write_text(yaml.safe_dump({"data_designer": parts}))
    return path


def generate(
    folder: Path, columns: list[dict[str, Any]], n: int, url: str, **parts: Any
) -> list[dict[str, Any]]:
    """The records of a data set with these columns."""
    dataset = create(write_config(folder, columns, **parts), n, url)
    return [record for _, record in open_dataset(dataset).records()]
