"""The record of one model call at a model server, with its tokens."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final, Literal, cast

import msgspec

from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import ALL_TOKEN_FIELDS, TOKEN_FIELDS, Item, Json
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.task import Row

Dialect = Literal["responses", "chat", "messages"]

ErrorCategory = Literal[
    "timeout", "rate_limit", "auth", "not_found", "client_error", "upstream_error", "connection",
    "exception", "incomplete", "stream_truncated", "capture_parse_error",
]  # fmt: skip


class ModelCall(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request to a model server with the rollout it belongs to. One line of a capture file."""

    rollout_id: str
    model_call_id: str
    dialect: Dialect
    model_ref: str = ""
    """The name of the model server's instance."""
    asked_as: str = ""
    """The name under which the environment asked this model, such as `judge`; empty for the agent's calls."""
    started_at: float
    """Unix time, seconds."""
    completed_at: float
    latency_ms: float
    latency_ttft_ms: float | None = None
    """Time to the first byte, where the answer was streamed."""
    status_code: int
    error_category: ErrorCategory | None = None
    request: dict[str, Json]
    """The body in the client's own dialect."""
    response: Json = None
    """The answer in the client's own dialect, for a stream as a whole; for a failed call the error body."""
    params: Json = None
    """The request to the back end (`RequestParams`); None when that is `request` itself."""
    answer: dict[str, Json] | None = None
    """The answer of the back end: a Response object with the tokens, for which the client's dialect may have
    no place. None for a failed call."""

    @property
    def request_params(self) -> RequestParams:
        """The request as Responses parameters."""
        return cast("RequestParams", self.request if self.params is None else self.params)

    @property
    def output(self) -> list[Item]:
        """The model's items with their tokens; none for a failed call."""
        return [] if self.answer is None else self.answer["output"]


class Captured(msgspec.Struct):
    """The calls of one rollout, in the order in which they were recorded."""

    calls: list[ModelCall]
    incomplete: bool = False
    """True when a call is known to be missing."""


class TokenEntry(msgspec.Struct, kw_only=True):
    """The prompt and the sampled tokens of one model call."""

    schema_version: int = 1
    rollout_id: str
    model_call_id: str
    model: str
    prompt_token_ids: list[int]
    generation_token_ids: list[int]
    generation_log_probs: list[float]
    routed_experts: Json = None
    output_items: list[dict[str, Json]]
    """The items of these tokens, without the token fields."""
    token_item_index: int | None = None
    """The item that has the tokens; None is the last one."""
    created_at: float
    request: dict[str, Json] = {}
    """The fields of the request that identify a call: `input` and `tools`, which may be missing."""


def new_call_id() -> str:
    """A `model_call_id` that no other call has."""
    return f"call_{uuid.uuid4().hex}"


def rollout_id(row: Row) -> str:
    """The id under which the calls of a row's rollout are captured.

    Raises:
        UsageError: the row's own id can't be part of a path.
    """
    identity = row.get(keys.ROLLOUT_ID) or f"{row.get(keys.TASK_INDEX, 0)}-{row.get(keys.ROLLOUT_INDEX, 0)}"
    attempt = row.get(keys.ATTEMPT_INDEX, 0)
    return check_rollout_id(f"{identity}-a{attempt}" if attempt else str(identity))


def find_rollout_id(row: Row) -> str | None:
    """The same; None for a row that has no identity.

    Raises:
        UsageError: the row's own id can't be part of a path.
    """
    has_id = keys.ROLLOUT_ID in row or (keys.TASK_INDEX in row and keys.ROLLOUT_INDEX in row)
    return rollout_id(row) if has_id else None


def check_rollout_id(text: str) -> str:
    """`text` itself when it may name a rollout.

    Raises:
        UsageError: it can't name one.
    """
    if len(text) > 200 or not _ROLLOUT_ID.fullmatch(text):
        raise UsageError(
            f"rollout id {text[:80]!r}: expected letters, digits, dots, dashes and underscores, "
            "at most 200, the first a letter or a digit"
        )
    return text


def error_category(status: int) -> ErrorCategory | None:
    """The failure category of an HTTP status; None for a status that is no failure."""
    match status:
        case 408 | 504:
            return "timeout"
        case 429:
            return "rate_limit"
        case 401 | 403:
            return "auth"
        case 404:
            return "not_found"
        case _ if status >= 500:
            return "upstream_error"
        case _ if status >= 400:
            return "client_error"
        case _:
            return None


def token_entry(call: ModelCall) -> TokenEntry | None:
    """The tokens of a call; None when none or more than one of its items has tokens."""
    output = cast("list[dict[str, Any]]", call.output)
    places = [place for place, item in enumerate(output) if all(item.get(name) for name in TOKEN_FIELDS)]
    if len(places) != 1 or call.answer is None:
        return None
    place = places[0]
    item = output[place]
    if len(item["generation_token_ids"]) != len(item["generation_log_probs"]):
        return None
    return TokenEntry(
        rollout_id=call.rollout_id,
        model_call_id=call.model_call_id,
        model=call.answer.get("model") or "",
        prompt_token_ids=item["prompt_token_ids"],
        generation_token_ids=item["generation_token_ids"],
        generation_log_probs=item["generation_log_probs"],
        routed_experts=item.get("routed_experts"),
        output_items=[without_tokens(item) for item in output],
        token_item_index=place,
        created_at=call.completed_at,
        request={name: value for name, value in call.request_params.items() if name in ("input", "tools")},
    )


def call_of_entry(entry: TokenEntry) -> ModelCall:
    """The call that an entry describes, with the tokens on its item again.

    Raises:
        ValueError: the entry names an item that it doesn't have.
    """
    place = len(entry.output_items) - 1 if entry.token_item_index is None else entry.token_item_index
    if not 0 <= place < len(entry.output_items):
        raise ValueError(f"token entry {entry.model_call_id}: there is no item {place}")
    tokens = {name: getattr(entry, name) for name in TOKEN_FIELDS}
    if entry.routed_experts is not None:
        tokens["routed_experts"] = entry.routed_experts
    output: list[Json] = list(entry.output_items)
    output[place] = {**entry.output_items[place], **tokens}
    return ModelCall(
        rollout_id=entry.rollout_id,
        model_call_id=entry.model_call_id,
        dialect="responses",
        started_at=entry.created_at,
        completed_at=entry.created_at,
        latency_ms=0.0,
        status_code=200,
        request={"input": [], **entry.request},
        answer={"model": entry.model, "output": output},
    )


def without_tokens(item: dict[str, Any]) -> dict[str, Any]:
    """The item without its token fields."""
    return {key: value for key, value in item.items() if key not in ALL_TOKEN_FIELDS}


_ROLLOUT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
