"""Converts the requests and answers of a Chat Completions back end, as `chat_serving` those of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias, cast
from uuid import uuid4

import msgspec

from nemo_gym.wire.chat_parts import (
    ASSISTANT_KINDS,
    LOGPROBS,
    SAME_NAME,
    AssistantTurn,
    ReasoningMode,
    chat_parts,
    chat_refusal,
    chat_text,
    split_thinking,
    token_fields,
    tool_content,
)
from nemo_gym.wire.chat_repair import repair_completion, repair_text
from nemo_gym.wire.chat_serving import chat_completion, params_from_chat
from nemo_gym.wire.chat_tokens import TokenChoice, TokenId, TokenMessage, token_evidence
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.history import CallIds, sendable
from nemo_gym.wire.items import Item
from nemo_gym.wire.json_values import objects_of
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
    keep_silent: bool = True,
) -> dict[str, Any]:
    """Convert request parameters to a Chat Completions request.

    Tool calls are sent as strict engines accept them (`history`). `metadata` is left to the back end, which
    knows what its endpoint accepts.

    Args:
        reasoning: where past reasoning goes.
        replay_tokens: put the token ids of the last model call, which cover all that came before, on its
            assistant message.
        keep_silent: send past turns of the model without text and calls, which strict engines refuse.

    Raises:
        UsageError: with the item, part or field that Chat Completions can't express.
    """
    fields = cast("dict[str, Any]", params)
    request: dict[str, Any] = {}
    if name := model or fields.get("model"):
        request["model"] = name
    request["messages"] = _messages(params, reasoning, replay_tokens, keep_silent)
    if (most := fields.get("max_output_tokens")) is not None:
        request[max_tokens_field] = most
    for name in fields:
        if name in _SAME_NAME and fields[name] is not None:
            request[name] = fields[name]
    if tools := fields.get("tools"):
        request["tools"] = [_chat_tool(tool, place) for place, tool in enumerate(tools)]
    if not _TRANSLATED.isdisjoint(fields):
        request |= _translated(fields)
    return request


def _translated(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request that Chat Completions has in another form."""
    for name in ("previous_response_id", "prompt"):
        if fields.get(name) is not None:
            raise UsageError(f"{name}: Chat Completions has no such field")
    translation: dict[str, Any] = {}
    if fields.get("tools"):
        translation["tool_choice"] = _chat_tool_choice(fields.get("tool_choice"))
        translation["parallel_tool_calls"] = fields.get("parallel_tool_calls")
    elif fields.get("tool_choice") not in (None, "auto", "none"):
        raise UsageError(f"tool_choice: {fields['tool_choice']!r} needs tools, and there are none")
    if text := fields.get("text"):
        translation["response_format"] = _chat_format(text.get("format"))
        translation["verbosity"] = text.get("verbosity")
    if reasoning := fields.get("reasoning"):
        translation["reasoning_effort"] = reasoning.get("effort")
    if fields.get("top_logprobs") is not None or LOGPROBS in (fields.get("include") or ()):
        translation["logprobs"] = True
    return {name: value for name, value in translation.items() if value is not None}


def chat_response(
    body: bytes | dict[str, Any], *, model: str = "", prompt_token_ids: list[int] | None = None
) -> Response:
    """The Response that a ChatCompletion means.

    Token ids and log-probabilities go on the last item when all three parts are known, from the places that
    `chat_tokens` lists.

    Args:
        prompt_token_ids: the ids of the prompt, for an endpoint that has them only at `/tokenize`.

    Raises:
        ValueError: `body` is not a ChatCompletion with exactly one choice, or its token ids and
            log-probabilities contradict each other.
    """
    completion = _decode(body)
    choice = completion.choices[0]
    message = choice.message
    own_id = (completion.id or "").removeprefix("chatcmpl-")
    suffix = own_id or "0"
    finish = (choice.finish_reason or "").lower()
    if finish in _BROKEN:
        raise ValueError(f"the answer broke off: finish_reason is {choice.finish_reason!r}")
    incomplete = _INCOMPLETE.get(finish)

    text, thoughts = _text_and_thoughts(message)
    calls = message.calls
    output: list[dict[str, Any]] = []
    if thoughts or message.reasoning_details:
        output = _reasoning(thoughts, message.reasoning_details, suffix)
    parts: list[dict[str, Any]] = []
    refusal = message.refusal or ("" if isinstance(message.content, str) else chat_refusal(message.content))
    if text or not (refusal or output or calls):
        parts.append({"type": "output_text", "text": text, "annotations": []})
    if refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    if parts:
        status = "incomplete" if incomplete else "completed"
        item = {"type": "message", "id": f"msg_{suffix}", "role": "assistant", "status": status}
        if message.extra_content:
            item["extra_content"] = message.extra_content
        output.append({**item, "content": parts})
    if calls:
        output += _function_calls(calls, suffix, own_id or uuid4().hex)

    if evidence := token_evidence(message, choice, completion.prompt_token_ids, prompt_token_ids):
        output[-1].update(evidence)
    logprobs = choice.logprobs
    if logprobs and logprobs.content and parts and "text" in parts[0] and not logprobs.name_ids:
        parts[0]["logprobs"] = msgspec.to_builtins(logprobs.content)
    response = Response.of(
        cast("list[Item]", output),
        model=completion.model or model,
        id=f"resp_{suffix}",
        created_at=float(completion.created),
        usage=None if completion.usage is None else _usage(completion.usage),
        incomplete=incomplete,
    )
    if finish in _WINDOW_FULL:
        response.data["incomplete_details"]["detail"] = "context_overflow"
    return response


def _text_and_thoughts(message: _Message) -> tuple[str, list[str]]:
    """The text without the reasoning before it, and all reasoning."""
    text, thoughts = chat_text(message.content)
    thought = message.reasoning_content or message.reasoning
    if thought:
        thoughts.append(thought)
    if "think>" in text and (not thought or text.lstrip().startswith("<think>")):
        others, text = split_thinking(text)
        thoughts += [other for other in others if other != thought]
    return text, thoughts


def _reasoning(thoughts: list[str], details: Any, suffix: str) -> list[dict[str, Any]]:
    """Reasoning items. The first has the provider's own data for the next request, and may have no text."""
    entries = objects_of(details)
    return [
        {
            "type": "reasoning",
            "id": f"rs_{suffix}" if place == 0 else f"rs_{suffix}_{place}",
            "summary": [{"type": "summary_text", "text": thought}] if thought else [],
            **({"reasoning_details": entries} if entries and place == 0 else {}),
        }
        for place, thought in enumerate(thoughts or ([""] if entries else []))
    ]


def _function_calls(calls: list[_ToolCall], suffix: str, names: str) -> list[dict[str, Any]]:
    """The items of calls with the ids of the engine, made unique; missing ids are built from `names`."""
    ids = CallIds() if len(calls) > 1 else None
    items: list[dict[str, Any]] = []
    for place, call in enumerate(calls):
        call_id = call.id or f"call_{names}_{place}"
        item: dict[str, Any] = {
            "type": "function_call",
            "id": f"fc_{suffix}_{place}",
            "call_id": call_id if ids is None else ids.of_call(call_id),
            "name": call.function.name,
            "arguments": call.function.arguments,
            "status": "completed",
        }
        if call.extra_content:
            item["extra_content"] = call.extra_content
        if call.provider_specific_fields:
            item["provider_specific_fields"] = call.provider_specific_fields
        items.append(item)
    return items


_SAME_NAME: Final = frozenset(SAME_NAME)
_TRANSLATED: Final = frozenset(
    {
        *("previous_response_id", "prompt", "tool_choice", "parallel_tool_calls", "text", "reasoning"),
        *("top_logprobs", "include"),
    }
)
"""Fields that Chat Completions does not have, or not in this form."""
_WINDOW_FULL: Final = frozenset({"model_length", "model_context_window_exceeded"})
"""Mistral's and Zhipu's."""
_INCOMPLETE: Final = {
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", *_WINDOW_FULL), "max_output_tokens"),
    **dict.fromkeys(
        ("content_filter", "safety", "sensitive", "recitation", "prohibited_content", "blocklist", "spii"),
        "content_filter",
    ),
}
"""The reasons of OpenAI, and those of other providers behind a gateway."""
_BROKEN: Final = frozenset(
    {"error", "abort", "aborted", "cancelled", "network_error", "insufficient_system_resource"}
)
"""Reasons that mean a failure of the engine: the answer is not complete."""


def _messages(
    params: RequestParams, reasoning: ReasoningMode, replay_tokens: bool, keep_silent: bool
) -> list[dict[str, Any]]:
    source = params.get("input", [])
    preamble = [instructions] if (instructions := params.get("instructions")) else []
    messages: list[dict[str, Any]] = []
    if isinstance(source, str):
        messages.append({"role": "user", "content": source})
        source = []
    turn: AssistantTurn | None = None
    sampled: list[tuple[dict[str, Any], dict[str, Any]]] = []
    tool_media: list[dict[str, Any]] = []
    for place, item in enumerate(cast("list[dict[str, Any]]", sendable(source, params.get("tools") or ()))):
        kind = item.get("type", "message")
        role = item.get("role") if kind == "message" else None
        if tool_media and kind != "function_call_output":
            messages.append({"role": "user", "content": tool_media})
            tool_media = []
        if role == "assistant" or kind in ASSISTANT_KINDS:
            if turn is None:
                turn = AssistantTurn()
            turn.add(item, kind, f"input[{place}]")
            continue
        if turn is not None:
            if keep_silent or turn.speaks:
                _add_turn(turn, reasoning, messages, sampled)
            turn = None
        if role == "user":
            content = item["content"]
            if not isinstance(content, str):
                content = chat_parts(content, f"input[{place}].content")
            messages.append({"role": "user", "content": content})
        elif role in ("system", "developer"):
            content = chat_parts(item["content"], f"input[{place}].content", text_only=True)
            if messages:
                messages.append({"role": role, "content": content})
            else:
                preamble.append(chat_text(content)[0])
        elif kind == "function_call_output":
            content = item["output"]
            if not isinstance(content, str):
                content, others = tool_content(content, f"input[{place}].output")
                tool_media += others
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})
        else:
            what = f"a message with role {role!r}" if kind == "message" else f"an item of type {kind!r}"
            raise UsageError(f"input[{place}]: Chat Completions has no place for {what}")
    if turn is not None and (keep_silent or turn.speaks):
        _add_turn(turn, reasoning, messages, sampled)
    if tool_media:
        messages.append({"role": "user", "content": tool_media})
    if replay_tokens and sampled:
        message, evidence = sampled[-1]
        message.update(token_fields(evidence))
    if preamble:
        messages.insert(0, {"role": "system", "content": "\n\n".join(preamble)})
    return messages


def _add_turn(
    turn: AssistantTurn,
    reasoning: ReasoningMode,
    messages: list[dict[str, Any]],
    sampled: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    """Add the message of a turn, and its tokens to `sampled`. Reasoning that goes back in the form of the
    provider does not go back as text too."""
    message = turn.message(reasoning)
    if turn.details:
        message.pop("reasoning_content", None)
    messages.append(message)
    if turn.evidence is not None:
        sampled.append((message, turn.evidence))


def _chat_tool(tool: Mapping[str, Any], place: int) -> dict[str, Any]:
    if tool.get("type", "function") != "function":
        raise UsageError(f"tools[{place}]: a {tool.get('type')!r} tool can't be offered in Chat Completions")
    function = dict(tool)
    function.pop("type", None)
    if None in function.values():
        function = {key: value for key, value in function.items() if value is not None}
    return {"type": "function", "function": function}


def _chat_tool_choice(choice: Any) -> Any:
    match choice:
        case {"type": "function", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "mode": mode, "tools": [*tools]}:
            choices = [_chat_tool_choice(tool) for tool in tools]
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": choices}}
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


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class _Function(msgspec.Struct):
    name: str
    arguments: str = "{}"


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = None
    extra_content: Any = None
    provider_specific_fields: Any = None


class _Message(TokenMessage):
    content: str | list[dict[str, Any]] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Any = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    extra_content: Any = None

    @property
    def calls(self) -> list[_ToolCall]:
        """The tool calls; older endpoints name a single one `function_call`."""
        if not self.tool_calls and self.function_call is not None and self.function_call.name:
            return [_ToolCall(self.function_call)]
        return self.tool_calls or []


class _Choice(TokenChoice, kw_only=True):
    message: _Message
    finish_reason: str | None = None
    error: Any = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: Count | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Completion(msgspec.Struct):
    """An answer in its usual form. Small errors of form, such as an odd id, are repaired (`chat_repair`)."""

    choices: list[_Choice] = []
    error: Any = None
    id: str | None = None
    model: str | None = None
    created: float = 0.0
    usage: _Usage | None = None
    prompt_token_ids: list[TokenId] | None = None


_decoder = msgspec.json.Decoder(_Completion)


def _decode(body: bytes | dict[str, Any]) -> _Completion:
    try:
        completion = _completion(body)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"not a ChatCompletion: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a ChatCompletion: not valid JSON: {error}") from None
    choices = completion.choices
    if error := completion.error or (choices[0].error if choices else None):
        raise ValueError(f"not a ChatCompletion but an error: {_text(error)[:1000]}")
    if not completion.choices:
        raise ValueError("not a ChatCompletion: `choices` is missing or empty")
    if len(completion.choices) > 1:
        raise ValueError(f"not a ChatCompletion with one choice: it has {len(completion.choices)}")
    return completion


def _completion(body: bytes | dict[str, Any]) -> _Completion:
    if isinstance(body, dict):
        return msgspec.convert(repair_completion(body), _Completion)
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = msgspec.json.decode(repair_text(body))
    return msgspec.convert(repair_completion(value), _Completion)


def _usage(usage: _Usage) -> Usage:
    input_details, output_details = usage.prompt_tokens_details, usage.completion_tokens_details
    total = usage.total_tokens
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": None if input_details is None else input_details.cached_tokens
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {
            "reasoning_tokens": None if output_details is None else output_details.reasoning_tokens
        },
        "total_tokens": usage.prompt_tokens + usage.completion_tokens if total is None else total,
    }
