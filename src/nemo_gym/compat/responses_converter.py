"""The converter between Responses and Chat Completions that existing model servers subclass (3.8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast
from uuid import uuid4

from pydantic import BaseModel, Field

from nemo_gym.compat.openai_chat import (
    NeMoGymChatCompletionCreateParamsNonStreaming,
    NeMoGymChatCompletionMessageParam,
    NeMoGymChatCompletionMessageToolCallParam,
    NeMoGymChoice,
)
from nemo_gym.compat.openai_items import (
    REQUIRED_TOKEN_METADATA_FIELDS,
    RESPONSES_TO_TRAIN,
    NeMoGymEasyInputMessage,
    NeMoGymFunctionCallOutput,
    NeMoGymResponseCreateParamsNonStreaming,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseOutputMessage,
    NeMoGymResponseOutputText,
    NeMoGymResponseReasoningItem,
    NeMoGymSummary,
    TokenIDLogProbMixin,
)
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.chat_parts import chat_text, token_fields
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.params import RequestParams

Item = BaseModel
"""Any of the item models of `openai_utils`."""

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"
_PREAMBLE: Final = ("system", "developer")
_ASKING: Final = (*_PREAMBLE, "user")
_GENERATED: Final = ("function_call", "function_call_output", "reasoning")


class ResponsesConverter(BaseModel):
    """Converts requests one way and answers the other.

    With `return_token_id_information` what the policy saw and sampled goes along on the last item of a model
    call. With `uses_reasoning_parser` a `<think>` block at the start of an answer becomes a reasoning item.
    """

    return_token_id_information: bool
    uses_reasoning_parser: bool = True

    THINK_TAG_PATTERN: ClassVar[re.Pattern[str]] = re.compile(r"<think>(.*?)</think>", re.DOTALL)

    def responses_to_chat_completion_create_params(
        self, responses_create_params: NeMoGymResponseCreateParamsNonStreaming
    ) -> NeMoGymChatCompletionCreateParamsNonStreaming:
        """The chat request that asks the same.

        Raises:
            NotImplementedError: Chat Completions can't express an item, part or field.
            ValueError: a tool is required and there is none.
        """
        body = responses_create_params
        if body.tool_choice == "required" and not body.tools:
            raise ValueError("tool_choice is 'required', and there are no tools")
        params = body.model_dump(exclude_unset=True, exclude={"input"}, mode="json")
        items = body.input if isinstance(body.input, str) else _plain(body.input)
        try:
            asked = chat_request(
                cast("RequestParams", {**params, "input": items}),
                reasoning="tags",
                replay_tokens=self.return_token_id_information,
            )
        except UsageError as error:
            raise NotImplementedError(str(error)) from None
        _restore_forms(asked, items)
        if body.metadata is not None:
            asked["metadata"] = body.metadata
        return NeMoGymChatCompletionCreateParamsNonStreaming.model_validate(asked)

    def postprocess_chat_response(self, choice: NeMoGymChoice) -> list[Item]:
        """The items that a chat model's choice means."""
        return self.postprocess_assistant_message_dict(choice.message.model_dump())

    def postprocess_assistant_message_dict(self, message_dict: dict[str, Any]) -> list[Item]:
        """The items that an assistant's chat message means: reasoning, message, function calls."""
        content, thoughts = chat_text(message_dict.get("content"))
        found, text = self._parse_think_tags(content) if self.uses_reasoning_parser else ([], content)
        if reasoning := message_dict.get("reasoning_content") or message_dict.get("reasoning"):
            found = [reasoning, *found]
        thoughts += found
        calls: list[dict[str, Any]] = message_dict.get("tool_calls") or []
        items: list[Item] = []
        if thoughts:
            summary = [NeMoGymSummary(text=thought, type="summary_text") for thought in thoughts]
            items.append(
                NeMoGymResponseReasoningItem(id=f"rs_{uuid4().hex}", type="reasoning", summary=summary)
            )
        if text or not (thoughts or calls):
            part = NeMoGymResponseOutputText(type="output_text", text=text, annotations=[])
            items.append(
                NeMoGymResponseOutputMessage(
                    id=f"msg_{uuid4().hex}",
                    role="assistant",
                    content=[part],
                    status="completed",
                    type="message",
                )
            )
        items += [
            NeMoGymResponseFunctionToolCall(
                arguments=call["function"]["arguments"],
                call_id=call["id"],
                name=call["function"]["name"],
                type="function_call",
                id=call["id"],
                status="completed",
            )
            for call in calls
        ]
        if self.return_token_id_information:
            items[-1] = _with_tokens(items[-1], message_dict)
        return items

    def chat_completions_messages_to_responses_items(self, messages: Sequence[dict[str, Any]]) -> list[Item]:
        """The items of a chat history."""
        items: list[Item] = []
        for message in messages:
            match message["role"]:
                case "assistant":
                    items += self.postprocess_assistant_message_dict(message)
                case "tool":
                    output = NeMoGymFunctionCallOutput(
                        call_id=message["tool_call_id"],
                        output=chat_text(message["content"])[0],
                        type="function_call_output",
                        status="completed",
                    )
                    items.append(output)
                case role:
                    content = message["content"]
                    items.append(NeMoGymEasyInputMessage(role=role, content=content, type="message"))
        return items

    def _extract_reasoning_from_content(self, content: str) -> tuple[list[str], str]:
        return self._parse_think_tags(content)

    @classmethod
    def _parse_think_tags(cls, content: str) -> tuple[list[str], str]:
        thoughts: list[str] = []
        texts: list[str] = []
        start = 0
        while (closing := content.find(_CLOSE, start)) >= 0:
            opening = content.find(_OPEN, start, closing)
            if opening < 0:
                texts.append(content[start : closing + len(_CLOSE)])
            else:
                texts.append(content[start:opening])
                thoughts.append(content[opening + len(_OPEN) : closing])
            start = closing + len(_CLOSE)
        return thoughts, "".join([*texts, content[start:]])

    @staticmethod
    def _wrap_reasoning_in_think_tags(texts: Sequence[str]) -> str:
        return "".join(f"<think>{text}</think>" for text in texts if text)


class ResponsesConverterState(BaseModel):
    """What a converter that formats item by item has gathered."""

    return_token_id_information: bool
    messages: list[NeMoGymChatCompletionMessageParam] = Field(
        default_factory=list[NeMoGymChatCompletionMessageParam]
    )
    content_buffer: str = ""
    tool_calls_buffer: list[NeMoGymChatCompletionMessageToolCallParam] = Field(
        default_factory=list[NeMoGymChatCompletionMessageToolCallParam]
    )
    token_information: TokenIDLogProbMixin | None = None

    def flush_assistant(self) -> None:
        """Make what was gathered of the assistant's turn into one message."""
        if not (self.content_buffer or self.tool_calls_buffer):
            return
        message: dict[str, Any] = {"role": "assistant", "content": self.content_buffer or None}
        message["tool_calls"] = self.tool_calls_buffer
        if self.return_token_id_information and self.token_information is not None:
            message |= self.token_information.model_dump(include=set(REQUIRED_TOKEN_METADATA_FIELDS))
        self.messages.append(cast("NeMoGymChatCompletionMessageParam", message))
        self.content_buffer = ""
        self.tool_calls_buffer = []


VLLMConverter = ResponsesConverter
VLLMConverterResponsesToChatCompletionsState = ResponsesConverterState


def split_responses_input_output_items(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """(what the model was given, what it did): the second begins with the first item of the assistant."""
    fields = [cast("Any", item) for item in items]
    first = next(
        (
            place
            for place, item in enumerate(fields)
            if item.type in _GENERATED or getattr(item, "role", None) == "assistant"
        ),
        len(fields),
    )
    return list(items[:first]), list(items[first:])


def _plain(items: Sequence[Item]) -> list[dict[str, Any]]:
    """JSON objects of items; each text of a reasoning item becomes an item, to be tagged on its own."""
    found: list[dict[str, Any]] = []
    for item in items:
        fields = item.model_dump(exclude_none=True, mode="json")
        parts = fields.get("summary", [])
        found += [{**fields, "summary": [part]} for part in parts] if len(parts) > 1 else [fields]
    return found


def _restore_forms(asked: dict[str, Any], items: str | list[dict[str, Any]]) -> None:
    """Write what can be said in two ways as existing code expects it: contents that came as parts stay parts,
    an assistant's message has `tool_calls`, and a function's `strict` is left out."""
    messages: list[dict[str, Any]] = asked["messages"]
    for message in messages:
        if message["role"] == "assistant":
            message.setdefault("tool_calls", [])
    for tool in asked.get("tools", ()):
        tool["function"].pop("strict", None)
    if isinstance(items, str):
        messages[-1]["content"] = [{"text": items, "type": "text"}]
        return
    first = next((n for n, item in enumerate(items) if item.get("role") not in _PREAMBLE), len(items))
    in_parts = [isinstance(item["content"], list) for item in items[first:] if item.get("role") in _ASKING]
    asking = [message for message in messages if message["role"] in _ASKING]
    for message, as_parts in zip(asking[len(asking) - len(in_parts) :], in_parts, strict=True):
        if as_parts and isinstance(message["content"], str):
            message["content"] = [{"text": message["content"], "type": "text"}]


def _with_tokens(item: Item, message: dict[str, Any]) -> Item:
    tokens = token_fields(message)
    if not tokens:
        return item
    return RESPONSES_TO_TRAIN[type(item)].model_validate({**item.model_dump(), **tokens})


def _usage_detail(details: Any, name: str) -> int | None:  # pyright: ignore[reportUnusedFunction] - existing code's
    """A count of a usage detail, None when it is unknown."""
    return cast("Any", details).get(name) if isinstance(details, dict) else getattr(details, name, None)
