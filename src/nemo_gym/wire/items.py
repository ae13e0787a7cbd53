"""Responses API items: what a trajectory is made of.

An item is a plain JSON object with types for the reader and the type checker. No field is dropped or renamed
on the way, so fields that this package doesn't use survive a round trip."""

from __future__ import annotations

from typing import Any, Final, Literal, NotRequired, TypeAlias, TypedDict, cast, get_args

from nemo_gym.wire.errors import UsageError, did_you_mean

Json: TypeAlias = Any
"""A decoded JSON value."""

TOKEN_FIELDS: Final = ("prompt_token_ids", "generation_token_ids", "generation_log_probs")
"""What the policy saw and sampled; an item has all three or none."""
ALL_TOKEN_FIELDS: Final = (*TOKEN_FIELDS, "routed_experts")
ID_PREFIXES: Final = {"message": "msg", "function_call": "fc", "reasoning": "rs"}
"""How the ids of the model's own items begin."""


class TokenFields(TypedDict):
    prompt_token_ids: NotRequired[list[int]]
    generation_token_ids: NotRequired[list[int]]
    generation_log_probs: NotRequired[list[float]]
    routed_experts: NotRequired[Json]


class Part(TypedDict):
    """One content part: `input_text`, `input_image`, `output_text`, `refusal`, ..."""

    type: str
    text: NotRequired[str]
    refusal: NotRequired[str]
    annotations: NotRequired[list[Json]]
    logprobs: NotRequired[Json]
    image_url: NotRequired[str]
    file_id: NotRequired[str]
    detail: NotRequired[str]


class Message(TokenFields):
    type: Literal["message"]
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Part]
    id: NotRequired[str]
    status: NotRequired[str]


class FunctionCall(TokenFields):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    """A JSON object as text, exactly as the model wrote it."""
    id: NotRequired[str]
    status: NotRequired[str]


class FunctionCallOutput(TypedDict):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[Part]
    id: NotRequired[str]
    status: NotRequired[str]


class Reasoning(TokenFields):
    type: Literal["reasoning"]
    id: str
    summary: list[Part]
    content: NotRequired[list[Part]]
    encrypted_content: NotRequired[str | None]


HostedType = Literal[
    "mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "file_search_call",
    "web_search_call", "computer_call", "computer_call_output", "image_generation_call",
    "code_interpreter_call", "local_shell_call", "local_shell_call_output", "custom_tool_call",
    "custom_tool_call_output",
]  # fmt: skip


class HostedItem(TypedDict):
    """An item of a tool that the endpoint itself runs; it stays as it is."""

    type: HostedType


Item: TypeAlias = Message | FunctionCall | FunctionCallOutput | Reasoning | HostedItem


def user(text: str) -> Message:
    """A user message."""
    return {"type": "message", "role": "user", "content": text}


def system(text: str) -> Message:
    """A system message."""
    return {"type": "message", "role": "system", "content": text}


def assistant(text: str, *, id: str = "msg_0") -> Message:
    """A finished assistant message, as a model's output holds it."""
    part: Part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": [part]}


def function_call(name: str, arguments: str, *, call_id: str) -> FunctionCall:
    """A model's request to run a tool; `arguments` is a JSON object as text."""
    return {"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id}


def function_call_output(call_id: str, output: str) -> FunctionCallOutput:
    """A tool's answer to the call with the same `call_id`."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def message_text(message: Message) -> str:
    """All text of a message, parts joined."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if part["type"].endswith("text"))


def check_items(value: object, where: str = "input") -> list[Item]:
    """`value` itself when it is a list of well-formed items.

    Raises:
        UsageError: with the first wrong place, for instance `input[2].call_id: a string is missing`.
    """
    if not isinstance(value, list):
        raise UsageError(f"{where}: expected a list of items, got {_kind(value)}")
    items = cast("list[object]", value)
    for index, item in enumerate(items):
        _check_item(item, f"{where}[{index}]")
    return cast("list[Item]", items)


_REQUIRED: Final[dict[str, dict[str, type | tuple[type, ...]]]] = {
    "message": {"role": str, "content": (str, list)},
    "function_call": {"call_id": str, "name": str, "arguments": str},
    "function_call_output": {"call_id": str, "output": (str, list)},
    "reasoning": {"summary": list},
    **{name: {} for name in get_args(HostedType)},
}

ITEM_TYPES: Final = frozenset(_REQUIRED)
"""Every `type` an item may have."""

_ROLES: Final = ("user", "assistant", "system", "developer")
_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})


def _check_item(item: object, where: str) -> None:
    if not isinstance(item, dict):
        raise UsageError(f"{where}: expected an object, got {_kind(item)}")
    fields = cast("dict[str, object]", item)
    kind = fields.get("type", "message" if "role" in fields else None)
    required = _REQUIRED.get(kind) if isinstance(kind, str) else None
    if required is None:
        raise UsageError(f"{where}.type: unknown item type {kind!r}.{did_you_mean(str(kind), _REQUIRED)}")
    for key, types in required.items():
        if not isinstance(fields.get(key), types):
            expectation = "a string" if types is str else "a list" if types is list else "a string or a list"
            problem = (
                f"expected {expectation}, got {_kind(fields[key])}"
                if key in fields
                else f"{expectation} is missing"
            )
            raise UsageError(f"{where}.{key}: {problem}")
    if kind == "reasoning" and not isinstance(fields.get("content"), list | None):
        raise UsageError(f"{where}.content: expected a list, got {_kind(fields['content'])}")
    for key in (*required, "content") if kind == "reasoning" else required:
        if isinstance(value := fields.get(key), list):
            _check_parts(cast("list[object]", value), f"{where}.{key}")
    if kind == "message" and fields["role"] not in _ROLES:
        raise UsageError(f"{where}.role: unknown role {fields['role']!r}. Known: {', '.join(_ROLES)}.")
    present = [key for key in TOKEN_FIELDS if fields.get(key) is not None]
    for key in present:
        if not isinstance(fields[key], list):
            raise UsageError(f"{where}.{key}: expected a list, got {_kind(fields[key])}")
    if present and len(present) < len(TOKEN_FIELDS):
        raise UsageError(f"{where}: {', '.join(present)} without the rest of {', '.join(TOKEN_FIELDS)}")


def _check_parts(parts: list[object], where: str) -> None:
    for place, part in enumerate(parts):
        if not isinstance(part, dict):
            raise UsageError(f"{where}[{place}]: expected an object with a type, got {_kind(part)}")
        fields = cast("dict[str, object]", part)
        if not isinstance(fields.get("type"), str):
            raise UsageError(f"{where}[{place}].type: a string is missing")
        if fields["type"] == "input_video" and bool(fields.get("video_url")) == bool(fields.get("video")):
            raise UsageError(f"{where}[{place}]: exactly one of video_url and video must be given")
        required = ["text"] if fields["type"] in _TEXT_PARTS or "text" in fields else []
        for key in ["refusal"] if fields["type"] == "refusal" else required:
            if not isinstance(fields.get(key), str):
                raise UsageError(f"{where}[{place}].{key}: a string is missing")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case str():
            return "a string"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
