"""Converts the requests and answers of a Messages server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from nemo_gym.wire.chat_serving import last_turn, with_extra_body
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import object_of, objects
from nemo_gym.wire.messages_documents import document_parts
from nemo_gym.wire.messages_parts import (
    image_part,
    joined_text,
    reasoning_item,
    thinking_block,
    tool_arguments,
    tool_input,
)
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response, Usage


def params_from_messages(request: Mapping[str, Any]) -> RequestParams:
    """Convert a Messages request to Responses parameters.

    `stop_sequences` and `top_k`, for which the Responses API has no field, go to `metadata.extra_body`.
    Fields without a counterpart (`thinking`, `cache_control`, ...) are ignored, because the back end decides
    them.

    Raises:
        UsageError: with the message, block or field that can't be expressed.
    """
    params: dict[str, Any] = {"input": _items(request.get("messages"))}
    for theirs, ours in _SAME_MEANING.items():
        if request.get(theirs) is not None:
            params[ours] = request[theirs]
    if system := request.get("system"):
        params["instructions"] = _text(system, "system")
    if tools := request.get("tools"):
        params["tools"] = [
            _function_tool(tool, f"tools[{n}]") for n, tool in enumerate(objects(tools, "tools"))
        ]
    if (choice := request.get("tool_choice")) is not None:
        params |= _tool_choice(choice)
    user = object_of(request.get("metadata")).get("user_id")
    if isinstance(user, str) and len(user) <= _LONGEST_USER:
        params["user"] = user
    params |= _output_config(request.get("output_config"))
    extra = {ours: request[theirs] for theirs, ours in _EXTRA.items() if request.get(theirs) is not None}
    if extra:
        params["metadata"] = with_extra_body(None, extra)
    return cast("RequestParams", params)


def anthropic_message(response: Response) -> dict[str, Any]:
    """Convert a Response to a Message: its last assistant turn, without token ids."""
    content: list[dict[str, Any]] = []
    for item in last_turn(response.output):
        match item:
            case {"type": "reasoning"}:
                content.append(thinking_block(item))
            case {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}:
                content.append({"type": "tool_use", "id": id, "name": name, "input": tool_input(arguments)})
            case {"content": str(text)}:
                content += _text_blocks([text])
            case _:
                content += _text_blocks(part.get("refusal") or part.get("text") for part in item["content"])
    calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{response.data.get('id', '').removeprefix('resp_')}",
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": content,
        "stop_reason": _STOP.get(response.incomplete_reason or "", "tool_use" if calls else "end_turn"),
        "stop_sequence": None,
        "usage": _usage(response.usage),
    }


_SAME_MEANING: Final = {
    "model": "model",
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
}
_LONGEST_USER: Final = 64
"""The most characters that OpenAI accepts as `user`; command-line agents send longer ones."""
_EXTRA: Final = {"stop_sequences": "stop", "top_k": "top_k"}
_STOP: Final = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}


def _items(messages: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for place, message in enumerate(objects(messages, "messages")):
        where = f"messages[{place}]"
        role = message.get("role")
        if role not in ("user", "assistant"):
            raise UsageError(f"{where}.role: {role!r} is not user or assistant")
        content = message.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        parts: list[dict[str, Any]] = []
        for number, block in enumerate(objects(content, f"{where}.content")):
            spot = f"{where}.content[{number}]"
            if more := _parts(block, role, spot):
                parts += more
                continue
            if parts:
                items.append(_message(role, parts, place))
                parts = []
            items.append(_item(block, f"rs_{place}_{number}", spot))
        if parts:
            items.append(_message(role, parts, place))
    return items


def _parts(block: Mapping[str, Any], role: str, where: str) -> list[dict[str, Any]]:
    """The message parts of a block; none for a block that becomes an item."""
    match block:
        case {"type": "text", "text": str(text)} if role == "assistant":
            return [{"type": "output_text", "text": text, "annotations": []}]
        case {"type": "text", "text": str(text)}:
            return [{"type": "input_text", "text": text}]
        case {"type": "image"} if role == "user":
            return [image_part(block, where)]
        case {"type": "document"} if role == "user":
            return document_parts(block, where)
        case _:
            return []


def _message(role: str, parts: list[dict[str, Any]], place: int) -> dict[str, Any]:
    if role == "user":
        return {"type": "message", "role": "user", "content": parts}
    item = {"type": "message", "id": f"msg_{place}", "role": "assistant", "status": "completed"}
    return {**item, "content": parts}


def _item(block: Mapping[str, Any], id: str, where: str) -> dict[str, Any]:
    if (item := reasoning_item(block, id)) is not None:
        return item
    match block:
        case {"type": "tool_use", "id": str(call_id), "name": str(name), "input": {**value}}:
            arguments = tool_arguments(cast("dict[str, Any]", value))
            return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
        case {"type": "tool_result", "tool_use_id": str(call_id)}:
            output = _output(block.get("content") or "", f"{where}.content")
            item = {"type": "function_call_output", "call_id": call_id, "output": output}
            return {**item, "status": "incomplete"} if block.get("is_error") else item
        case _:
            raise UsageError(
                f"{where}: not implemented: a block of type {block.get('type')!r} with such fields"
            )


def _output(content: Any, where: str) -> str | list[dict[str, Any]]:
    """The output of a tool: a text, or parts where there is more than text."""
    if isinstance(content, str):
        return content
    blocks = objects(content, where)
    if all(block.get("type") == "text" for block in blocks):
        return _text(blocks, where)
    parts: list[dict[str, Any]] = []
    for number, block in enumerate(blocks):
        new_parts = _parts(block, "user", f"{where}[{number}]")
        if not new_parts:
            raise UsageError(
                f"{where}[{number}]: not implemented: {block.get('type')!r}; expected text, image or document"
            )
        parts += new_parts
    return parts


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    blocks = objects(content, where)
    for number, block in enumerate(blocks):
        if block.get("type") != "text" or not isinstance(block.get("text"), str):
            raise UsageError(
                f"{where}[{number}]: not implemented: {block.get('type')!r} where only text is allowed"
            )
    return joined_text(blocks)


def _function_tool(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    match tool:
        case {"name": str(name), "input_schema": {**schema}} if tool.get("type", "custom") in (
            "custom",
            None,
        ):
            function = {"type": "function", "name": name, "parameters": schema}
        case _:
            raise UsageError(f"{where}: not implemented: a tool without a name and an input_schema")
    if tool.get("description") is not None:
        function["description"] = tool["description"]
    return {**function, "strict": bool(tool.get("strict"))}


def _tool_choice(choice: Any) -> dict[str, Any]:
    match choice:
        case {"type": "auto" | "none" as kind}:
            params: dict[str, Any] = {"tool_choice": kind}
        case {"type": "any"}:
            params = {"tool_choice": "required"}
        case {"type": "tool", "name": str(name)}:
            params = {"tool_choice": {"type": "function", "name": name}}
        case _:
            raise UsageError("tool_choice: expected an object of type auto, none, any, or tool with a name")
    if choice.get("disable_parallel_tool_use"):
        params["parallel_tool_calls"] = False
    return params


def _output_config(config: Any) -> dict[str, Any]:
    params: dict[str, Any] = {}
    fields = object_of(config)
    if isinstance(effort := fields.get("effort"), str):
        params["reasoning"] = {"effort": effort}
    output_format = object_of(fields.get("format"))
    if output_format.get("type") == "json_schema" and isinstance(output_format.get("schema"), dict):
        schema = {"schema": output_format["schema"], "strict": True}
        params["text"] = {"format": {"type": "json_schema", "name": "answer", **schema}}
    return params


def _text_blocks(texts: Iterable[str | None]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text} for text in texts if text]


def _usage(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    counts = {"input_tokens": usage["input_tokens"], "output_tokens": usage["output_tokens"]}
    details = cast("dict[str, int | None]", cast("dict[str, Any]", usage).get("input_tokens_details") or {})
    if (cache_reads := details.get("cached_tokens")) is not None:
        counts["input_tokens"] -= cache_reads
        counts["cache_read_input_tokens"] = cache_reads
    return counts
