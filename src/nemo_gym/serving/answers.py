"""JSON answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from nemo_gym.wire.jsonl import encode


class JsonResponse(Response):
    """Anything that JSON can hold, encoded by msgspec; bytes are JSON already."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else encode(content)


def text_answer(text: str, status: int = 200) -> Response:
    """A tool's output: JSON where it looks like it, else plain text."""
    looks_like_json = text.startswith(("{", "["))
    return Response(text, status, media_type="application/json" if looks_like_json else "text/plain")


def echo(body: bytes, row: Mapping[str, Any], added: Mapping[str, Any]) -> JsonResponse:
    """The JSON object `body` (decoded: `row`) with fields added, of which those of `row` are replaced.

    The body's own bytes are sent where that is possible: trajectories with token ids are megabytes.
    """
    if not row or not added or not row.keys().isdisjoint(added):
        return JsonResponse({**row, **added})
    return JsonResponse(body.rstrip()[:-1] + b"," + encode(added)[1:])
