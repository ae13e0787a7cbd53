"""Converts the requests and answers of a Chat Completions server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from nemo_gym.wire.chat_parts import (
    ASSISTANT_KINDS,
    CALL_EXTRAS,
    LOGPROBS,
    SAME_NAME,
    AssistantTurn,
    chat_text,
    response_parts,
    token_fields,
)
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item
from nemo_gym.wire.json_values import objects, objects_of
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response, Usage


def params_from_chat(request: Mapping[str, Any]) -> RequestParams:
    """Convert a Chat Completions request to Responses parameters.

    Fields that only chat has (`seed`, `stop`, engine options) go to `metadata.extra_body`, as JSON text.

    Raises:
        UsageError: with the message, part or field that can't be expressed.
    """
    rest = {key: value for key, value in request.items() if value is not None}
    for name in ("stream", "stream_options"):
        rest.pop(name, None)
    if rest.pop("n", 1) != 1:
        raise UsageError("n: only 1 is possible here; ask several times instead")
    params: dict[str, Any] = {"input": _items(rest.pop("messages", None))}
    for name in ("model", "parallel_tool_calls", "metadata", *SAME_NAME):
        if name in rest:
            params[name] = rest.pop(name)
    limit = rest.pop("max_tokens", None)
    limit = rest.pop("max_completion_tokens", limit)
    if limit is not None:
        params["max_output_tokens"] = limit
    if "reasoning_effort" in rest:
        params["reasoning"] = {"effort": rest.pop("reasoning_effort")}
    if rest.pop("logprobs", False):
        params["include"] = [LOGPROBS]
    if "tools" in rest:
        params["tools"] = [
            _function_tool(tool, place) for place, tool in enumerate(objects(rest.pop("tools"), "tools"))
        ]
    if "tool_choice" in rest:
        params["tool_choice"] = _tool_choice(rest.pop("tool_choice"))
    text: dict[str, Any] = {}
    if "response_format" in rest:
        text["format"] = _output_format(rest.pop("response_format"))
    if "verbosity" in rest:
        text["verbosity"] = rest.pop("verbosity")
    if text:
        params["text"] = text
    if rest:
        params["metadata"] = with_extra_body(params.get("metadata"), rest)
    return cast("RequestParams", params)


def without_unknown(request: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request that Chat Completions has, without those about streaming."""
    return {key: value for key, value in request.items() if key in _FIELDS}


def chat_completion(response: Response) -> dict[str, Any]:
    """Convert a Response to a ChatCompletion: its last assistant turn, with token ids."""
    turn = AssistantTurn()
    logprobs: list[Any] = []
    for place, item in enumerate(last_turn(response.output)):
        turn.add(item, item["type"], f"output[{place}]")
        if item["type"] == "message" and not isinstance(item["content"], str):
            for part in item["content"]:
                logprobs += part.get("logprobs") or []
    finish = _FINISH.get(response.incomplete_reason or "", "tool_calls" if turn.calls else "stop")
    return {
        "id": f"chatcmpl-{response.data.get('id', '').removeprefix('resp_')}",
        "object": "chat.completion",
        "created": int(response.data.get("created_at") or 0),
        "model": response.model,
        "choices": [
            {
                "index": 0,
                "message": turn.message("field") | token_fields(turn.evidence or {}),
                "finish_reason": finish,
                "logprobs": {"content": logprobs} if logprobs else None,
            }
        ],
        "usage": _chat_usage(response.usage),
    }


_FIELDS: Final = frozenset(
    {
        "messages", "model", "audio", "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens",
        "max_tokens", "metadata", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty",
        "reasoning_effort", "response_format", "seed", "service_tier", "stop", "store", "temperature",
        "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
    }
)  # fmt: skip
_FINISH: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}


def _items(messages: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for place, fields in enumerate(objects(messages, "messages")):
        where = f"messages[{place}]"
        match fields.get("role"):
            case "system" | "developer" | "user" as role:
                content = response_parts(fields.get("content"), f"{where}.content")
                items.append({"type": "message", "role": role, "content": content})
            case "assistant":
                items += _assistant_items(fields, place)
            case "tool":
                output = response_parts(fields.get("content"), f"{where}.content")
                call_id = fields.get("tool_call_id", "")
                items.append({"type": "function_call_output", "call_id": call_id, "output": output})
            case role:
                raise UsageError(f"{where}.role: {role!r} is not system, developer, user, assistant or tool")
    return items


def _assistant_items(message: dict[str, Any], place: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    try:
        text, thoughts = chat_text(message.get("content"))
    except UsageError as error:
        raise UsageError(f"messages[{place}].{error}") from None
    if thought := message.get("reasoning_content") or message.get("reasoning"):
        thoughts.append(thought)
    details = objects_of(message.get("reasoning_details"))
    for number, thought in enumerate(thoughts or ([""] if details else [])):
        summary = [{"type": "summary_text", "text": thought}] if thought else []
        items.append({"type": "reasoning", "id": f"rs_{place}_{number}", "summary": summary})
    if details:
        items[0]["reasoning_details"] = details
    where = f"messages[{place}].tool_calls"
    calls = [
        _function_call(call, f"{where}[{number}]")
        for number, call in enumerate(objects(message.get("tool_calls") or [], where))
    ]
    content: list[dict[str, Any]] = []
    if text or not (items or calls or message.get("refusal")):
        content.append({"type": "output_text", "text": text, "annotations": []})
    if message.get("refusal"):
        content.append({"type": "refusal", "refusal": message["refusal"]})
    if content:
        item = {"type": "message", "id": f"msg_{place}", "role": "assistant", "status": "completed"}
        if message.get("extra_content"):
            item["extra_content"] = message["extra_content"]
        items.append({**item, "content": content})
    items += calls
    items[-1].update(token_fields(message))
    return items


def _function_call(call: Any, where: str) -> dict[str, Any]:
    match call:
        case {"id": str(call_id), "function": {"name": str(name), "arguments": str(arguments)}}:
            item = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
            fields = cast("dict[str, Any]", call)
            return item | {extra: fields[extra] for extra in CALL_EXTRAS if fields.get(extra)}
        case _:
            raise UsageError(f"{where}: expected an id and a function with name and arguments (as text)")


def _function_tool(tool: Any, place: int) -> dict[str, Any]:
    match tool:
        case {"type": "function", "function": {"name": str(), **rest}}:
            return {"type": "function", "name": tool["function"]["name"], **rest}
        case _:
            raise UsageError(f"tools[{place}]: expected a tool of type 'function' with a named function")


def _tool_choice(choice: Any) -> Any:
    match choice:
        case {"type": "function", "function": {"name": str(name)}}:
            return {"type": "function", "name": name}
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [*tools]}}:
            return {"type": "allowed_tools", "mode": mode, "tools": [_tool_choice(tool) for tool in tools]}
        case str():
            return choice
        case _:
            raise UsageError("tool_choice: expected auto, none, required, or an object naming a function")


def _output_format(response_format: Any) -> dict[str, Any]:
    match response_format:
        case {"type": "json_schema", "json_schema": {**schema}}:
            return {"type": "json_schema", **schema}
        case {"type": "text" | "json_object" as kind}:
            return {"type": kind}
        case _:
            raise UsageError("response_format: expected a type of text, json_object or json_schema")


def with_extra_body(metadata: Any, extra: dict[str, Any]) -> dict[str, str]:
    """`metadata` with further fields in its `extra_body`, for which the Responses API has no place.

    Raises:
        UsageError: the `extra_body` in `metadata` is not a JSON object as text.
    """
    if not isinstance(metadata, dict | None):
        raise UsageError("metadata: expected an object")
    fields = cast("dict[str, Any]", metadata or {})
    if not isinstance(text := fields.get("extra_body", "{}"), str):
        raise UsageError("metadata.extra_body: expected text")
    try:
        extra_body = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"metadata.extra_body: not a JSON object: {error}") from None
    return {**fields, "extra_body": msgspec.json.encode({**extra_body, **extra}).decode()}


def last_turn(output: list[Item]) -> list[dict[str, Any]]:
    """The assistant's items at the end of an output."""
    items = cast("list[dict[str, Any]]", output)
    start = len(items)
    while start:
        item = items[start - 1]
        if item["type"] not in ASSISTANT_KINDS and item.get("role") != "assistant":
            break
        start -= 1
    return items[start:]


_DETAILS: Final = (
    ("cached_tokens", "input_tokens_details", "prompt_tokens_details"),
    ("reasoning_tokens", "output_tokens_details", "completion_tokens_details"),
)


def _chat_usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    chat: dict[str, Any] = {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }
    for name, ours, theirs in _DETAILS:
        details = cast("dict[str, dict[str, Any] | None]", usage).get(ours) or {}
        if details.get(name) is not None:
            chat[theirs] = {name: details[name]}
    return chat
