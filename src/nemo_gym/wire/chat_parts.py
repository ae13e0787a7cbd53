"""Content parts and assistant turns in the two dialects, and reasoning written inside text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import ALL_TOKEN_FIELDS, Part
from nemo_gym.wire.json_values import objects, text_of

ReasoningMode = Literal["field", "tags"]
"""Where past reasoning goes: into `reasoning_content`, or into `<think>` blocks before the text."""

ASSISTANT_KINDS: Final = frozenset({"reasoning", "function_call"})

SAME_NAME: Final = ("temperature", "top_p", "top_logprobs", "user", "store", "service_tier")
"""Request fields that both dialects have under one name and with one meaning."""

LOGPROBS: Final = "message.output_text.logprobs"
"""The value of `include` that asks for log-probabilities."""

CALL_EXTRAS: Final = ("extra_content", "provider_specific_fields")
"""Fields of a tool call with signatures that a provider needs back: those of Gemini and LiteLLM."""


def chat_parts(content: Any, where: str, *, text_only: bool = False) -> str | list[dict[str, Any]]:
    """Chat content for Responses content; a lone text part becomes a plain string.

    Raises:
        UsageError: with the part that can't be expressed, or that is not text where `text_only` is set.
    """
    if isinstance(content, str):
        return content
    parts = cast("list[dict[str, Any]]", content)
    if len(parts) == 1 and parts[0]["type"] in _TEXT:
        return parts[0]["text"]
    converted: list[dict[str, Any]] = []
    for place, part in enumerate(parts):
        chat = None if text_only and part["type"] not in _TEXT else _chat_part(part)
        if chat is None:
            reason = "only text is allowed here" if text_only else "Chat Completions has no such part"
            raise UsageError(f"{where}[{place}]: {part['type']!r}: {reason}")
        converted.append(chat)
    return converted


def tool_content(output: Any, where: str) -> tuple[str | list[dict[str, Any]], list[dict[str, Any]]]:
    """(content of the tool message, parts for a user message after it) for a tool's output. In Chat
    Completions a tool message has only text.

    Raises:
        UsageError: with the part that can't be expressed.
    """
    content = chat_parts(output, where)
    if isinstance(content, str):
        return content, []
    texts = [part for part in content if part["type"] == "text"]
    others = [part for part in content if part["type"] != "text"]
    if not others:
        return content, []
    return "\n".join(part["text"] for part in texts) or _SHOWN_BELOW, others


def response_parts(content: Any, where: str) -> str | list[dict[str, Any]]:
    """Responses input content for chat content; the inverse of `chat_parts`.

    Raises:
        UsageError: with the unknown part.
    """
    if content is None or isinstance(content, str):
        return content or ""
    converted: list[dict[str, Any]] = []
    for place, part in enumerate(objects(content, where)):
        item = _response_part(part)
        if item is None:
            raise UsageError(f"{where}[{place}]: unknown content part {part.get('type')!r}")
        converted.append(item)
    return converted


def chat_refusal(content: Any) -> str:
    """The refusals among the parts of chat content."""
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else []
    return "".join(text_of(part.get("refusal")) for part in parts if part.get("type") == "refusal")


def chat_text(content: Any) -> tuple[str, list[str]]:
    """(text, thoughts) of chat content; some endpoints answer in parts, also with reasoning.

    Raises:
        UsageError: it is neither text nor a list of objects.
    """
    if content is None or isinstance(content, str):
        return content or "", []
    texts: list[str] = []
    thoughts: list[str] = []
    for part in objects(content, "content"):
        if part.get("type") == "thinking":
            thinking = part.get("thinking", "")
            thoughts.append(thinking if isinstance(thinking, str) else chat_text(thinking)[0])
        elif isinstance(text := part.get("text"), str):
            texts.append(text)
    return "".join(texts), thoughts


def split_thinking(text: str) -> tuple[list[str], str]:
    """(thoughts, rest) of text that begins with `<think>` blocks, with their exact characters.

    The first block may have no opening tag (chat templates put it into the prompt), the last one no closing
    tag (the answer was cut off). Tags after the first other text belong to the answer.
    """
    thoughts: list[str] = []
    start = 0
    first = text.find(_CLOSE)
    if first >= 0 and text.find(_OPEN, 0, first) < 0:
        thoughts.append(text[:first])
        start = first + len(_CLOSE)
    while True:
        opening = text.find(_OPEN, start)
        if opening < 0 or not (opening == start or text[start:opening].isspace()):
            return [thought for thought in thoughts if thought], text[start:]
        closing = text.find(_CLOSE, opening)
        if closing < 0:
            return [*thoughts, text[opening + len(_OPEN) :]], ""
        thoughts.append(text[opening + len(_OPEN) : closing])
        start = closing + len(_CLOSE)


class AssistantTurn:
    """The items of one assistant turn, for one chat message."""

    __slots__ = ("calls", "details", "evidence", "extra", "refusal", "texts", "thoughts")

    def __init__(self) -> None:
        self.thoughts: list[str] = []
        self.texts: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.details: list[Any] = []
        """The `reasoning_details` of OpenRouter: signed or encrypted, so that they go back as they are."""
        self.extra: Any = None
        """The `extra_content` of the message, which Gemini needs back."""
        self.refusal = ""
        self.evidence: dict[str, Any] | None = None

    def add(self, item: dict[str, Any], kind: str, where: str) -> None:
        if kind == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            self.calls.append(call | {name: item[name] for name in CALL_EXTRAS if item.get(name)})
        elif kind == "reasoning":
            if isinstance(details := item.get("reasoning_details"), list):
                self.details += cast("list[Any]", details)
            parts = cast("list[Part]", item.get("summary") or item.get("content") or [])
            self.thoughts.append("\n".join(part.get("text", "") for part in parts))
        elif isinstance(content := item["content"], str):
            self.texts.append(content)
        else:
            self.extra = item.get("extra_content") or self.extra
            for number, part in enumerate(cast("list[Part]", content)):
                if part["type"] == "refusal":
                    self.refusal += part.get("refusal", "")
                elif part["type"].endswith("text"):
                    self.texts.append(part.get("text", ""))
                else:
                    raise UsageError(
                        f"{where}.content[{number}]: an assistant can't say {part['type']!r} in chat"
                    )
        if item.get("generation_token_ids") is not None:
            self.evidence = item

    @property
    def speaks(self) -> bool:
        """Whether the turn has anything besides reasoning."""
        return bool(self.calls or self.refusal or any(self.texts))

    def message(self, reasoning: ReasoningMode) -> dict[str, Any]:
        text = "".join(self.texts)
        thoughts = [thought for thought in self.thoughts if thought]
        if thoughts and reasoning == "tags" and not self.details:
            text = "".join(f"<think>{thought}</think>" for thought in thoughts) + text
        message: dict[str, Any] = {"role": "assistant", "content": text or (None if self.calls else "")}
        if thoughts and reasoning == "field":
            message["reasoning_content"] = "\n".join(thoughts)
        if self.details:
            message["reasoning_details"] = self.details
        if self.extra:
            message["extra_content"] = self.extra
        if self.refusal:
            message["refusal"] = self.refusal
        if self.calls:
            message["tool_calls"] = self.calls
        return message


def token_fields(item: Mapping[str, Any]) -> dict[str, Any]:
    """The training fields of an item or a chat message, without those that are null."""
    return {name: item[name] for name in ALL_TOKEN_FIELDS if item.get(name) is not None}


_SHOWN_BELOW = "The output is shown in the next message."
_OPEN = "<think>"
_CLOSE = "</think>"
_TEXT = frozenset({"input_text", "output_text", "text"})


def _chat_part(part: dict[str, Any]) -> dict[str, Any] | None:
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": text}:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": str(url)}:
            detail = part.get("detail")
            return {
                "type": "image_url",
                "image_url": {"url": url, "detail": detail} if detail else {"url": url},
            }
        case {"type": "input_video"}:
            source = part.get("video_url") or part.get("video")
            return {"type": "video_url", "video_url": source if isinstance(source, dict) else {"url": source}}
        case {"type": "input_audio", "input_audio": audio}:
            return {"type": "input_audio", "input_audio": audio}
        case {"type": "input_file"} if not part.get("file_url"):
            return {"type": "file", "file": {key: value for key, value in part.items() if key != "type"}}
        case _:
            return None


def _response_part(part: dict[str, Any]) -> dict[str, Any] | None:
    match part:
        case {"type": "text", "text": text}:
            return {"type": "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": url, "detail": detail}}:
            return {"type": "input_image", "image_url": url, "detail": detail}
        case {"type": "image_url", "image_url": {"url": url} | str(url)}:
            return {"type": "input_image", "image_url": url}
        case {"type": "video_url", "video_url": {"url": url} | str(url)}:
            return {"type": "input_video", "video_url": url}
        case {"type": "input_audio", "input_audio": audio}:
            return {"type": "input_audio", "input_audio": audio}
        case {"type": "file", "file": {**fields}}:
            return {"type": "input_file", **fields}
        case _:
            return None
