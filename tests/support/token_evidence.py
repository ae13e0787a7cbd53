"""What tests ask of the tokens that items carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def continues(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the prompt of the item `after` starts with the prompt and the tokens of the item `before`. Only
    then can a trainer put the two calls into one sequence."""
    sequence: list[int] = [*before["prompt_token_ids"], *before["generation_token_ids"]]
    return after["prompt_token_ids"][: len(sequence)] == sequence
