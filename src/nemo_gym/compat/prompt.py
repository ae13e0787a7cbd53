"""Prompt files under their original names. `nemo_gym.wire.prompt` fills a prompt in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from nemo_gym.compat.errors import InvalidInput, MissingColumn, MissingFile
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.prompts import load_prompt
from nemo_gym.config.sources import find_file
from nemo_gym.datasets.render import render
from nemo_gym.runs.bad_rows import BadRows
from nemo_gym.serving.checkouts import checkouts
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.prompt import Prompt

Row = dict[str, Any]


class PromptConfig(BaseModel):
    """Templates in which `{column}` means a top-level column of the row, and `{{` and `}}` mean braces."""

    model_config = ConfigDict(extra="forbid")

    user: str
    system: str | None = None


def load_prompt_config(path: str | Path) -> PromptConfig:
    """The prompt of a YAML file, looked for in the working directory and beside the servers.

    Raises:
        MissingFile: there is no such file.
        InvalidInput: it is not a prompt.
    """
    prompt = find_prompt(path)
    return PromptConfig(user=prompt.user, system=prompt.system)


def find_prompt(path: str | Path) -> Prompt:
    """The same as a `Prompt`; raises as `load_prompt_config`."""
    roots = [Path(), *checkouts()]
    if find_file(str(path), roots) is None:
        raise MissingFile(f"prompt {path}: there is no such file")
    try:
        return load_prompt(str(path), roots)
    except (ConfigError, UsageError) as error:
        raise InvalidInput(str(error)) from None


def fill_prompt(prompt_config: PromptConfig, row: Row) -> list[dict[str, str]]:
    """The messages of a row.

    Raises:
        MissingColumn: the row lacks a column.
        InvalidInput: the template can't be read, or can't format the value of a column.
    """
    prompt = _prompt(prompt_config)
    try:
        return prompt.messages(row)
    except DataError as error:
        kind = InvalidInput if prompt.columns <= row.keys() else MissingColumn
        raise kind(f"the prompt doesn't fit: {error}") from None


def apply_prompt_to_row(row: Row, prompt_config: PromptConfig) -> Row:
    """A copy of the row with the filled prompt as its input."""
    params: Row = row.get(keys.PARAMS) or {}
    return {**row, keys.PARAMS: {**params, "input": fill_prompt(prompt_config, row)}}


def validate_prompt_compatibility(rows: Iterable[Row], prompt_config: PromptConfig) -> None:
    """Check that the prompt fits every row.

    Raises:
        InvalidInput: rows have an input already, or lack a column; the message names them, counted from 0.
    """
    prompt, bad_rows = _prompt(prompt_config), BadRows("row")
    for place, row in enumerate(rows):
        try:
            prompt.apply(row)
        except DataError as error:
            bad_rows.add(place, str(error))
    try:
        bad_rows.refuse("prompt doesn't fit: ")
    except DataError as error:
        raise InvalidInput(str(error)) from None


def materialize_prompts(input_jsonl: str, prompt_config: str, output_jsonl: str) -> None:
    """Write the rows of a file with the prompt filled in: all rows, or no file.

    Raises:
        InvalidInput: the prompt doesn't fit a row.
    """
    prompt = find_prompt(prompt_config)
    try:
        render(Path(input_jsonl), prompt, Path(output_jsonl))
    except UsageError as error:
        raise InvalidInput(str(error)) from None


def _prompt(config: PromptConfig) -> Prompt:
    try:
        return Prompt("", config.user, config.system)
    except UsageError as error:
        raise InvalidInput(str(error)) from None
