"""What a model endpoint means by refusing a request, read from its status, its codes and its own phrases.

The name of a request field says nothing: `max_tokens` stands in the refusal of a setting as well as in that
of a prompt that is too long. Only messages and codes are read, so that text which an endpoint quotes from the
request is not taken for its own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal, cast

import msgspec

LimitField = Literal["max_tokens", "max_completion_tokens"]
"""The request field of Chat Completions that bounds an answer; newer models take only the second."""


def is_overflow(status: int, body: bytes) -> bool:
    """Whether the endpoint says that the conversation no longer fits the model's context window.

    A request whose answer alone may be as long as the window is a wrong setting, not an overflow.
    """
    if status not in _OVERFLOW_STATUSES:
        return False
    text = refusal_text(body)
    if status == 500:
        return "context size has been exceeded" in text
    if _RATE.search(text):
        return False
    if status == 413 and "request_too_large" in text:
        return _MEDIA.search(text) is None
    told = _PHRASES.search(text) is not None or any(
        _OTHER_THINGS.search(match[0]) is None for match in _EXCESS.finditer(text)
    )
    return told and not _asks_for_too_much(text)


def is_denied(status: int, body: bytes) -> bool:
    """Whether the endpoint refuses the key or the account rather than the request: the same request can
    succeed once that is put right."""
    return status in _DENIED_STATUSES or (
        status in _REQUEST_STATUSES and _ACCOUNT.search(refusal_text(body)) is not None
    )


def is_unknown_field(status: int | None, body: str, field: LimitField) -> bool:
    """Whether the endpoint refuses a request because it has no such field."""
    if status not in _REQUEST_STATUSES:
        return False
    text = refusal_text(body.encode())
    return re.search(rf"(?<!\w){field}(?!\w)", text) is not None and _UNKNOWN_FIELD.search(text) is not None


def refusal_text(body: bytes) -> str:
    """The endpoint's own words in the body of an error, in lower case and with single spaces."""
    content = body[:_MOST_BYTES]
    try:
        value = msgspec.json.decode(body) if len(body) <= _MOST_BYTES else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if value is None:
        text = content.decode("utf-8", "replace")
        return "" if _PAGE.match(text) else _one_line(text)
    return "\n".join(_one_line(text) for text in _words(value, 8))[:_MOST_BYTES]


def _words(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _words(item, depth - 1)
    elif depth and isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if key.lower() in _KEYS:
                yield from _words(item, depth - 1)


def _one_line(text: str) -> str:
    return " ".join(text.lower().replace("\\", "").split())


def _asks_for_too_much(text: str) -> bool:
    """Whether the limit of the answer alone reaches the limit of prompt and answer together, as far as the
    message has both numbers."""
    if both := _SUM.search(text):
        return _number(both[1]) >= _number(both[2])
    limit, asked = _LIMIT.search(text), _ASKED.search(text)
    return limit is not None and asked is not None and _number(_group(asked)) >= _number(_group(limit))


def _group(match: re.Match[str]) -> str:
    return next(text for text in match.groups() if text)


def _number(text: str) -> int:
    return int(text.replace(",", ""))


_MOST_BYTES: Final = 16_384
_KEYS: Final = frozenset(
    {
        "body", "cause", "code", "description", "detail", "details", "error", "error_code",
        "error_description", "error_message", "error_msg", "errors", "innererror", "loc", "message",
        "metadata", "msg", "object", "param", "raw", "reason", "status", "title", "type",
    }
)  # fmt: skip
"""Where endpoints put their own words; whatever else stands in an error may be quoted from the request."""
_REQUEST_STATUSES: Final = frozenset({400, 413, 422})
_OVERFLOW_STATUSES: Final = _REQUEST_STATUSES | {500}
"""500 is llama.cpp's for a window that fills up while it writes."""
_DENIED_STATUSES: Final = frozenset({401, 402, 403, 404, 405, 407, 410})

_PAGE: Final = re.compile(r"\s*<(?:!doctype|html|head|\?xml)", re.IGNORECASE)
_RATE: Final = re.compile(
    r"(?:tokens|requests) per (?:second|minute|min|hour|day)\b|\b[tr]p[md]\b|rate[ _-]?limit"
    r"|too many requests"
)
_ACCOUNT: Final = re.compile(
    r"credit balance is too low|insufficient[ _](?:balance|credit|fund|quota)|exceeded your current quota"
    r"|billing_(?:hard_limit|not_active)|payment[ _]required|api[ _]key not valid|api_key_invalid"
    r"|(?:incorrect|invalid|missing|expired)[ _]api[ _]?key"
    r"|account (?:is |has been )?(?:deactivated|suspended)"
)
_UNKNOWN_FIELD: Final = re.compile(
    r"unsupported|not supported|unrecognized|unknown|unexpected|extra_forbidden|not permitted|not allowed"
    r"|instead"
)
_PHRASES: Final = re.compile(
    "|".join(
        (
            # codes
            r"context_length_exceeded|contextwindowexceeded|context_window_exceeded|exceed_context_size"
            r"|max_prompt_tokens_exceeded|tokens_limit_reached|outofcontexterror|prompt_too_long",
            # OpenAI, Azure, vLLM, DeepSeek, OpenRouter and those who follow them
            r"maximum context length (?:is|of) [\d,]+",
            r"context window exceeds limit",
            r"'(?:messages|input)\[\d{1,6}\]\.(?:content|output)(?:\[\d{1,6}\]\.text)?': string too long",
            # vLLM
            r"is longer than the maximum model length|is too long to fit into the model",
            r"max_(?:completion_)?tokens must be at least 1, got -\d",
            r"prompt length [\d,]+ exceeds the max_model_len|please reduce the length of the input",
            # llama.cpp, LM Studio, Ollama
            r"exceeds? the available context size|when context the overflows|greater than the context length",
            r"context length of only [\d,]+ tokens",
            # TGI, Together
            r"`inputs` tokens \+ `max_new_tokens` must be <=|`inputs` must have less than [\d,]+ tokens",
            # Gemini, Vertex AI
            r"input token count (?:\([\d,]+\) )?exceeds the maximum number of tokens",
            r"input token count is [\d,]+ but model only supports up to [\d,]+",
            # Anthropic, Fireworks
            r"prompt is too long: [\d,]+|input length and `?max_tokens`? exceed context limit",
            # Bedrock
            r"input is too long for requested model|number of input tokens exceeds maximum length"
            r"|input tokens exceeded",
            # xAI, Moonshot, DashScope, Cohere, Mistral, Groq, Cerebras, Zhipu
            r"maximum prompt length is [\d,]+ but the request contains",
            r"exceeded model token limit",
            r"range of input length should be",
            r"too many tokens: .{0,80}?(?:prompt|input)|too many tokens: size limit exceeded",
            r"too large for model with [\d,]+ maximum context length",
            r"please reduce the length of the messages",
            r"prompt 超长|prompt exceeds max length|exceed max message tokens",
            # TensorRT-LLM, MLC, SGLang
            r"input length (?:\(?[\d,]+(?: tokens)?\)? )?exceeds the maximum (?:allowed )?length",
            r"sum of prompt length.{0,60}? should (?:be less than|not exceed)|larger than the model capacity",
            # GitHub Copilot, Cloudflare
            r"prompt token count of [\d,]+ exceeds the limit|exceeded this model context window limit",
        )
    )
)  # fmt: skip
_EXCESS: Final = re.compile(
    r"\b(?:prompt|inputs?|request|conversation|messages|requested token count)\b[^.\n]{0,60}?"
    r"\b(?:exceed(?:s|ed)?|(?:longer|larger|greater|more) than|too (?:long|large|big) for|does not fit)\b"
    r"[^.\n]{0,60}?"
    r"(?:context[ _](?:length|window|size|limit)|max_(?:model|seq)_len|\bsession_len|\bn_ctx\b"
    r"|model'?s? (?:maximum |max )?(?:input )?(?:length|token limit)"
    r"|maximum (?:model|prompt|sequence|input) length"
    r"|maximum allowed length|maximum (?:number of )?(?:input )?tokens|token limit)"
    r"|[^.\n]{0,40}\b(?:prompt|conversation|input|chat history) (?:is )?too long\b"
)
"""Something that is said of the whole conversation, in nobody's phrase in particular."""
_OTHER_THINGS: Final = re.compile(
    r"max_tokens|max_completion_tokens|max_new_tokens|max_output_tokens|image|audio|video|document|file|tool"
    r"|function|schema|name|header|url|stop|metadata|output|completion|batch|budget|temperature|penalty"
)
_MEDIA: Final = re.compile(r"image|audio|video|document|file")
_SUM: Final = re.compile(r"context limit: [\d,]{1,15} \+ (\d[\d,]{0,14}) > (\d[\d,]{0,14})")
_LIMIT: Final = re.compile(
    r"(?:maximum context length (?:is|of)|must be <=|context window (?:is|of)) (\d[\d,]{0,14})"
)
_ASKED: Final = re.compile(
    r"(\d[\d,]{0,14}) (?:in|for) (?:the|your) (?:completion|output)|(\d[\d,]{0,14}) tokens for the completion"
    r"|tokens'? is too large: (\d[\d,]{0,14})|and (\d[\d,]{0,14}) `max_new_tokens`"
    r"|(\d[\d,]{0,14}) output tokens"
)
