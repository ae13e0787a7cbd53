"""What a refusal means: a conversation that no longer fits, a refused account, or a wrong request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.transport.refusals import (
    error_inside,
    is_denied,
    is_overflow,
    is_unknown_field,
    refusal_text,
)

OVERFLOWS = [
    (400, "This model's maximum context length is 4097 tokens. However, you requested 4203 tokens (3703 in "
     "the messages, 500 in the completion). Please reduce the length of the messages or completion."),
    (400, "This model's maximum context length is 8191 tokens, however you requested 10346 tokens (10346 in "
     "your prompt; 5 for the completion)."),
    (400, "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is "
     "8192 tokens and your request has 8150 input tokens (100 > 8192 - 8150)."),
    (400, "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens. "
     "Please reduce the length of the input messages."),
    (400, "The engine prompt length 9000 exceeds the max_model_len 8192. Please reduce prompt."),
    (400, "max_completion_tokens must be at least 1, got -7."),
    (400, "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a "
     "total of 9000 tokens: 8900 tokens from the input messages and 100 tokens for the completion."),
    (400, "Input length (9000 tokens) exceeds the maximum allowed length (8186 tokens)."),
    (400, "request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it"),
    (500, "Context size has been exceeded."),
    (422, "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000"),
    (400, "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."),
    (400, "Unable to submit request because the input token count is 33000 but model only supports up to "
     "32768."),
    (400, "Invalid request: Your request exceeded model token limit: 8192"),
    (400, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 98304]"),
    (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    (400, "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context "
     "length"),
    (400, "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 "
     "tokens (139000 of text input, 1000 in the output)."),
    (400, "litellm.BadRequestError: ContextWindowExceededError: too much"),
    (400, 'litellm.BadRequestError: AnthropicException - {"type":"error","error":{"message":"prompt is too '
     'long: 210000 tokens > 200000 maximum"}}'),
    (413, "Please reduce the length of the messages or completion."),
    (400, "the model is loaded with context length of only 4096 tokens, which is not enough"),
    (400, "too many tokens: size limit exceeded by 1234 tokens. Try using shorter or fewer inputs"),
    (400, "Input Tokens Exceeded: Number of input tokens exceeds maximum length."),
    (400, "Invalid 'input[3].output': string too long. Expected a string with maximum length 10485760."),
    (400, "The number of tokens in the prompt exceeds the model's maximum context length of 32768."),
]  # fmt: skip
REFUSALS = [
    (400, "max_tokens is too large: 99999 > 8192 output limit"),
    (400, "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length "
     "is 8192 tokens and your request has 10 input tokens (9000 > 8192 - 10)."),
    (400, "This model's maximum context length is 4,096 tokens. However, you requested 5,000 tokens (10 in "
     "the messages, 4,990 in the completion)."),
    (422, "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 10 `inputs` tokens and 10000 "
     "`max_new_tokens`"),
    (400, "input length and `max_tokens` exceed context limit: 10 + 250000 > 200000"),
    (400, "unsupported parameter max_tokens"),
    (400, "Range of max_tokens should be [1, 8192]"),
    (400, "max_tokens must be at least 1, got 0."),
    (400, "max_tokens (9000) exceeds max_model_len (8192)"),
    (400, "max_tokens cannot exceed the context window"),
    (400, "too many tokens: max tokens must be less than or equal to 4096"),
    (400, "tools.0.custom.name: String should have at most 64 characters"),
    (400, "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64."),
    (400, "Invalid 'messages[0].content[1].image_url.url': string too long."),
    (400, "messages.0.content.0.image.source.base64: image exceeds 5 MB maximum: 6291456 bytes"),
    (413, "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 14810, please "
     "reduce your message size and try again."),
    (400, "context_management: extra inputs are not permitted"),
    (400, "The input schema of a tool is too large for the model's maximum length"),
    (400, "stop sequence is too long"),
    (404, "This model's maximum context length is 4096 tokens."),
]  # fmt: skip


BODIES = [
    json.loads(line) for line in Path(__file__).with_name("refusals.jsonl").read_text("utf-8").splitlines()
]
"""What engines, gateways and providers answer, each with what it means."""


def shapes(message: str) -> list[Any]:
    """The ways in which endpoints wrap a message."""
    return [
        {"error": {"message": message, "type": "invalid_request_error", "code": None}},
        {"object": "error", "message": message, "code": 400},
        {"code": "Client specified an invalid argument", "error": message},
        {"detail": [{"loc": ["body"], "msg": message}]},
        [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}],
        {
            "error": {
                "message": "Provider returned error",
                "metadata": {"raw": json.dumps({"error": message})},
            }
        },
    ]


@pytest.mark.parametrize(("status", "message"), OVERFLOWS, ids=[message[:40] for _, message in OVERFLOWS])
def test_an_overflow_is_known_by_the_engine_s_own_words(status: int, message: str) -> None:
    for body in shapes(message):
        assert is_overflow(status, json.dumps(body).encode()), body
    assert is_overflow(status, message.encode())


@pytest.mark.parametrize(("status", "message"), REFUSALS, ids=[message[:40] for _, message in REFUSALS])
def test_a_refusal_that_names_a_field_or_a_length_is_no_overflow(status: int, message: str) -> None:
    for body in shapes(message):
        assert not is_overflow(status, json.dumps(body).encode()), body


def test_a_code_says_it_where_the_message_does_not() -> None:
    for code in ("context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"):
        body = {"error": {"message": "Bad request.", "code": code}}
        assert is_overflow(400, json.dumps(body).encode())
    too_large = {"error": {"message": "Request Entity Too Large", "code": "request_too_large"}}
    assert is_overflow(413, json.dumps(too_large).encode())
    too_large["error"]["message"] = "Request exceeds the maximum size: an image is too large"
    assert not is_overflow(413, json.dumps(too_large).encode())
    assert not is_overflow(413, b"<html><title>413 Request Entity Too Large</title></html>")


def test_what_an_error_quotes_from_the_request_is_not_its_own_words() -> None:
    quoted = {
        "detail": [{"msg": "Field required", "input": {"text": "prompt is too long: 9 tokens > 8 maximum"}}]
    }
    assert not is_overflow(422, json.dumps(quoted).encode())
    assert refusal_text(json.dumps(quoted).encode()) == "field required"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (402, "no"),
        (400, "Your credit balance is too low to access the Anthropic API."),
        (400, "API key not valid. Please pass a valid API key."),
        (400, "Incorrect API key provided: xa***."),
        (422, "insufficient_quota"),
    ],
)
def test_an_account_that_is_refused_is_not_the_request_s_fault(status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    assert is_denied(status, body)
    assert not is_overflow(status, body)
    assert not is_denied(400, b'{"error": {"message": "temperature must be at most 1"}}')


def test_an_unknown_limit_field_is_told_from_a_wrong_limit() -> None:
    unknown = "Unsupported parameter: 'max_tokens' is not supported with this model."
    assert is_unknown_field(400, json.dumps({"error": {"message": unknown}}), "max_tokens")
    assert not is_unknown_field(400, json.dumps({"error": {"message": unknown}}), "max_completion_tokens")
    extra = {
        "detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"], "msg": "Extra"}]
    }
    assert is_unknown_field(422, json.dumps(extra), "max_completion_tokens")
    assert not is_unknown_field(400, '{"error": {"message": "max_tokens: 9 > 8"}}', "max_tokens")
    assert not is_unknown_field(500, json.dumps({"error": {"message": unknown}}), "max_tokens")


@pytest.mark.parametrize("body", [b"", b"\xff" * 50, b"[" * 5000, b"null", b'{"error": 7}', b"9" * 40_000])
def test_any_body_can_be_read(body: bytes) -> None:
    assert not is_overflow(400, body)
    assert not is_denied(400, body)


@pytest.mark.parametrize("case", BODIES, ids=[f"{n}-{case['meaning']}" for n, case in enumerate(BODIES)])
def test_a_body_means_what_its_sender_means(case: dict[str, Any]) -> None:
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    assert is_overflow(case["status"], body.encode()) == (case["meaning"] == "overflow")
    if case["meaning"] == "denied":
        assert is_denied(case["status"], body.encode())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "prompt is too long: 9 tokens > 8 maximum", "code": 400}}),
        (400, {"error": {"message": "no", "code": "context_length_exceeded"}}),
        (400, {"error": "prompt is too long: 9 tokens > 8 maximum"}),
        (400, {"error": {"message": "Budget has been exceeded!"}}),
        (400, {"base_resp": {"status_code": 2013, "status_msg": "context window exceeds limit (2013)"}}),
        (400, {"object": "error", "message": "This model's maximum context length is 8 tokens."}),
        (429, {"error": {"message": "Rate limit exceeded"}}),
        (502, {"error": {"message": "upstream", "code": "502"}}),
        (502, {"choices": [{"error": {"code": 502, "message": "upstream idle"}}]}),
        (None, {"error": {"message": "boom"}}),
        (None, {"error": None, "choices": []}),
        (None, {"base_resp": {"status_code": 0, "status_msg": ""}}),
        (None, {"choices": [{"message": {"content": "prompt is too long: 9 tokens > 8 maximum"}}, {}]}),
        (None, "prompt is too long: 9 tokens > 8 maximum"),
    ],
)  # fmt: skip
def test_an_error_in_an_answer_with_status_200_has_a_status_of_its_own(status: int | None, body: Any) -> None:
    inside = error_inside(json.dumps(body).encode())
    assert (inside and inside[0]) == status


def test_the_error_event_of_a_stream_is_read_too() -> None:
    event = b'event: error\ndata: {"error": {"message": "no", "code": "context_length_exceeded"}}\n\n'
    assert is_overflow(400, event)
    assert error_inside(event) is not None


def test_patterns_stay_quick_on_long_bodies() -> None:
    for word in (
        "prompt ",
        "prompt 1 ",
        "input 9 tokens exceeds ",
        "max_tokens must be ",
        "输入",
        "{",
        "'input': ",
    ):
        body = (word * 16_384)[:16_384].encode()
        assert isinstance(is_overflow(400, body), bool)
