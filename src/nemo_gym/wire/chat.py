"""Between the Responses API and Chat Completions, both ways (CONTRACT 3.8).

Here is what a chat back end sends and receives; `chat_serving` holds what a chat server does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from nemo_gym.wire.chat_parts import (
    ASSISTANT_KINDS,
    LOGPROBS,
    SAME_NAME,
    AssistantTurn,
    ReasoningMode,
    chat_parts,
    chat_text,
    split_thinking,
)
from nemo_gym.wire.chat_serving import chat_completion, params_from_chat
from nemo_gym.wire.chat_tokens import TokenChoice, TokenMessage, token_evidence
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response, Usage

__all__ = ["ReasoningMode", "chat_completion", "chat_request", "chat_response", "params_from_chat"]


def chat_request(
    params: RequestParams,
    *,
    model: str | None = None,
    reasoning: ReasoningMode = "field",
    max_tokens_field: str = "max_tokens",
    replay_tokens: bool = False,
) -> dict[str, Any]:
    """The Chat Completions request that asks what `params` asks.

    `replay_tokens` puts the token ids of each past model call on its assistant message. `metadata` is
    left to the back end, which knows what its endpoint takes from it.

    Raises:
        UsageError: naming the item, part or field that Chat Completions can't express.
    """
    for name in _UNSAYABLE:
        if params.get(name) is not None:
            raise UsageError(f"{name}: Chat Completions has no such field")
    request: dict[str, Any] = {
        "model": model or params.get("model"),
        "messages": _messages(params, reasoning, replay_tokens),
        max_tokens_field: params.get("max_output_tokens"),
    }
    fields = cast("dict[str, Any]", params)
    for name in SAME_NAME:
        if name in fields:
            request[name] = fields[name]
    if params.get("tools"):
        request["tools"] = [_chat_tool(tool, place) for place, tool in enumerate(params.get("tools", []))]
        request["tool_choice"] = _chat_tool_choice(params.get("tool_choice"))
        request["parallel_tool_calls"] = params.get("parallel_tool_calls")
    elif params.get("tool_choice") not in (None, "auto", "none"):
        raise UsageError(f"tool_choice: {params.get('tool_choice')!r} needs tools, and there are none")
    if text := params.get("text"):
        request["response_format"] = _chat_format(text.get("format"))
        request["verbosity"] = text.get("verbosity")
    if effort := params.get("reasoning"):
        request["reasoning_effort"] = effort.get("effort")
    if params.get("top_logprobs") is not None or LOGPROBS in (params.get("include") or ()):
        request["logprobs"] = True
    return {key: value for key, value in request.items() if value is not None}


def chat_response(
    body: bytes | dict[str, Any], *, model: str = "", prompt_token_ids: list[int] | None = None
) -> Response:
    """The Response that a ChatCompletion means.

    Token ids and log-probabilities go on the last item when all three parts are known: from the message
    itself or from the places that `chat_tokens` lists. `prompt_token_ids` supplies the prompt's ids where
    the endpoint doesn't (they then come from its `/tokenize`).

    Raises:
        ValueError: `body` is not a ChatCompletion with exactly one choice, or its token ids and
            log-probabilities contradict each other.
    """
    completion = _decode(body)
    choice = completion.choices[0]
    message = choice.message
    suffix = completion.id.removeprefix("chatcmpl-") or "0"
    incomplete = _INCOMPLETE.get(choice.finish_reason or "")

    text, thoughts = chat_text(message.content)
    thought = message.reasoning_content or message.reasoning
    if thought:
        thoughts.append(thought)
    elif "think>" in text:
        found, text = split_thinking(text)
        thoughts += found

    output: list[dict[str, Any]] = [
        {
            "type": "reasoning",
            "id": f"rs_{suffix}" if place == 0 else f"rs_{suffix}_{place}",
            "summary": [{"type": "summary_text", "text": thought}],
        }
        for place, thought in enumerate(thoughts)
    ]
    parts: list[dict[str, Any]] = []
    if text or not (message.refusal or thoughts or message.tool_calls):
        parts.append({"type": "output_text", "text": text, "annotations": []})
    if message.refusal:
        parts.append({"type": "refusal", "refusal": message.refusal})
    if parts:
        status = "incomplete" if incomplete else "completed"
        item = {"type": "message", "id": f"msg_{suffix}", "role": "assistant", "status": status}
        output.append({**item, "content": parts})
    for place, call in enumerate(message.tool_calls or ()):
        arguments = call.function.arguments
        output.append(
            {
                "type": "function_call",
                "id": f"fc_{suffix}_{place}",
                "call_id": call.id or f"call_{suffix}_{place}",
                "name": call.function.name,
                "arguments": arguments if isinstance(arguments, str) else _text(arguments),
                "status": "completed",
            }
        )

    if evidence := token_evidence(message, choice, completion.prompt_token_ids, prompt_token_ids):
        output[-1].update(evidence)
    logprobs = choice.logprobs
    if logprobs and logprobs.content and parts and "text" in parts[0] and not logprobs.name_ids:
        parts[0]["logprobs"] = msgspec.to_builtins(logprobs.content)
    return Response.of(
        cast("list[Item]", output),
        model=completion.model or model,
        id=f"resp_{suffix}",
        created_at=completion.created or 0.0,
        usage=_usage(completion.usage),
        incomplete=incomplete,
    )


_UNSAYABLE: Final = ("previous_response_id", "prompt")
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


def _messages(params: RequestParams, reasoning: ReasoningMode, replay_tokens: bool) -> list[dict[str, Any]]:
    source = params.get("input", [])
    preamble = [instructions] if (instructions := params.get("instructions")) else []
    messages: list[dict[str, Any]] = []
    if isinstance(source, str):
        messages.append({"role": "user", "content": source})
        source = []
    turn: AssistantTurn | None = None
    for place, item in enumerate(cast("list[dict[str, Any]]", source)):
        kind = item.get("type", "message")
        role = item.get("role") if kind == "message" else None
        if role == "assistant" or kind in ASSISTANT_KINDS:
            if turn is None:
                turn = AssistantTurn()
            turn.add(item, kind, f"input[{place}]")
            continue
        if turn is not None:
            messages.append(turn.message(reasoning, replay_tokens))
            turn = None
        if role == "user":
            content = chat_parts(item["content"], f"input[{place}].content")
            messages.append({"role": "user", "content": content})
        elif role in ("system", "developer"):
            content = chat_parts(item["content"], f"input[{place}].content", text_only=True)
            if messages:
                messages.append({"role": role, "content": content})
            else:
                preamble.append(chat_text(content)[0])
        elif kind == "function_call_output":
            content = chat_parts(item["output"], f"input[{place}].output", text_only=True)
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})
        else:
            what = f"a message with role {role!r}" if kind == "message" else f"an item of type {kind!r}"
            raise UsageError(f"input[{place}]: Chat Completions has no place for {what}")
    if turn is not None:
        messages.append(turn.message(reasoning, replay_tokens))
    if preamble:
        messages.insert(0, {"role": "system", "content": "\n\n".join(preamble)})
    return messages


def _chat_tool(tool: Mapping[str, Any], place: int) -> dict[str, Any]:
    if tool.get("type", "function") != "function":
        raise UsageError(f"tools[{place}]: a {tool.get('type')!r} tool can't be offered in Chat Completions")
    function = {key: value for key, value in tool.items() if key != "type" and value is not None}
    return {"type": "function", "function": function}


def _chat_tool_choice(choice: Any) -> Any:
    match choice:
        case {"type": "function", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "mode": mode, "tools": [*tools]}:
            allowed = [_chat_tool_choice(tool) for tool in tools]
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
        case None | str():
            return choice
        case _:
            raise UsageError(f"tool_choice: {_text(choice)} can't be said in Chat Completions")


def _chat_format(output_format: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if output_format is None or output_format.get("type") == "text":
        return None
    if output_format.get("type") != "json_schema":
        return dict(output_format)
    schema = {key: value for key, value in output_format.items() if key != "type" and value is not None}
    return {"type": "json_schema", "json_schema": schema}


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class _Function(msgspec.Struct):
    name: str
    arguments: str | dict[str, Any] = "{}"


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(TokenMessage):
    content: str | list[dict[str, Any]] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(TokenChoice, kw_only=True):
    message: _Message
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []
    error: Any = None
    id: str = ""
    model: str | None = None
    created: float | None = None
    usage: _Usage | None = None
    prompt_token_ids: list[int] | None = None


_decoder = msgspec.json.Decoder(_Completion)


def _decode(body: bytes | dict[str, Any]) -> _Completion:
    try:
        completion = msgspec.convert(body, _Completion) if isinstance(body, dict) else _decoder.decode(body)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"not a ChatCompletion: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a ChatCompletion: not valid JSON: {error}") from None
    if completion.error is not None:
        raise ValueError(f"not a ChatCompletion but an error: {_text(completion.error)[:1000]}")
    if not completion.choices:
        raise ValueError("not a ChatCompletion: `choices` is missing or empty")
    if len(completion.choices) > 1:
        raise ValueError(f"not a ChatCompletion with one choice: it has {len(completion.choices)}")
    return completion


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    total = usage.total_tokens
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": prompt.cached_tokens if prompt else None},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": completion.reasoning_tokens if completion else None},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens if total is None else total,
    }
