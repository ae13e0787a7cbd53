"""Reads a rollout from a row that any program may have written."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.model_call import without_tokens
from nemo_gym.wire.params import check_params
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.row_identity import KeyedLine
from nemo_gym.wire.token_packing import expand_row
from nemo_gym.wire.validation import read_response


def read_rollout(row: KeyedLine, *, expand: bool = True) -> Rollout:
    """The rollout in a row.

    Args:
        expand: put the whole prompt on every model call (`wire.token_packing`); otherwise tokens stay as they
            are in the file, unchecked.

    Raises:
        DataError: a part that every reader needs has another type.
    """
    try:
        fields = decode(row.line)
        msgspec.convert(fields, _Checked)
        fields = expand_row(fields) if expand else fields
        check_params(fields.get(keys.PARAMS))
        if fields.get(keys.RESPONSE) is not None:
            fields[keys.RESPONSE] = _checked_response(fields[keys.RESPONSE], with_tokens=expand)
    except (msgspec.DecodeError, ValueError, RecursionError, UsageError) as error:
        problem = str(error).replace("$.", "")
        raise DataError(f"{row.path}: {row.name} can't be shown: {problem} (line {row.number})") from None
    return Rollout.from_row(fields, expand=False)


def _checked_response(data: Any, *, with_tokens: bool) -> Any:
    """The response, after a check of those items that are shown part by part.

    Raises:
        ValueError: they are not.
    """
    if not isinstance(data, dict) or not isinstance(data.get("output"), list):  # pyright: ignore
        return read_response(cast("object", data)).data
    fields = cast("dict[str, Any]", data)
    items = cast("list[Any]", fields["output"])
    kinds = [
        cast("dict[str, Any]", item).get("type", "message") if isinstance(item, dict) else ""
        for item in items
    ]
    if not all(isinstance(kind, str) for kind in kinds):
        raise ValueError("response.output: an item's type is not text")
    checks = [item for item, kind in zip(items, kinds, strict=True) if not kind or kind in _WITH_PARTS]
    if not with_tokens:
        checks = [
            without_tokens(cast("dict[str, Any]", item)) if isinstance(item, dict) else item
            for item in checks
        ]
    return {**fields, "usage": read_response({**fields, "output": checks}).usage}


_WITH_PARTS = ("message", "reasoning", "function_call", "function_call_output")
_CHECKED_KEYS = {
    "outcome": keys.OUTCOME,
    "timing": keys.TIMING,
    "reward_components": keys.REWARD_COMPONENTS,
    "tool_calls": keys.TOOL_CALLS,
    "attempt_index": keys.ATTEMPT_INDEX,
}


class _Checked(msgspec.Struct, rename=_CHECKED_KEYS):
    """The columns of a row whose types are checked before they are used."""

    outcome: str = ""
    timing: dict[str, float] = {}
    reward_components: dict[str, float] | None = None
    tool_calls: dict[str, dict[str, Any]] | None = None
    attempt_index: int = 0
