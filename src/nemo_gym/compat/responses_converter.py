"""The converter between Responses and Chat Completions, which existing model servers subclass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast
from uuid import uuid4

from pydantic import BaseModel, Field

from nemo_gym.compat.openai_chat import (
    NeMoGymChatCompletion,
    NeMoGymChatCompletionCreateParamsNonStreaming,
    NeMoGymChatCompletionMessageParam,
    NeMoGymChatCompletionMessageToolCallParam,
    NeMoGymChoice,
)
from nemo_gym.compat.openai_items import (
    RESPONSES_TO_TRAIN,
    NeMoGymEasyInputMessage,
    NeMoGymFunctionCallOutput,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseOutputMessage,
    NeMoGymResponseOutputText,
    NeMoGymResponseReasoningItem,
    NeMoGymResponseUsage,
    NeMoGymSummary,
    TokenIDLogProbMixin,
    usage_of,
)
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.chat_parts import chat_text, token_fields
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.params import RequestParams

Item = BaseModel
"""Any of the item models of `openai_utils`."""

_PREAMBLE: Final = ("system", "developer")
_ASKING: Final = (*_PREAMBLE, "user")
_GENERATED: Final = ("reasoning", "mcp_list_tools", "mcp_approval_request")


class ResponsesConverter(BaseModel):
    """Converts requests one way and answers the other.

    With `return_token_id_information` the last item of a model call carries the prompt tokens and the sampled
    tokens. With `uses_reasoning_parser` a `<think>` block of an answer becomes a reasoning item.
    """

    return_token_id_information: bool
    uses_reasoning_parser: bool = True

    THINK_TAG_PATTERN: ClassVar[re.Pattern[str]] = re.compile(r"<think>(.*?)</think>", re.DOTALL)

    def responses_to_chat_completion_create_params(
        self, responses_create_params: NeMoGymResponseCreateParamsNonStreaming
    ) -> NeMoGymChatCompletionCreateParamsNonStreaming:
        """The chat request for a Responses request.

        Raises:
            NotImplementedError: Chat Completions can't express an item, part or field.
            ValueError: the request requires a tool and has none.
        """
        body = responses_create_params
        if body.tool_choice == "required" and not body.tools:
            raise ValueError("tool_choice is 'required', and there are no tools")
        params = body.model_dump(exclude_unset=True, exclude={"input"}, mode="json")
        items = body.input if isinstance(body.input, str) else _plain(body.input)
        try:
            chat_params = chat_request(
                cast("RequestParams", {**params, "input": items}),
                reasoning="tags",
                replay_tokens=self.return_token_id_information,
            )
        except UsageError as error:
            raise NotImplementedError(str(error)) from None
        _restore_forms(chat_params, items)
        if body.metadata is not None:
            chat_params["metadata"] = body.metadata
        return NeMoGymChatCompletionCreateParamsNonStreaming.model_validate(chat_params)

    def postprocess_chat_response(self, choice: NeMoGymChoice) -> list[Item]:
        """The items of a chat model's choice."""
        return self.postprocess_assistant_message_dict(choice.message.model_dump())

    def postprocess_assistant_message_dict(self, message_dict: dict[str, Any]) -> list[Item]:
        """The items of an assistant's chat message: reasoning, message, function calls."""
        content, thoughts = chat_text(message_dict.get("content"))
        parses = self.uses_reasoning_parser
        all_items, text = self._extract_reasoning_from_content(content) if parses else ([], content)
        if reasoning := message_dict.get("reasoning_content") or message_dict.get("reasoning"):
            all_items = [reasoning, *all_items]
        thoughts += all_items
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

    def chat_completion_to_response(
        self,
        responses_create_params: NeMoGymResponseCreateParamsNonStreaming,
        chat_completion: NeMoGymChatCompletion,
    ) -> NeMoGymResponse:
        """The Response of the first choice of a chat answer. It repeats the fields of its request."""
        choice = chat_completion.choices[0]
        reason = _INCOMPLETE.get(choice.finish_reason)
        return NeMoGymResponse.model_validate(
            {
                **{name: getattr(responses_create_params, name) for name in _ECHOED},
                "id": f"resp_{uuid4().hex}",
                "model": responses_create_params.model or chat_completion.model,
                "object": "response",
                "created_at": chat_completion.created,
                "output": [item.model_dump() for item in self.postprocess_chat_response(choice)],
                "status": "incomplete" if reason else "completed",
                "incomplete_details": {"reason": reason} if reason else None,
                "usage": _response_usage(chat_completion.usage),
            }
        )

    def _extract_reasoning_from_content(self, content: str) -> tuple[list[str], str]:
        return self._parse_think_tags(content)

    @classmethod
    def _parse_think_tags(cls, content: str) -> tuple[list[str], str]:
        # Text after the last closing tag can't match. Without it, the search takes linear time.
        before, tag, after = content.rpartition("</think>")
        tagged = before + tag
        return cls.THINK_TAG_PATTERN.findall(tagged), cls.THINK_TAG_PATTERN.sub("", tagged) + after


class ResponsesConverterState(BaseModel):
    """The state of a converter that formats item by item."""

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
        """Turn the buffers of the assistant's turn into one message."""
        if not (self.content_buffer or self.tool_calls_buffer):
            return
        message: dict[str, Any] = {"role": "assistant", "content": self.content_buffer or None}
        if self.tool_calls_buffer:
            message["tool_calls"] = self.tool_calls_buffer
        if self.return_token_id_information and self.token_information is not None:
            message |= self.token_information.model_dump(exclude_none=True)
        self.messages.append(cast("NeMoGymChatCompletionMessageParam", message))
        self.content_buffer = ""
        self.tool_calls_buffer = []


VLLMConverter = ResponsesConverter
VLLMConverterResponsesToChatCompletionsState = ResponsesConverterState


def split_responses_input_output_items(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """(the input of the model, its output). The output begins with the first item of the assistant."""
    fields = [cast("Any", item) for item in items]
    first = next(
        (
            place
            for place, item in enumerate(fields)
            if _is_generated(item.type) or getattr(item, "role", None) == "assistant"
        ),
        len(fields),
    )
    return list(items[:first]), list(items[first:])


def _is_generated(kind: str) -> bool:
    """Whether the model generates items of this type. Messages and tool outputs are excluded."""
    return kind in _GENERATED or kind.endswith("_call")


def _plain(items: Sequence[Item]) -> list[dict[str, Any]]:
    """JSON objects of items. Each text of a reasoning item becomes an item, so that it gets its own tags."""
    plain_items: list[dict[str, Any]] = []
    for item in items:
        fields = item.model_dump(exclude_none=True, mode="json")
        parts = fields.get("summary", [])
        plain_items += [{**fields, "summary": [part]} for part in parts] if len(parts) > 1 else [fields]
    return plain_items


def _restore_forms(request: dict[str, Any], items: str | list[dict[str, Any]]) -> None:
    """Change a chat request to the form that existing code expects: content in parts stays in parts, and
    functions have no `strict`."""
    messages: list[dict[str, Any]] = request["messages"]
    for tool in request.get("tools", ()):
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


def _usage_detail(usage: Any, detail_group: str, detail_name: str, *top_level_aliases: str) -> int | None:
    """A count of a usage, from its group of details or else from a provider's own name; None if unknown."""
    places = [(_member(usage, detail_group), detail_name), *((usage, alias) for alias in top_level_aliases)]
    counts = (_member(holder, name) for holder, name in places)
    return next((count for count in counts if type(count) is int and count >= 0), None)


def _member(holder: Any, name: str) -> Any:
    if isinstance(holder, dict):
        return cast("dict[str, Any]", holder).get(name)
    return getattr(holder, name, None)


def _response_usage(usage: Any) -> NeMoGymResponseUsage | None:
    if usage is None:
        return None
    cached = _usage_detail(usage, "prompt_tokens_details", "cached_tokens", *_CACHED_ALIASES)
    thought = _usage_detail(usage, "completion_tokens_details", "reasoning_tokens", *_REASONING_ALIASES)
    return usage_of(usage.prompt_tokens, cached, usage.completion_tokens, thought, usage.total_tokens)


_CACHED_ALIASES: Final = ("cached_input_tokens", "cache_read_input_tokens")
_REASONING_ALIASES: Final = ("reasoning_output_tokens",)
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""The reason why an answer is incomplete, by the `finish_reason` of a chat choice."""
_ECHOED: Final = (
    "background", "instructions", "max_output_tokens", "max_tool_calls", "metadata",
    "parallel_tool_calls", "previous_response_id", "prompt", "reasoning", "service_tier", "temperature",
    "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
)  # fmt: skip
"""The fields of a request that its Response repeats."""
