"""Completes an answer for the clients of a model server: id, date and the fields of the request."""

from __future__ import annotations

from typing import Any, Final, cast

from nemo_gym.wire.items import ID_PREFIXES, Item
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import UNNAMED, Response


def complete_response(response: Response, params: RequestParams, *, id: str, now: float) -> Response:
    """`response` with all fields that clients of the Responses API expect; `response` itself stays.

    A response without an id or a date gets `id` and `now` (unix time, seconds). Items get missing ids and
    statuses, and unique ids. The fields of the request are repeated.
    """
    data = response.data
    name = data.get("id")
    if name in (None, UNNAMED):
        name = id
    request = cast("dict[str, Any]", params)
    echo = {key: value for key in _REQUEST_FIELDS if (value := request.get(key)) is not None}
    fields = {key: value for key, value in data.items() if value is not None or key not in echo}
    defaults = {key: echo[key] for key in _ALWAYS_THERE if key in echo}
    return Response(
        {
            **echo,
            **fields,
            **defaults,
            "id": name,
            "created_at": data.get("created_at") or now,
            "output": _with_ids(cast("list[dict[str, Any]]", response.output), name.removeprefix("resp_")),
        }
    )


_ALWAYS_THERE: Final = ("parallel_tool_calls", "tool_choice", "tools")
"""Fields that every Response has, so that the request's values replace them."""

_REQUEST_FIELDS: Final = (
    *_ALWAYS_THERE, "background", "instructions", "max_output_tokens", "max_tool_calls", "metadata",
    "previous_response_id", "prompt", "reasoning", "service_tier", "store", "temperature", "text",
    "top_logprobs", "top_p", "truncation", "user",
)  # fmt: skip


def _with_ids(output: list[dict[str, Any]], suffix: str) -> list[Item]:
    ids: set[str] = set()
    items: list[dict[str, Any]] = []
    for place, item in enumerate(output):
        prefix = ID_PREFIXES.get(item["type"])
        missing: dict[str, Any] = {}
        if prefix and (not item.get("id") or item["id"] in ids):
            missing["id"] = f"{prefix}_{suffix}_{place}"
        if item["type"] in ("message", "function_call") and not item.get("status"):
            missing["status"] = "completed"
        if item.get("role") == "assistant" and isinstance(text := item["content"], str):
            missing["content"] = [{"type": "output_text", "text": text, "annotations": []}]
        items.append({**item, **missing} if missing else item)
        ids.add(items[-1].get("id") or "")
    return cast("list[Item]", items)
