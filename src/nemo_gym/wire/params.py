"""Request parameters of the Responses API, called RCP in row files."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypedDict, cast

import msgspec

from nemo_gym.wire import keys
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
    """The parameters of one model call. Only `input` is required."""

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


FIELDS: Final = frozenset(RequestParams.__annotations__)
"""Every field a request may have."""
_OF_CHAT_COMPLETIONS: Final = {"messages": "input", "response_format": "text"}
"""Fields of Chat Completions with quite another name here."""


def ask(prompt: str, *, instructions: str | None = None) -> RequestParams:
    """Parameters with one user message, after an optional system message."""
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


def check_params(value: object, where: str = keys.PARAMS) -> RequestParams:
    """`value` itself when it is a valid request.

    Raises:
        UsageError: with the wrong field and, for an unknown one, the nearest name.
    """
    if value is None:
        raise UsageError(f'{where}: missing. It is the request to the model: {{"input": "What is 2 + 2?"}}')
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected an object, got {type(value).__name__}")
    fields = cast("dict[str, Any]", value)
    for name in fields:
        if name not in FIELDS:
            meaning = _OF_CHAT_COMPLETIONS.get(name)
            hint = f" Write {meaning!r}." if meaning else did_you_mean(name, FIELDS)
            raise UsageError(f"{where}.{name}: unknown field.{hint}")
    if "input" not in fields:
        raise UsageError(f"{where}.input: required, a string or a list of items")
    if not isinstance(fields["input"], str):
        check_items(fields["input"], f"{where}.input")
    if not isinstance(fields.get("tools", []), list):
        raise UsageError(f"{where}.tools: expected a list of tools")
    return cast("RequestParams", value)


def check_typed_params(value: object, where: str = keys.PARAMS) -> RequestParams:
    """`value` itself when it is a valid request whose fields have the right types.

    Raises:
        UsageError: with the wrong place.
    """
    params = check_params(value, where)
    try:
        msgspec.convert(params, _Types)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).rpartition(" - at `$.")
        raise UsageError(f"{where}.{path.rstrip('`')}: {problem}") from None
    return params


def check_served_params(body: object) -> RequestParams:
    """`body` itself when it is a valid request; for servers, whose clients may send anything.

    Raises:
        UsageError: with the wrong place in the body.
    """
    try:
        return check_typed_params(body, "body")
    except UsageError as error:
        raise UsageError(str(error).removeprefix("body.")) from None


class _Tool(msgspec.Struct):
    type: str = "function"
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: str
    name: str | None = None
    schema: dict[str, Any] | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None


_Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Types(msgspec.Struct):
    """The types of the fields, for the check."""

    background: bool | None = None
    include: list[str] | None = None
    instructions: str | None = None
    max_output_tokens: _Positive | None = None
    max_tool_calls: _Positive | None = None
    metadata: dict[str, str] | None = None
    model: str | None = None
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    reasoning: _Reasoning | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    text: _Text | None = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    tools: list[_Tool] | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
