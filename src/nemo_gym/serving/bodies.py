"""JSON bodies of requests."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import msgspec
from starlette.requests import Request

from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.incremental_json import decode_pieces
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import check_items
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.params import RequestParams, check_served_params
from nemo_gym.wire.response import Response


async def read_object(request: Request) -> dict[str, Any]:
    """The request's body, which must be a JSON object.

    Raises:
        InvalidBody: the body is no JSON object.
    """
    return await decode_object(await request.body())


async def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; a large one is decoded in a thread.

    Raises:
        InvalidBody: the body is no JSON object.
    """
    try:
        value = decode(body) if len(body) <= _LARGE else await asyncio.to_thread(decode_pieces, body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidBody.at([], f"JSON decode error: {error}", type="json_invalid") from None
    if not isinstance(value, dict):
        raise InvalidBody.at([], "Input should be a JSON object", type="dict_type")
    return cast("dict[str, Any]", value)


def params_of(body: dict[str, Any], *loc: str) -> RequestParams:
    """The request parameters in a body: at `loc`, or the body itself.

    Raises:
        InvalidBody: there are no parameters, or they are not valid.
    """
    value: Any = body
    for name in loc:
        value = value.get(name)
    if not isinstance(value, dict):
        raise InvalidBody.at(loc, "Input should be an object", type="dict_type")
    try:
        return check_served_params(cast("dict[str, Any]", value))
    except UsageError as error:
        raise InvalidBody.of(error, *loc) from None


def response_of(row: dict[str, Any]) -> Response:
    """The response in a task row.

    Raises:
        InvalidBody: there is no response, or it has no valid output.
    """
    data = row.get(keys.RESPONSE)
    if not isinstance(data, dict):
        raise InvalidBody.at([keys.RESPONSE], "Input should be a Response object", type="dict_type")
    fields = cast("dict[str, Any]", data)
    try:
        for place, item in enumerate(check_items(fields.get("output"), "response.output")):
            if "type" not in item:
                raise UsageError(f"response.output[{place}].type: a string is missing")
    except UsageError as error:
        raise InvalidBody.of(error) from None
    if not isinstance(fields.get("incomplete_details"), dict | None):
        raise InvalidBody.at([keys.RESPONSE, "incomplete_details"], "Input should be an object or null")
    return Response(fields)


_LARGE: Final = 1 << 20
"""Bytes of a body whose decoding would delay other requests for milliseconds."""
