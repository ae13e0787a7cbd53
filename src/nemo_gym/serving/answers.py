"""JSON answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from nemo_gym.wire.jsonl import encode


class JsonResponse(Response):
    """A JSON value, encoded by msgspec. Bytes are sent as they are: they must be JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else encode(content)


def text_answer(text: str, status: int = 200) -> Response:
    """The output of a tool: JSON if it looks like JSON, else plain text."""
    looks_like_json = text.startswith(("{", "["))
    return Response(text, status, media_type="application/json" if looks_like_json else "text/plain")


def echo(body: bytes, row: Mapping[str, Any], fields: Mapping[str, Any]) -> JsonResponse:
    """The JSON object `body` (decoded: `row`) with more fields; a field that `row` has is replaced.

    The bytes of the body are sent again where possible: trajectories with token ids have megabytes.
    """
    if not row or not fields or not row.keys().isdisjoint(fields):
        return JsonResponse({**row, **fields})
    return JsonResponse(body.rstrip()[:-1] + b"," + encode(fields)[1:])
