"""Prompts as token ids: the ids of the rollout so far, then what the chat template adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, cast

from nemo_gym.models.policies.base import Policy
from nemo_gym.models.tokens import sampled_so_far
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import ModelRejected
from nemo_gym.wire.history import as_json_object
from nemo_gym.wire.items import TOKEN_FIELDS
from nemo_gym.wire.params import RequestParams

Messages = Sequence[Mapping[str, Any]]


class Prompts:
    """Turns requests into token ids.

    Past answers are never tokenised again: the prompt begins with the ids that were sampled and what stood
    before them. What comes after the last answer is rendered behind a short stand-in conversation, so a
    template that changes earlier turns (many leave out their reasoning) changes nothing here.

    Args:
        template_arguments: further arguments of the chat template, such as `enable_thinking`.
    """

    def __init__(self, policy: Policy, template_arguments: Mapping[str, Any] | None = None) -> None:
        self._tokenizer = policy.tokenizer
        self._end_ids = policy.end_ids
        self._arguments = dict(template_arguments or {})
        self._turn_end: str | None = None

    def ids(self, params: RequestParams) -> list[int]:
        """The prompt of a request.

        Raises:
            ModelRejected: the template refuses the messages.
        """
        request = chat_request(params, reasoning="field", replay_tokens=True)
        messages, tools = cast("list[dict[str, Any]]", request["messages"]), request.get("tools")
        match = sampled_so_far(messages)
        if match is None:
            return self._encode(self._render(messages, tools))
        place, history = match
        return [
            *history,
            *self._encode(self._after(messages[place], messages[place + 1 :], tools, history[-1])),
        ]

    def text(self, ids: Sequence[int]) -> str:
        """The text of sampled ids, without the token that ended them."""
        ids = ids[:-1] if ids and ids[-1] in self._end_ids else ids
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def _after(self, answer: Mapping[str, Any], news: Messages, tools: Any, last: int) -> str:
        """The text that the template adds after an answer whose last token is `last`."""
        stand_in: list[Mapping[str, Any]] = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "y"},
        ]
        if answer.get("tool_calls"):
            stand_in[1] = {"role": "assistant", "content": "", "tool_calls": answer["tool_calls"]}
        before = self._render(stand_in, tools, ends_with_answer=True)
        whole = self._render([*stand_in, *news], tools)
        if not whole.startswith(before):
            raise ModelRejected(
                "the chat template changes what stands before a message: it can't be continued"
            )
        end = self._end_of_turn(tools)
        if last in self._end_ids:
            end = end.removeprefix(self._tokenizer.decode([last], skip_special_tokens=False))
        return end + whole[len(before) :]

    def _end_of_turn(self, tools: Any) -> str:
        """What the template writes after every answer."""
        if self._turn_end is None:
            question = {"role": "user", "content": "x"}
            one, other = (
                self._render([question, {"role": "assistant", "content": text}], tools, ends_with_answer=True)
                for text in "ab"
            )
            same = takewhile(lambda pair: pair[0] == pair[1], zip(one[::-1], other[::-1], strict=False))
            self._turn_end = "".join(char for char, _ in same)[::-1]
        return self._turn_end

    def _render(self, messages: Messages, tools: Any, *, ends_with_answer: bool = False) -> str:
        options = {"tools": tools, "tokenize": False, "add_generation_prompt": not ends_with_answer}
        plain = [_for_template(message) for message in messages]
        try:
            return self._tokenizer.apply_chat_template(plain, **options, **self._arguments)
        except Exception as error:  # templates raise whatever they like
            raise ModelRejected(f"the chat template refuses the request: {error}") from None

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))


def _for_template(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as templates expect it: without tokens, and with the arguments of calls as objects."""
    plain = {name: value for name, value in message.items() if name not in TOKEN_FIELDS}
    if calls := plain.get("tool_calls"):
        plain["tool_calls"] = [
            {
                **call,
                "function": {
                    **call["function"],
                    "arguments": as_json_object(call["function"]["arguments"]) or {},
                },
            }
            for call in calls
        ]
    return plain
