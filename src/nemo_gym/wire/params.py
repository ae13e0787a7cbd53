"""Request parameters of the Responses API, called RCP in row files (CONTRACT 2.5.1)."""

from __future__ import annotations

from typing import Any, Final, TypedDict, cast

from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.items import Item, Json, check_items, system, user


class FunctionTool(TypedDict, total=False):
    """A function the model may call; `parameters` is a JSON Schema object."""

    type: str
    name: str
    description: str | None
    parameters: dict[str, Json]
    strict: bool | None


class RequestParams(TypedDict, total=False):
    """What one model call is asked with. Only `input` is needed."""

    input: str | list[Item]
    background: bool | None
    include: list[str] | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str] | None
    model: str | None
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt: Json
    reasoning: dict[str, Json] | None
    service_tier: str | None
    store: bool | None
    stream: bool | None
    temperature: float | None
    text: dict[str, Json] | None
    tool_choice: Json
    tools: list[FunctionTool]
    top_logprobs: int | None
    top_p: float | None
    truncation: str | None
    user: str | None


_FIELDS: Final = frozenset(RequestParams.__annotations__)


def ask(prompt: str, *, instructions: str | None = None) -> RequestParams:
    """Parameters that put one user message, after an optional system message, to the model."""
    messages: list[Item] = [user(prompt)]
    if instructions:
        messages.insert(0, system(instructions))
    return {"input": messages}


def input_items(params: RequestParams) -> list[Item]:
    """The input as a list of items, each with its `type`; a plain string is one user message."""
    value = params.get("input", [])
    if isinstance(value, str):
        return [user(value)]
    if all("type" in item for item in value):
        return value
    return [item if "type" in item else cast("Item", {"type": "message", **item}) for item in value]


def check_params(value: object, where: str = "responses_create_params") -> RequestParams:
    """`value` itself when it is a valid request.

    Raises:
        UsageError: naming the wrong field and, for an unknown one, the nearest known name.
    """
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected an object, got {type(value).__name__}")
    fields = cast("dict[str, Any]", value)
    for name in fields:
        if name not in _FIELDS:
            raise UsageError(f"{where}.{name}: unknown field.{did_you_mean(name, _FIELDS)}")
    if "input" not in fields:
        raise UsageError(f"{where}.input: required, a string or a list of items")
    if not isinstance(fields["input"], str):
        check_items(fields["input"], f"{where}.input")
    if not isinstance(fields.get("tools", []), list):
        raise UsageError(f"{where}.tools: expected a list of tools")
    return cast("RequestParams", value)
