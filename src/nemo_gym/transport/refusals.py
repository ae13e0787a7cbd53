"""Why a model endpoint refuses a request, read from its status, its codes and its phrases.

The name of a request field proves nothing: `max_tokens` occurs in the refusal of a setting and in the refusal
of a prompt that is too long. Only messages and codes are read, because an endpoint may quote the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from nemo_gym.wire.json_values import count_of, object_of, objects_of
from nemo_gym.wire.jsonl import encode


def is_overflow(status: int, body: bytes) -> bool:
    """Whether the endpoint says that the conversation no longer fits the model's context window.

    A request whose answer alone may be as long as the window is a wrong setting, not an overflow.
    """
    if status not in _OVERFLOW_STATUSES:
        return False
    text = refusal_text(body)
    if _RATE.search(text) or _ACCOUNT.search(text):
        return False
    if status == 413 and "request_too_large" in text:
        return _MEDIA.search(text) is None
    says_so = _PHRASES.search(text) is not None or (status != 500 and _exceeds_in_other_words(text))
    return says_so and not _asks_for_too_much(text)


def error_inside(content: bytes) -> tuple[int, bytes] | None:
    """An error in an answer with status 200: the status that it should have had, and its body.

    None when there is no error in it, or one that says nothing about its kind.
    """
    value = _decoded(content)
    error = _error_of(cast("dict[str, Any]", value)) if isinstance(value, dict) else None
    if error is None:
        return None
    body = encode({"error": error})
    fields = object_of(error)
    for name in ("code", "status", "status_code", "http_code"):
        number = count_of(fields.get(name))
        if number is not None and 400 <= number < 600:
            return number, body
    if _RATE.search(refusal_text(body)):
        return 429, body
    return (400, body) if is_overflow(400, body) or is_denied(400, body) else None


def _error_of(answer: dict[str, Any]) -> Any:
    """The error in an answer: in the usual place, in its only choice, or the answer itself."""
    if answer.get("error"):
        return answer["error"]
    if answer.get("object") == "error" or answer.get("base_resp"):
        return answer
    choices = objects_of(answer.get("choices"))
    return next((choice["error"] for choice in choices if choice.get("error")), None)


def is_denied(status: int, body: bytes) -> bool:
    """Whether the endpoint refuses the key or the account rather than the request: the same request can
    succeed once that is put right."""
    return status in _DENIED_STATUSES or (
        status in _REQUEST_STATUSES and _ACCOUNT.search(refusal_text(body)) is not None
    )


def is_unknown_field(status: int | None, body: str, field: str) -> bool:
    """Whether the endpoint refuses a request because it has no such field."""
    if status not in _REQUEST_STATUSES:
        return False
    text = refusal_text(body.encode())
    return re.search(rf"(?<!\w){field}(?!\w)", text) is not None and _UNKNOWN_FIELD.search(text) is not None


def refusal_text(body: bytes) -> str:
    """The endpoint's own words in the body of an error, in lower case and with single spaces."""
    value = _decoded(body)
    if value is None:
        text = body[:_MOST_BYTES].decode("utf-8", "replace")
        return "" if _PAGE.match(text) else _one_line(text)
    return "\n".join(_one_line(text) for text in _words(value, 8))[:_MOST_BYTES]


def _decoded(body: bytes) -> Any:
    """The JSON value of a body, or of the first event of a stream; None when there is none, or too much."""
    if len(body) > _MOST_BYTES:
        return None
    event = _EVENT.match(body)
    try:
        return msgspec.json.decode(event[1] if event else body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _words(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        inner = _decoded(value.encode("utf-8", "replace")) if depth and value[:1] in ("{", "[") else None
        if isinstance(inner, dict | list):
            yield from _words(inner, depth - 1)
        else:
            yield value
    elif depth and isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _words(item, depth - 1)
    elif depth and isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if key.lower() in _KEYS:
                yield from _words(item, depth - 1)


def _one_line(text: str) -> str:
    """A text in lower case on one line, without what it quotes from the request."""
    return _QUOTE.split(" ".join(text.lower().replace("\\", "").split()), maxsplit=1)[0]


def _exceeds_in_other_words(text: str) -> bool:
    """Whether the text says in nobody's phrase in particular that the conversation is too long."""
    if any(_OTHER_THINGS.search(match[0]) is None for match in _EXCESS.finditer(text)):
        return True
    return any(
        _number(match[1]) > _number(match[2]) and _OTHER_THINGS.search(match[0]) is None
        for match in _COUNTS.finditer(text)
    )


def _asks_for_too_much(text: str) -> bool:
    """Whether the request allows an answer as long as the whole context window, as far as the message has
    both numbers."""
    if both := _SUM.search(text):
        return _number(both[1]) >= _number(both[2])
    if _ANSWER_ALONE.search(text) and not _PROMPT.search(text):
        return True
    limit, demand = _LIMIT.search(text), _ASKED.search(text)
    return limit is not None and demand is not None and _number(_group(demand)) >= _number(_group(limit))


def _group(match: re.Match[str]) -> str:
    return next(text for text in match.groups() if text)


def _number(text: str) -> int:
    return int(text.replace(",", ""))


_MOST_BYTES: Final = 16_384
_KEYS: Final = frozenset(
    {
        "base_resp", "body", "cause", "code", "description", "detail", "details", "error", "error_code",
        "error_description", "error_message", "error_msg", "errors", "innererror", "loc",
        "message", "metadata", "msg", "object", "param", "raw", "reason", "status", "status_msg", "title",
        "type",
    }
)  # fmt: skip
"""Fields that hold an endpoint's own words; other fields of an error may quote the request."""
_REQUEST_STATUSES: Final = frozenset({400, 413, 422})
_OVERFLOW_STATUSES: Final = _REQUEST_STATUSES | {500}
"""llama.cpp answers 500 when the window fills up during an answer; some gateways turn a 400 into a 500."""
_DENIED_STATUSES: Final = frozenset({401, 402, 403, 404, 405, 407, 410})

_EVENT: Final = re.compile(rb"\s*(?:event: ?[^\n]*\n)?data: ?([^\n]+)")
"""The first event of a stream, for an endpoint that streams although the request did not ask for it."""
_QUOTE: Final = re.compile(r"['\"]input['\"]: ?|\binput_value=|, value: ")
"""The text before a quote of the request in the messages of validators."""
_PAGE: Final = re.compile(r"\s*<(?:!doctype|html|head|\?xml)", re.IGNORECASE)
_RATE: Final = re.compile(
    r"(?:tokens|requests) per (?:second|minute|min|hour|day)\b|\b[tr]p[md]\b|rate[ _-]?limit"
    r"|too many requests|throttl|\bquota\b|please wait before"
)
_ACCOUNT: Final = re.compile(
    r"credit balance is too low|insufficient[ _](?:balance|credit|fund|quota)|exceeded your current quota"
    r"|billing_(?:hard_limit|not_active)|payment[ _]required|api[ _]key not valid|api_key_invalid"
    r"|(?:incorrect|invalid|missing|expired)[ _]api[ _]?key"
    r"|account (?:is |has been )?(?:deactivated|suspended)|arrearage|over budget|budget has been exceeded"
    r"|reached your (?:specified )?(?:api )?usage limit|exceeded your (?:monthly|included)"
    r"|user location is not"
)
_UNKNOWN_FIELD: Final = re.compile(
    r"unsupported|not supported|unrecognized|unknown|unexpected|extra_forbidden|not permitted|not allowed"
    r"|instead"
)
_PHRASES: Final = re.compile(
    "|".join(
        (
            # codes
            r"(?:context_length_exceeded|context_window_exceeded|max_prompt_tokens_exceeded|tokens_limit_reached"
            r"|prompt_too_long|prompt_tokens_too_long|inputtexttoolong|exceed_context_size_error)(?!\w)"
            r"|contextwindowexceeded|outofcontexterror",
            # OpenAI, Azure, vLLM, DeepSeek, OpenRouter and those who follow them
            r"maximum context length (?:is|of) [\d,]+|maximum context length of \S{1,80} is [\d,]+"
            r"|total message token length exceeds? model limit",
            r"context window exceeds limit",
            r"'(?:messages|input)\[\d{1,6}\]\.(?:content|output)(?:\[\d{1,6}\]\.text)?': string too long",
            # vLLM
            r"is longer than the maximum model length|is too long to fit into the model",
            r"max_(?:completion_)?tokens must be at least 1, got -\d",
            r"prompt length [\d,]+ exceeds the max_model_len|too many tokens for the model",
            # llama.cpp, LM Studio, Ollama
            r"exceeds? the available context size|context size has been exceeded|too big compared to kv size"
            r"|when context the overflows|greater than the context length"
            r"|input length exceeds the context length"
            r"|reached context length of [\d,]+ tokens",
            r"context length of only [\d,]+ tokens|cannot truncate prompt with n_keep",
            # TGI, Together
            r"`?inputs`? tokens \+ `?max_new_tokens`? must be <=|`?inputs`? must have less than [\d,]+ token",
            r"(?:prompt|inputs?)(?: tokens?)? (?:\+|and|plus) `?max_(?:new_|completion_)?tokens"
            r"[^.\n]{0,40}? (?:exceeds?|must be <=|must be less than|cannot exceed|should not exceed)\b",
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
            r"range of input length should be|\binput length should be less than [\d,]+",
            r"too many tokens: .{0,80}?(?:prompt|input)|too many tokens: size limit exceeded",
            r"too large for model with [\d,]+ maximum context length",
            r"please reduce the length of the (?:messages|prompt|input)\b",
            r"(?:prompt|输入|上下文|对话)[^。\n]{0,16}?(?:超过|超出|过长|超长)",
            r"prompt exceeds max length|exceed max message tokens",
            # Baidu, SiliconFlow, Databricks
            r"the length of messages must be less than|\bmax input characters is",
            r"length of prompt_tokens \([\d,]+\) must be less than|provided prompt is [\d,]+ tokens long",
            r"(?:your|the) input is too long\b|max tokens of context exceeded|\bcontext length exceeded\b",
            # TensorRT-LLM, NIM, MLC, SGLang, Poolside
            r"input length (?:\(?[\d,]+(?: tokens)?\)? )?exceeds the maximum (?:allowed )?(?:input )?length",
            r"\bdefault_max_tokens \(-\d",
            r"sum of prompt length.{0,60}? should (?:be less than|not exceed)|larger than the model capacity",
            # GitHub Copilot, Cloudflare
            r"prompt token count of [\d,]+ exceeds the limit|exceeded this model context window limit",
        )
    )
)  # fmt: skip
_EXCESS: Final = re.compile(
    r"\b(?:prompt|inputs?|request|conversation|messages|requested tokens?|total tokens|token count)\b"
    r"[^.\n]{0,60}?\b(?:exceed(?:s|ed)?|does not fit|too (?:long|large|big) for"
    r"|(?:longer|larger|greater|more) than)\b"
    r"[^.\n]{0,60}?"
    r"(?:context[ _](?:length|window|size|limit)|max_(?:model|seq)_len|\bsession_len|\bn_ctx\b"
    r"|model'?s? (?:maximum |max )?(?:input )?(?:length|token limit)|model'?s? max(?:imum)? of [\d,]+"
    r"|maximum (?:model|prompt|sequence|input) length"
    r"|maximum allowed length|maximum (?:number of )?(?:input )?tokens|token limit)"
    r"|[^.\n]{0,40}\b(?:prompt|conversation|input|chat history|context)(?: tokens?)?(?: length)?"
    r" (?:is )?too long\b"
)
"""General phrases about the length of the whole conversation."""
_COUNTS: Final = re.compile(
    r"(?=[^.\n]{0,80}?(?:token|length|size|character))"
    r"\b(?:prompt|inputs?|messages|conversation|context length|total tokens)\b[^.\n\d]{0,40}?"
    r"(\d[\d,]{0,14})\)?(?: (?:tokens?|characters?|chars)\)?)?[^.\n\d\w]{0,3}(?:is |are |which is |cannot )?"
    r"(?:exceeds?|(?:longer|larger|greater|more) than|must be less than|must not exceed|>)"
    r"[^.\n\d]{0,60}?(\d[\d,]{0,14})"
)
"""The length of the conversation and its limit, both as numbers."""
_OTHER_THINGS: Final = re.compile(
    r"max_tokens|max_completion_tokens|max_new_tokens|max_output_tokens|image|audio|video|document|file|tool"
    r"|function|schema|name|header|url|stop|metadata|output|completion|batch|budget|temperature|penalty|cach|block|item"
)
_MEDIA: Final = re.compile(r"image|audio|video|document|file")
_ANSWER_ALONE: Final = re.compile(r"max[_ ]?(?:completion|new|output)?[_ ]?tokens|generat|completion")
_PROMPT: Final = re.compile(
    r"prompt|\binputs?\b|messages?\b|conversation|you(?:r| have)? request|context_length_exceeded"
    r"|max_(?:completion_)?tokens must be at least 1, got -\d|context window exceed|context limit"
    r"|default_max_tokens"
)
"""Words about the prompt. A message about the answer alone is about a setting."""
_SUM: Final = re.compile(r"context limit: [\d,]{1,15} \+ (\d[\d,]{0,14}) > (\d[\d,]{0,14})")
_LIMIT: Final = re.compile(
    r"(?:maximum context length (?:is|of)|must be <=|context window (?:is|of)) (\d[\d,]{0,14})"
)
_ASKED: Final = re.compile(
    r"(\d[\d,]{0,14}) (?:in|for) (?:the|your) (?:completion|output)|(\d[\d,]{0,14}) tokens for the completion"
    r"|tokens'? is too large: (\d[\d,]{0,14})|and (\d[\d,]{0,14}) `?max_new_tokens`?"
    r"|(\d[\d,]{0,14}) output tokens"
)
