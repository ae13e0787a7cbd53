"""Responses API objects as the pydantic models that existing code constructs and subclasses.

Kinds of items that a policy samples have a variant `...ForTraining` with the prompt tokens and the sampled
tokens. The `type`, the role and the token fields of an item decide which model it becomes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, NotRequired, Required, cast, get_args

from openai.types.responses import Response, Tool
from openai.types.responses.response import ToolChoice
from openai.types.responses.response_input_file_param import ResponseInputFileParam
from openai.types.responses.response_input_image_param import ResponseInputImageParam
from openai.types.responses.response_input_text_param import ResponseInputTextParam
from openai.types.responses.response_reasoning_item import Content as ReasoningContent
from openai.types.responses.response_reasoning_item import Summary
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FieldSerializationInfo,
    Tag,
    field_serializer,
)
from typing_extensions import TypedDict

from nemo_gym.wire import items
from nemo_gym.wire.items import HostedType

REQUIRED_TOKEN_METADATA_FIELDS: Final = frozenset(items.TOKEN_FIELDS)
TOKEN_METADATA_FIELDS: Final = REQUIRED_TOKEN_METADATA_FIELDS | {"routed_experts"}

Status = Literal["in_progress", "completed", "incomplete"]


class TokenIDLogProbMixin(BaseModel):
    """The tokens of the prompt and of the sampled text: all three fields or none."""

    prompt_token_ids: list[int]
    generation_token_ids: list[int]
    generation_log_probs: list[float]
    routed_experts: str | list[list[list[int]]] | None = None


class TokenIDLogProbTypedDictMixin(TypedDict):
    """The same on a chat message."""

    prompt_token_ids: list[int]
    generation_token_ids: list[int]
    generation_log_probs: list[float]
    routed_experts: NotRequired[str | list[list[list[int]]] | None]


class NeMoGymResponseInputText(ResponseInputTextParam):
    """A text part of a message to the model."""


class NeMoGymResponseInputVideo(TypedDict, total=False):
    """A video part, with exactly one of `video_url` and `video`."""

    type: Required[Literal["input_video"]]
    video_url: str | dict[str, Any] | None
    video: str | dict[str, Any] | None


def _one_source(part: NeMoGymResponseInputVideo) -> NeMoGymResponseInputVideo:
    sources = [source for name in ("video_url", "video") if (source := part.get(name))]
    if len(sources) != 1 or (isinstance(sources[0], dict) and "url" not in sources[0]):
        raise ValueError("input_video needs exactly one of video_url and video, and it may not be empty")
    return part


class NeMoGymResponseInputAudio(TypedDict):
    """An audio part."""

    type: Literal["input_audio"]
    input_audio: dict[str, Any]


InputPart = Annotated[
    ResponseInputTextParam
    | ResponseInputImageParam
    | ResponseInputFileParam
    | NeMoGymResponseInputAudio
    | Annotated[NeMoGymResponseInputVideo, AfterValidator(_one_source)],
    Field(union_mode="smart"),
]


class NeMoGymEasyInputMessage(BaseModel):
    """A message of any role in the short form."""

    content: str | list[InputPart]
    role: Literal["user", "assistant", "system", "developer"]
    type: Literal["message"] = "message"


class NeMoGymMessage(BaseModel):
    """A message to the model in the long form."""

    content: list[InputPart]
    role: Literal["user", "system", "developer"]
    status: Status = "completed"
    type: Literal["message"] = "message"


class NeMoGymResponseOutputText(BaseModel):
    annotations: list[dict[str, Any]]
    text: str
    type: Literal["output_text"] = "output_text"
    logprobs: list[dict[str, Any]] | None = None


class NeMoGymResponseOutputRefusal(BaseModel):
    refusal: str
    type: Literal["refusal"] = "refusal"


class NeMoGymResponseOutputMessage(BaseModel):
    """A message of the model."""

    id: str
    content: list[NeMoGymResponseOutputText | NeMoGymResponseOutputRefusal]
    role: Literal["assistant"] = "assistant"
    status: Status = "completed"
    type: Literal["message"] = "message"


class NeMoGymResponseFunctionToolCall(BaseModel):
    arguments: str
    call_id: str
    name: str
    type: Literal["function_call"] = "function_call"
    id: str | None = None
    status: Status | None = None
    namespace: str | None = None
    """Where several tools have this name, the namespace of the tool."""


class NeMoGymFunctionCallOutput(BaseModel):
    call_id: str
    output: str | list[InputPart]
    type: Literal["function_call_output"] = "function_call_output"
    id: str | None = None
    status: Status | None = None


class NeMoGymSummary(Summary):
    """One summary text of a reasoning item."""

    type: Literal["summary_text"] = "summary_text"


class NeMoGymResponseReasoningItem(BaseModel):
    """The model's reasoning. It has no `status`, which some endpoints reject in a request."""

    id: str
    summary: list[NeMoGymSummary]
    type: Literal["reasoning"] = "reasoning"
    encrypted_content: str | None = None
    content: list[ReasoningContent] | None = None


class NeMoGymHostedItem(BaseModel):
    """An item of a tool that the endpoint itself runs. It is passed on unchanged."""

    model_config = ConfigDict(extra="allow")

    type: HostedType


class NeMoGymEasyInputMessageForTraining(NeMoGymEasyInputMessage, TokenIDLogProbMixin):
    pass


class NeMoGymMessageForTraining(NeMoGymMessage, TokenIDLogProbMixin):
    pass


class NeMoGymResponseOutputMessageForTraining(NeMoGymResponseOutputMessage, TokenIDLogProbMixin):
    pass


class NeMoGymResponseFunctionToolCallForTraining(NeMoGymResponseFunctionToolCall, TokenIDLogProbMixin):
    pass


class NeMoGymResponseReasoningItemForTraining(NeMoGymResponseReasoningItem, TokenIDLogProbMixin):
    pass


RESPONSES_TO_TRAIN: Final[dict[type[BaseModel], type[TokenIDLogProbMixin]]] = {
    NeMoGymEasyInputMessage: NeMoGymEasyInputMessageForTraining,
    NeMoGymMessage: NeMoGymMessageForTraining,
    NeMoGymResponseOutputMessage: NeMoGymResponseOutputMessageForTraining,
    NeMoGymResponseFunctionToolCall: NeMoGymResponseFunctionToolCallForTraining,
    NeMoGymResponseReasoningItem: NeMoGymResponseReasoningItemForTraining,
}
"""The variant of each model with token fields."""


def _kind(item: Any, default: str | None) -> str | None:
    if isinstance(item, BaseModel):
        kind = next((_KINDS[parent] for parent in type(item).__mro__ if parent in _KINDS), None)
        return f"{kind}+tokens" if isinstance(item, TokenIDLogProbMixin) else kind
    if not isinstance(item, dict):
        return None
    fields = cast("dict[str, Any]", item)
    kind = fields.get("type", default if "role" in fields else None)
    if kind == "message":
        kind = _message_kind(fields)
    elif kind in _HOSTED:
        return "hosted"
    if any(fields.get(name) is not None for name in REQUIRED_TOKEN_METADATA_FIELDS):
        kind = f"{kind}+tokens"
    return kind


def _message_kind(fields: dict[str, Any]) -> str:
    content = fields.get("content")
    if not isinstance(content, list):
        return "easy"
    if fields.get("role") != "assistant":
        return "message" if "status" in fields else "easy"
    parts = cast("list[Any]", content)
    kinds = (cast("Any", part).get("type") if isinstance(part, dict) else part.type for part in parts)
    return "output" if "id" in fields or any(kind in ("output_text", "refusal") for kind in kinds) else "easy"


_KINDS: Final[dict[type, str]] = {
    NeMoGymEasyInputMessage: "easy",
    NeMoGymMessage: "message",
    NeMoGymResponseOutputMessage: "output",
    NeMoGymResponseFunctionToolCall: "function_call",
    NeMoGymFunctionCallOutput: "function_call_output",
    NeMoGymResponseReasoningItem: "reasoning",
    NeMoGymHostedItem: "hosted",
}
_HOSTED: Final = frozenset(get_args(HostedType))


def _input_kind(item: Any) -> str | None:
    return _kind(item, "message")


def _output_kind(item: Any) -> str | None:
    return _kind(item, None)


_Item = (
    Annotated[NeMoGymEasyInputMessage, Tag("easy")]
    | Annotated[NeMoGymMessage, Tag("message")]
    | Annotated[NeMoGymResponseOutputMessage, Tag("output")]
    | Annotated[NeMoGymResponseFunctionToolCall, Tag("function_call")]
    | Annotated[NeMoGymFunctionCallOutput, Tag("function_call_output")]
    | Annotated[NeMoGymResponseReasoningItem, Tag("reasoning")]
    | Annotated[NeMoGymEasyInputMessageForTraining, Tag("easy+tokens")]
    | Annotated[NeMoGymMessageForTraining, Tag("message+tokens")]
    | Annotated[NeMoGymResponseOutputMessageForTraining, Tag("output+tokens")]
    | Annotated[NeMoGymResponseFunctionToolCallForTraining, Tag("function_call+tokens")]
    | Annotated[NeMoGymResponseReasoningItemForTraining, Tag("reasoning+tokens")]
    | Annotated[NeMoGymHostedItem, Tag("hosted")]
)

NeMoGymResponseInputItem = Annotated[_Item, Discriminator(_input_kind)]
"""An item of a request. A message may have no `type`."""
NeMoGymResponseOutputItem = Annotated[_Item, Discriminator(_output_kind)]
"""An item of a response. Each has a `type`."""
NeMoGymResponseInput = list[NeMoGymResponseInputItem]


class NeMoGymFunctionToolParam(TypedDict, total=False):
    """A function the model may call."""

    name: Required[str]
    parameters: Required[dict[str, object] | None]
    strict: Required[bool | None]
    type: Required[Literal["function"]]
    description: str | None


def _check_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(tool.get("type"), str):
        raise ValueError("a tool needs a type")
    if tool["type"] == "function" and not isinstance(tool.get("name"), str):
        raise ValueError("a function tool needs a name")
    return tool


ToolParam = Annotated[dict[str, Any], AfterValidator(_check_tool)]


class NeMoGymResponseCreateParamsNonStreaming(BaseModel):
    """The parameters of a model call. An unknown field is an error."""

    model_config = ConfigDict(extra="forbid")

    background: bool | None = None
    include: list[str] | None = None
    input: str | NeMoGymResponseInput
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] | None = None
    model: str | None = None
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    prompt: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    store: bool | None = None
    temperature: float | None = None
    text: dict[str, Any] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] = "auto"
    tools: list[ToolParam] = Field(default_factory=list[ToolParam])
    top_logprobs: int | None = None
    top_p: float | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
    stream: Literal[False] | None = None


class NeMoGymResponseInputTokensDetails(BaseModel):
    """A count of None is unknown; it does not mean zero."""

    model_config = ConfigDict(extra="allow")

    cached_tokens: int | None = None


class NeMoGymResponseOutputTokensDetails(BaseModel):
    model_config = ConfigDict(extra="allow")

    reasoning_tokens: int | None = None


class NeMoGymResponseUsage(BaseModel):
    model_config = ConfigDict(extra="allow")

    input_tokens: int
    input_tokens_details: NeMoGymResponseInputTokensDetails
    output_tokens: int
    output_tokens_details: NeMoGymResponseOutputTokensDetails
    total_tokens: int

    @classmethod
    def sum_from_list(cls, usages: Iterable[NeMoGymResponseUsage]) -> NeMoGymResponseUsage:
        """The sum of usages. A detail that is unknown in one of them is unknown in the sum."""
        return functools.reduce(_usage_sum, usages, usage_of(0, 0, 0, 0, 0))


class NeMoGymResponse(Response):
    """A model's answer or a whole trajectory: an OpenAI Response whose output may have any item."""

    output: list[NeMoGymResponseOutputItem]  # type: ignore[assignment]  # wider than the SDK's
    tool_choice: ToolChoice | dict[str, Any]  # type: ignore[assignment]  # newer kinds than the SDK's
    tools: list[Tool | ToolParam]  # type: ignore[assignment]  # likewise
    usage: NeMoGymResponseUsage | None = None  # type: ignore[assignment]  # details may be unknown

    @field_serializer("instructions", "text", "tools")
    def _serialize(self, value: Any, info: FieldSerializationInfo) -> Any:
        """Fields of the SDK's models may have another name in Python, which the SDK can't read."""
        return _with_json_names(value, info)

    @property
    def output_text(self) -> str:
        """The text of every `output_text` part, joined."""
        return "".join(
            part.text
            for item in self.output
            if isinstance(item, NeMoGymResponseOutputMessage)
            for part in item.content
            if isinstance(part, NeMoGymResponseOutputText)
        )


def _with_json_names(value: Any, info: FieldSerializationInfo) -> Any:
    if isinstance(value, list):
        return [_with_json_names(one, info) for one in cast("list[Any]", value)]
    if not isinstance(value, BaseModel):
        return value
    return value.model_dump(
        mode=info.mode,
        by_alias=True,
        exclude_unset=info.exclude_unset,
        exclude_defaults=info.exclude_defaults,
        exclude_none=info.exclude_none,
    )


def accumulate_response_usage(
    total: NeMoGymResponseUsage | None, new: NeMoGymResponseUsage | None
) -> NeMoGymResponseUsage | None:
    """The sum of two usages. A detail that is unknown in one of them is unknown in the sum."""
    if total is None or new is None:
        return new if total is None else total
    return _usage_sum(total, new)


def _usage_sum(total: NeMoGymResponseUsage, new: NeMoGymResponseUsage) -> NeMoGymResponseUsage:
    cached = _sum(total.input_tokens_details.cached_tokens, new.input_tokens_details.cached_tokens)
    thought = _sum(total.output_tokens_details.reasoning_tokens, new.output_tokens_details.reasoning_tokens)
    return usage_of(
        total.input_tokens + new.input_tokens,
        cached,
        total.output_tokens + new.output_tokens,
        thought,
        total.total_tokens + new.total_tokens,
    )


def usage_of(
    input: int, cached: int | None, output: int, reasoning: int | None, total: int
) -> NeMoGymResponseUsage:
    """A usage from its counts of tokens; None is unknown."""
    return NeMoGymResponseUsage(
        input_tokens=input,
        input_tokens_details=NeMoGymResponseInputTokensDetails(cached_tokens=cached),
        output_tokens=output,
        output_tokens_details=NeMoGymResponseOutputTokensDetails(reasoning_tokens=reasoning),
        total_tokens=total,
    )


def _sum(*counts: int | None) -> int | None:
    return None if None in counts else sum(count or 0 for count in counts)
