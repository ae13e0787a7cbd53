"""Chat Completions objects as the pydantic models and dicts that existing code uses."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, Required, cast

from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_message_function_tool_call import ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel, Discriminator, Field, Tag
from typing_extensions import TypedDict

from nemo_gym.compat.openai_items import (
    REQUIRED_TOKEN_METADATA_FIELDS,
    TokenIDLogProbMixin,
    TokenIDLogProbTypedDictMixin,
)


class NeMoGymChatCompletionContentPartTextParam(TypedDict):
    text: Required[str]
    type: Required[Literal["text"]]


class NeMoGymChatCompletionContentPartImageParam(TypedDict):
    image_url: Required[dict[str, Any]]
    type: Required[Literal["image_url"]]


class NeMoGymChatCompletionContentPartAudioParam(TypedDict):
    input_audio: Required[dict[str, Any]]
    type: Required[Literal["input_audio"]]


class NeMoGymChatCompletionContentPartVideoParam(TypedDict):
    video_url: Required[dict[str, Any]]
    type: Required[Literal["video_url"]]


class NeMoGymChatCompletionContentPartFileParam(TypedDict):
    file: Required[dict[str, Any]]
    type: Required[Literal["file"]]


class NeMoGymChatCompletionContentPartRefusalParam(TypedDict):
    refusal: Required[str]
    type: Required[Literal["refusal"]]


_TextContent = str | list[NeMoGymChatCompletionContentPartTextParam]
_UserPart = Annotated[
    NeMoGymChatCompletionContentPartTextParam
    | NeMoGymChatCompletionContentPartImageParam
    | NeMoGymChatCompletionContentPartAudioParam
    | NeMoGymChatCompletionContentPartVideoParam
    | NeMoGymChatCompletionContentPartFileParam,
    Field(discriminator="type"),
]
_AssistantPart = Annotated[
    NeMoGymChatCompletionContentPartTextParam | NeMoGymChatCompletionContentPartRefusalParam,
    Field(discriminator="type"),
]


class NeMoGymChatCompletionSystemMessageParam(TypedDict):
    content: Required[_TextContent]
    role: Required[Literal["system"]]
    name: NotRequired[str]


class NeMoGymChatCompletionDeveloperMessageParam(TypedDict):
    content: Required[_TextContent]
    role: Required[Literal["developer"]]
    name: NotRequired[str]


class NeMoGymChatCompletionUserMessageParam(TypedDict):
    content: Required[str | list[_UserPart]]
    role: Required[Literal["user"]]
    name: NotRequired[str]


class NeMoGymChatCompletionMessageToolCallFunctionParam(TypedDict):
    arguments: Required[str]
    name: Required[str]


class NeMoGymChatCompletionMessageToolCallParam(TypedDict):
    id: Required[str]
    function: Required[NeMoGymChatCompletionMessageToolCallFunctionParam]
    type: Required[Literal["function"]]


class NeMoGymChatCompletionAssistantMessageParam(TypedDict):
    role: Required[Literal["assistant"]]
    content: NotRequired[str | list[_AssistantPart] | None]
    name: NotRequired[str]
    refusal: NotRequired[str | None]
    reasoning_content: NotRequired[str | None]
    tool_calls: NotRequired[list[NeMoGymChatCompletionMessageToolCallParam] | None]


class NeMoGymChatCompletionAssistantMessageForTrainingParam(
    NeMoGymChatCompletionAssistantMessageParam, TokenIDLogProbTypedDictMixin
):
    """An assistant message with its prompt tokens and sampled tokens."""


class NeMoGymChatCompletionToolMessageParam(TypedDict):
    content: Required[_TextContent]
    role: Required[Literal["tool"]]
    tool_call_id: Required[str]


def _role(message: Any) -> str | None:
    if not isinstance(message, dict):
        return None
    fields = cast("dict[str, Any]", message)
    role = fields.get("role")
    if role == "assistant" and any(fields.get(name) is not None for name in REQUIRED_TOKEN_METADATA_FIELDS):
        return "assistant+tokens"
    return role


NeMoGymChatCompletionMessageParam = Annotated[
    Annotated[NeMoGymChatCompletionDeveloperMessageParam, Tag("developer")]
    | Annotated[NeMoGymChatCompletionSystemMessageParam, Tag("system")]
    | Annotated[NeMoGymChatCompletionUserMessageParam, Tag("user")]
    | Annotated[NeMoGymChatCompletionAssistantMessageParam, Tag("assistant")]
    | Annotated[NeMoGymChatCompletionToolMessageParam, Tag("tool")]
    | Annotated[NeMoGymChatCompletionAssistantMessageForTrainingParam, Tag("assistant+tokens")],
    Discriminator(_role),
]
"""A message of a chat request."""


class NeMoGymFunctionDefinition(TypedDict):
    name: Required[str]
    description: NotRequired[str | None]
    parameters: NotRequired[dict[str, object] | None]
    strict: NotRequired[bool | None]


class NeMoGymChatCompletionToolParam(TypedDict):
    function: Required[NeMoGymFunctionDefinition]
    type: Required[Literal["function"]]


class NeMoGymChatCompletionCustomToolParam(TypedDict):
    custom: Required[dict[str, Any]]
    type: Required[Literal["custom"]]


class NeMoGymChatCompletionCreateParamsNonStreaming(BaseModel):
    """A Chat Completions request. Unknown fields are ignored."""

    messages: list[NeMoGymChatCompletionMessageParam]
    model: str | None = None
    audio: dict[str, Any] | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, int] | None = None
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    metadata: dict[str, str] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: dict[str, Any] | None = None
    n: int | None = None
    parallel_tool_calls: bool = True
    prediction: dict[str, Any] | None = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    stream_options: dict[str, Any] | None = None
    temperature: float | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    tools: (
        list[
            Annotated[
                NeMoGymChatCompletionToolParam | NeMoGymChatCompletionCustomToolParam,
                Field(discriminator="type"),
            ]
        ]
        | None
    ) = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: dict[str, Any] | None = None
    stream: Literal[False] | None = None


class NeMoGymFunction(BaseModel):
    arguments: str
    name: str


class NeMoGymChatCompletionMessageToolCall(ChatCompletionMessageFunctionToolCall):
    function: NeMoGymFunction  # type: ignore[assignment]  # not the SDK's class


class NeMoGymChatCompletionMessage(ChatCompletionMessage):
    tool_calls: list[NeMoGymChatCompletionMessageToolCall] | None = None  # type: ignore[assignment]  # narrower


class NeMoGymChatCompletionMessageForTraining(  # pyright: ignore[reportIncompatibleMethodOverride] - the SDK's
    NeMoGymChatCompletionMessage, TokenIDLogProbMixin
):
    """The model's message with its prompt tokens and sampled tokens."""


class NeMoGymChoice(Choice):
    message: NeMoGymChatCompletionMessage | NeMoGymChatCompletionMessageForTraining  # type: ignore[assignment]


class NeMoGymChatCompletion(ChatCompletion):
    choices: list[NeMoGymChoice]  # type: ignore[assignment]  # a list can't be narrowed
