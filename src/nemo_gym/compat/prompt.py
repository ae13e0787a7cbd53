"""Prompt files: a template laid over the columns of a row (CONTRACT 3.10)."""

from __future__ import annotations

import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict

from nemo_gym.compat.errors import InvalidInput, MissingColumn, MissingFile
from nemo_gym.compat.paths import PARENT_DIR
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire import keys
from nemo_gym.wire.errors import did_you_mean
from nemo_gym.wire.jsonl import encode, read_rows

Row = dict[str, Any]


class PromptConfig(BaseModel):
    """`{column}` stands for a top-level column of the row, `{{` and `}}` for braces."""

    model_config = ConfigDict(extra="forbid")

    user: str
    system: str | None = None


def load_prompt_config(path: str | Path) -> PromptConfig:
    """The prompt of a YAML file, looked for in the working directory and beside the servers.

    Raises:
        MissingFile: there is no such file.
        InvalidInput: it is not a prompt.
    """
    candidates = [Path(path).expanduser(), PARENT_DIR / path]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise MissingFile(f"prompt {path}: there is no such file")
    try:
        return PromptConfig.model_validate(OmegaConf.to_container(OmegaConf.load(found)))
    except (OmegaConfBaseException, ValueError) as error:
        raise InvalidInput(f"prompt {found}: {error}") from None


def fill_prompt(prompt_config: PromptConfig, row: Row) -> list[dict[str, str]]:
    """The messages of a row.

    Raises:
        MissingColumn: the row lacks a column.
    """
    parts = {"system": prompt_config.system, "user": prompt_config.user}
    try:
        return [
            {"role": role, "content": template.format_map(row)}
            for role, template in parts.items()
            if template is not None
        ]
    except KeyError as error:
        known = did_you_mean(str(error.args[0]), row)
        raise MissingColumn(f"the prompt needs the column {error.args[0]!r}.{known}") from None


def apply_prompt_to_row(row: Row, prompt_config: PromptConfig) -> Row:
    """A copy of the row whose input is the filled prompt; the other request parameters stay."""
    params: Row = row.get(keys.PARAMS) or {}
    return {**row, keys.PARAMS: {**params, "input": fill_prompt(prompt_config, row)}}


def validate_prompt_compatibility(rows: Iterable[Row], prompt_config: PromptConfig) -> None:
    """Make sure that every row can take the prompt.

    Raises:
        InvalidInput: naming the rows that have an input already or lack a column.
    """
    needed = _columns(prompt_config.user) | _columns(prompt_config.system or "")
    with_input: list[int] = []
    lacking: list[str] = []
    for place, row in enumerate(rows):
        params: Row = row.get(keys.PARAMS) or {}
        if params.get("input") is not None:
            with_input.append(place)
        if missing := sorted(needed - row.keys()):
            lacking.append(f"row {place} lacks {', '.join(missing)}")
    problems = [f"rows {with_input} have an input of their own"] if with_input else []
    if problems or lacking:
        raise InvalidInput("prompt doesn't fit: " + "; ".join([*problems, *lacking]))


def materialize_prompts(input_jsonl: str, prompt_config: str, output_jsonl: str) -> None:
    """Write the rows of a file with the prompt filled in, whole or not at all.

    Raises:
        InvalidInput: a row can't take the prompt.
    """
    config = load_prompt_config(prompt_config)
    rows = [row for _, row in read_rows(Path(input_jsonl))]
    validate_prompt_compatibility(rows, config)
    with whole_file(Path(output_jsonl)) as file:
        for row in rows:
            filled = apply_prompt_to_row(row, config) | {"prompt_config_used": prompt_config}
            file.write(encode(filled) + b"\n")


def _columns(template: str) -> set[str]:
    names = (name for _, name, _, _ in string.Formatter().parse(template) if name)
    return {name.partition(".")[0].partition("[")[0] for name in names}
