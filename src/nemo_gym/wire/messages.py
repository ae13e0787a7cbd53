"""Converts the requests and answers of a Messages back end, as `messages_serving` those of a server."""

from __future__ import annotations

from typing import Any, Final, cast
from uuid import uuid4

import msgspec

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.history import CallIds, arguments_text, sendable
from nemo_gym.wire.items import Item, assistant
from nemo_gym.wire.json_values import count_of, object_of, text_of
from nemo_gym.wire.messages_documents import document_block
from nemo_gym.wire.messages_parts import (
    image_block,
    joined_text,
    reasoning_item,
    thinking_block,
    tool_arguments,
    tool_input,
)
from nemo_gym.wire.messages_serving import anthropic_message, params_from_messages
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response, Usage

__all__ = ["anthropic_message", "messages_request", "messages_response", "params_from_messages"]


def messages_request(
    params: RequestParams, *, max_tokens: int, model: str | None = None, unsigned: bool = True
) -> dict[str, Any]:
    """Convert request parameters to a Messages request.

    Args:
        max_tokens: the limit, in tokens, where `params` has none; the Messages API requires one.
        unsigned: send past reasoning without a signature, which an endpoint with signatures refuses.

    `metadata` is left to the back end, which knows what its endpoint accepts.

    Raises:
        UsageError: with the item, part or field that Messages can't express.
    """
    for name in _UNSUPPORTED:
        if params.get(name) is not None:
            raise UsageError(f"{name}: the Messages API has no such field")
    system, messages = _messages(params, unsigned)
    request: dict[str, Any] = {
        "model": model or params.get("model"),
        "max_tokens": params.get("max_output_tokens") or max_tokens,
        "system": [{"type": "text", "text": text} for text in system if text.strip()] or None,
        "messages": messages,
        "temperature": params.get("temperature"),
        "top_p": params.get("top_p"),
        "metadata": {"user_id": user} if (user := params.get("user")) else None,
        "output_config": _output_config(params) or None,
    }
    if tools := params.get("tools"):
        request["tools"] = [_tool(cast("dict[str, Any]", tool), place) for place, tool in enumerate(tools)]
        request["tool_choice"] = _tool_choice(params)
    elif params.get("tool_choice") not in (None, "auto", "none"):
        raise UsageError(f"tool_choice: {params.get('tool_choice')!r} needs tools, and there are none")
    return {key: value for key, value in request.items() if value is not None}


def messages_response(body: bytes | dict[str, Any]) -> Response:
    """The Response that a Message means; thinking keeps its signature as `encrypted_content`.

    A turn that the API paused is incomplete for the reason `PAUSED`; a request with its items continues it.

    Raises:
        ValueError: `body` is not a Message, or has a block of an unexpected kind.
    """
    message = _decode(body)
    own_id = text_of(message.id).removeprefix("msg_")
    suffix = own_id or "0"
    stop_reason = text_of(message.stop_reason)
    incomplete = _INCOMPLETE.get(stop_reason)
    ids = CallIds()
    status = "incomplete" if incomplete else "completed"
    output: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] | None = None
    for place, block in enumerate(message.blocks):
        match block:
            case {"type": "text", "text": str() | None as text}:
                if texts is None:
                    texts = []
                    label = {"type": "message", "id": f"msg_{suffix}_{place}", "role": "assistant"}
                    output.append({**label, "status": status, "content": texts})
                texts.append({"type": "output_text", "text": text or "", "annotations": []})
                continue
            case {"type": "tool_use"}:
                call_id = text_of(block.get("id")) or f"toolu_{own_id or uuid4().hex}_{place}"
                value = block.get("input")
                item: dict[str, Any] | None = {
                    "type": "function_call",
                    "id": f"fc_{suffix}_{place}",
                    "call_id": ids.of_call(call_id),
                    "name": text_of(block.get("name")),
                    "arguments": tool_arguments(object_of(value))
                    if isinstance(value, dict)
                    else arguments_text(value),
                    "status": "completed",
                }
            case _:
                item = reasoning_item(block, f"rs_{suffix}_{place}")
        if item is None:
            raise ValueError(f"content[{place}]: a block of type {block.get('type')!r} was not asked for")
        texts = None
        output.append(item)
    if not output:
        output.append({**assistant("", id=f"msg_{suffix}"), "status": status})
    response = Response.of(
        cast("list[Item]", output),
        model=text_of(message.model),
        id=f"resp_{suffix}",
        usage=_usage(message.usage),
        incomplete=incomplete,
    )
    if stop_reason == "model_context_window_exceeded":
        response.data["incomplete_details"]["detail"] = "context_overflow"
    elif stop_reason == PAUSED and not response.function_calls:
        response.data |= {"status": "incomplete", "incomplete_details": {"reason": PAUSED}}
    return response


PAUSED: Final = "pause_turn"
_UNSUPPORTED: Final = ("previous_response_id", "prompt", "top_logprobs")
_INCOMPLETE: Final = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "refusal": "content_filter",
}


def _messages(params: RequestParams, unsigned: bool) -> tuple[list[str], list[dict[str, Any]]]:
    system = [instructions] if (instructions := params.get("instructions")) else []
    messages: list[dict[str, Any]] = []
    tools = cast("list[dict[str, Any]]", params.get("tools") or [])
    items = sendable(input_items(params), tools, plain_ids=True)
    for place, item in enumerate(cast("list[dict[str, Any]]", items)):
        where = f"input[{place}]"
        match item:
            case {"type": "message", "role": "system" | "developer", "content": content}:
                system.append(_text(content, f"{where}.content"))
                continue
            case {"type": "message", "role": role, "content": content}:
                blocks = _blocks(content, f"{where}.content")
            case {"type": "reasoning"}:
                signature = unsigned or item.get("encrypted_content")
                role, blocks = "assistant", [thinking_block(item)] if signature else []
            case {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}:
                use = {"type": "tool_use", "id": id, "name": name, "input": tool_input(arguments)}
                role, blocks = "assistant", [use]
            case {"type": "function_call_output", "call_id": id, "output": output}:
                content = _result(output, f"{where}.output")
                result: dict[str, Any] = {"type": "tool_result", "tool_use_id": id, "content": content}
                if item.get("status") == "incomplete":
                    result["is_error"] = True
                role, blocks = "user", [result]
            case _:
                raise UsageError(
                    f"{where}: the Messages API has no place for an item of type {item['type']!r}"
                )
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": role, "content": blocks})
    return system, _acceptable(messages)


def _acceptable(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without thinking at the end of a turn and without blanks at the end of the conversation.
    The Messages API refuses both."""
    result: list[dict[str, Any]] = []
    for message in messages:
        content: list[dict[str, Any]] = message["content"]
        while message["role"] == "assistant" and content and content[-1]["type"] in _THINKING:
            content.pop()
        if content and result and result[-1]["role"] == message["role"]:
            result[-1]["content"] += content
        elif content:
            result.append(message)
    if result and result[-1]["role"] == "assistant" and (last := result[-1]["content"][-1])["type"] == "text":
        result[-1]["content"][-1] = {**last, "text": last["text"].rstrip()}
    return result


def _blocks(content: Any, where: str) -> list[dict[str, Any]]:
    """The blocks of a message; blank text, which the Messages API refuses, is left out."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    blocks: list[dict[str, Any]] = []
    for place, part in enumerate(cast("list[dict[str, Any]]", content)):
        match part:
            case {"type": "input_text" | "output_text" | "text", "text": text}:
                blocks += [{"type": "text", "text": text}] if text.strip() else []
            case {"type": "refusal", "refusal": text}:
                blocks += [{"type": "text", "text": text}] if text.strip() else []
            case {"type": "input_image"}:
                blocks.append(image_block(part, f"{where}[{place}].image_url"))
            case {"type": "input_file"}:
                blocks.append(document_block(part, f"{where}[{place}]"))
            case _:
                raise UsageError(f"{where}[{place}]: {part['type']!r}: the Messages API has no such part")
    return blocks


def _result(output: Any, where: str) -> str | list[dict[str, Any]]:
    """A tool's output: text, or blocks where it has images."""
    if isinstance(output, str):
        return output
    blocks = _blocks(output, where)
    return joined_text(blocks) if all(block["type"] == "text" for block in blocks) else blocks


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    blocks = _blocks(content, where)
    for place, block in enumerate(blocks):
        if block["type"] != "text":
            raise UsageError(f"{where}[{place}]: only text is allowed here")
    return joined_text(blocks)


def _tool(tool: dict[str, Any], place: int) -> dict[str, Any]:
    if tool.get("type", "function") != "function":
        raise UsageError(f"tools[{place}]: a {tool.get('type')!r} tool can't be offered in the Messages API")
    out = {"name": tool.get("name"), "input_schema": tool.get("parameters") or {"type": "object"}}
    if tool.get("description") is not None:
        out["description"] = tool["description"]
    if tool.get("strict"):
        out["strict"] = True
    return out


def _tool_choice(params: RequestParams) -> dict[str, Any] | None:
    match params.get("tool_choice"):
        case None | "auto":
            choice: dict[str, Any] = {"type": "auto"}
        case "none":
            return {"type": "none"}
        case "required":
            choice = {"type": "any"}
        case {"type": "function", "name": str(name)}:
            choice = {"type": "tool", "name": name}
        case other:
            raise UsageError(f"tool_choice: {other!r} can't be said in the Messages API")
    if params.get("parallel_tool_calls") is False:
        choice["disable_parallel_tool_use"] = True
    return choice if len(choice) > 1 or choice["type"] != "auto" else None


def _output_config(params: RequestParams) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if effort := (params.get("reasoning") or {}).get("effort"):
        config["effort"] = effort
    output_format = (params.get("text") or {}).get("format") or {"type": "text"}
    match output_format:
        case {"type": "text"}:
            pass
        case {"type": "json_schema", "schema": schema}:
            config["format"] = {"type": "json_schema", "schema": schema}
        case _:
            raise UsageError(
                f"text.format: {output_format.get('type')!r}: the Messages API has only json_schema"
            )
    return config


class _Message(msgspec.Struct):
    content: str | list[dict[str, Any] | None] | None
    id: Any = None
    model: Any = None
    stop_reason: Any = None
    usage: Any = None

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """The content as blocks; some endpoints answer with plain text."""
        if isinstance(self.content, str):
            return [{"type": "text", "text": self.content}]
        return [block for block in self.content or () if block is not None]


_decoder = msgspec.json.Decoder(_Message)


def _decode(body: bytes | dict[str, Any]) -> _Message:
    try:
        return msgspec.convert(body, _Message) if isinstance(body, dict) else _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a Message: {error}") from None


def _usage(value: Any) -> Usage | None:
    usage = object_of(value)
    new, output_tokens = count_of(usage.get("input_tokens")), count_of(usage.get("output_tokens"))
    if new is None or output_tokens is None:
        return None
    cache_reads, cache_writes = (
        count_of(usage.get("cache_read_input_tokens")),
        count_of(usage.get(_CACHE_WRITES)),
    )
    input_tokens = new + (cache_reads or 0) + (cache_writes or 0)
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cache_reads},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": None},
        "total_tokens": input_tokens + output_tokens,
    }


_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_CACHE_WRITES: Final = "cache_creation_input_tokens"
