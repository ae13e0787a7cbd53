"""A rollout as chat messages, text unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from nemo_gym.wire import keys
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.history import as_json_object
from nemo_gym.wire.item_text import from_model
from nemo_gym.wire.items import Item
from nemo_gym.wire.json_values import objects_of
from nemo_gym.wire.params import RequestParams, check_typed_params, input_items
from nemo_gym.wire.rollout import Rollout

Message = dict[str, Any]
Reason = Literal[
    "malformed_arguments", "unknown_tool", "unanswered_call", "not_text", "no_answer", "prefilled",
    "hosted_tool", "malformed_request",
]  # fmt: skip
"""Why a rollout can't be an example:

malformed_arguments: a tool call's arguments are not a JSON object.
unknown_tool: a call names a tool that was not offered.
unanswered_call: a call has no output, or an output no call.
not_text: a message has images, sound or files.
no_answer: the model said and called nothing.
prefilled: the task's input ends with the start of the model's answer.
hosted_tool: an item or a tool has no place in Chat Completions.
malformed_request: a field of the task's request has another type.
"""


class LeftOut(Exception):
    """A rollout can't be an example; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages of Chat Completions, each with a string as its content. Reasoning is `reasoning_content`."""

    prompt: list[Message]
    """The task, before the model's first answer."""
    completion: list[Message]
    """Answers, tool results, and what the environment or a user said between them."""
    tools: list[dict[str, Any]]

    @property
    def messages(self) -> list[Message]:
        return [*self.prompt, *self.completion]


def conversation(rollout: Rollout) -> Conversation:
    """The messages of a rollout: its task, then its trajectory.

    Raises:
        LeftOut: it can't be an example for training.
    """
    params = _params(rollout)
    opening = input_items(params)
    output = rollout.response.output if rollout.response is not None else []
    first = next((place for place, item in enumerate(output) if from_model(item)), None)
    if first is None:
        raise LeftOut("no_answer")
    _check_calls(output, {str(tool.get("name")) for tool in params.get("tools") or ()})
    prompt_items = [*opening, *output[:first]]
    if prompt_items and from_model(prompt_items[-1]):
        raise LeftOut("prefilled")
    prompt = _chat({**params, "input": prompt_items})
    whole = _chat({**params, "input": [*prompt_items, *output[first:]]})
    messages = [_message(message) for message in whole["messages"]]
    count = len(prompt["messages"])
    if not any(
        one["content"] or one.get("tool_calls") for one in messages[count:] if one["role"] == "assistant"
    ):
        raise LeftOut("no_answer")
    return Conversation(messages[:count], messages[count:], whole.get("tools") or [])


def _params(rollout: Rollout) -> RequestParams:
    params = cast("dict[str, Any]", rollout.row.get(keys.PARAMS) or {})
    fields = {name: params[name] for name in ("input", "instructions", "tools") if params.get(name)}
    try:
        return check_typed_params({"input": [], **fields})
    except UsageError:
        raise LeftOut("malformed_request") from None


def _chat(params: RequestParams) -> dict[str, Any]:
    try:
        return chat_request(params, reasoning="field")
    except UsageError:
        raise LeftOut("hosted_tool") from None


def _message(message: Message) -> Message:
    out: Message = {"role": "system" if message["role"] == "developer" else message["role"]}
    out["content"] = _text(message.get("content"))
    if message.get("refusal"):
        out["content"] += message["refusal"]
    for name in ("reasoning_content", "tool_calls", "tool_call_id"):
        if message.get(name):
            out[name] = message[name]
    return out


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    parts = objects_of(content)
    if any(part.get("type") != "text" for part in parts):
        raise LeftOut("not_text")
    return "".join(part["text"] for part in parts)


def _check_calls(items: Sequence[Item], names: set[str]) -> None:
    waiting: set[str] = set()
    for item in items:
        fields = cast("dict[str, Any]", item)
        if fields.get("type") == "function_call":
            if as_json_object(fields["arguments"]) is None:
                raise LeftOut("malformed_arguments")
            if fields["name"] not in names:
                raise LeftOut("unknown_tool")
            waiting.add(fields["call_id"])
        elif fields.get("type") == "function_call_output":
            if fields["call_id"] not in waiting:
                raise LeftOut("unanswered_call")
            waiting.remove(fields["call_id"])
    last = cast("dict[str, Any]", items[-1]) if items else {}
    if waiting and last.get("type") != "function_call":
        raise LeftOut("unanswered_call")
