"""Checks data from other programs before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Json, check_items
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.params import input_items
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, as_reward


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object in the body of an answer.

    Raises:
        ValueError: there is none.
    """
    try:
        value = decode(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {type(value).__name__}")
    return cast("dict[str, Any]", value)


def read_response(value: object) -> Response:
    """A Response from decoded JSON, without a usage of a wrong form.

    Raises:
        ValueError: it is not a Response, or an item of its output is wrong.
    """
    if not isinstance(value, dict) or "output" not in value:
        raise ValueError("it has no `output`, so it is not a Response")
    data = cast("dict[str, Any]", value)
    if not isinstance(data.get("incomplete_details"), dict | None):
        raise ValueError("incomplete_details: expected an object or null")
    try:
        output = check_items(data["output"], "output")
    except UsageError as error:
        raise ValueError(str(error)) from None
    return Response({**data, "output": input_items({"input": output}), "usage": _usage(data.get("usage"))})


def read_reward(result: Mapping[str, Any], details: Mapping[str, Json]) -> Reward:
    """The reward in an answer of `/verify` or `/run`, with these columns.

    Raises:
        ValueError: there is none.
        VerifierFault: it is no finite number.
    """
    if keys.REWARD not in result:
        raise ValueError("it has no reward")
    components = result.get(keys.REWARD_COMPONENTS)
    if not isinstance(components, dict | None):
        raise ValueError("reward_components: expected an object")
    return as_reward(Reward(result[keys.REWARD], cast("dict[str, float] | None", components), details))


class _Counts(msgspec.Struct):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: dict[str, int | None] | None = None
    output_tokens_details: dict[str, int | None] | None = None


def _usage(value: object) -> object:
    try:
        msgspec.convert(value, _Counts)
    except msgspec.ValidationError:
        return None
    return value
