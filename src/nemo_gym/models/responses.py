"""Any endpoint that speaks the OpenAI Responses API itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack, cast
from uuid import uuid4

from nemo_gym.models.base import Model
from nemo_gym.models.remote import Access, EndpointSettings, RemoteModel
from nemo_gym.models.tokens import check_evidence
from nemo_gym.wire.foreign import read_response
from nemo_gym.wire.history import CallIds, arguments_text, sendable
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.loose import text_of
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class ResponsesSettings(EndpointSettings, kw_only=True, frozen=True):
    """What an endpoint of the Responses API has beside any other."""

    drop_input_reasoning_items: bool = False
    """Past reasoning doesn't go back: for endpoints that refuse what they didn't make."""


class ResponsesModel(RemoteModel):
    """`POST {url}/responses`; items go through as they are."""

    Settings = ResponsesSettings
    path = "/responses"

    def __init__(
        self,
        url: str,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        drop_input_reasoning_items: bool = False,
        **access: Unpack[Access],
    ) -> None:
        super().__init__(url, name, **access, headers=headers, extra_body=extra_body)
        self._drops_reasoning = drop_input_reasoning_items

    @classmethod
    def open(
        cls,
        url: str,
        name: str,
        settings: Any,
        **access: Unpack[Access],
    ) -> Model:
        return cls(
            url, name, **access, headers=settings.default_headers,
            extra_body=settings.extra_body, drop_input_reasoning_items=settings.drop_input_reasoning_items,
        )  # fmt: skip

    def _request(self, params: RequestParams) -> bytes:
        body: dict[str, Any] = {**params, "model": self.name}
        given = params.get("input", [])
        if not isinstance(given, str):
            items = sendable(given, cast("list[dict[str, Any]]", params.get("tools") or []))
            keeps = not self._drops_reasoning
            body["input"] = [item for item in items if keeps or item.get("type") != "reasoning"]
        self._add_extras(body, params)
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        return self._response(decode(content))

    def _response(self, answer: object) -> Response:
        if not isinstance(answer, dict) or "output" not in answer:
            raise ValueError("the answer has no `output`, so it is not a Response")
        data = cast("dict[str, Any]", answer)
        if data.get("status") == "failed":
            raise ValueError(f"the model failed: {encode(data.get('error')).decode()[:1000]}")
        if not isinstance(data["output"], list):
            raise ValueError("the answer's `output` is no list")
        output = _complete_calls(cast("list[Any]", data["output"]))
        response = read_response({**data, "output": output})
        check_evidence(response)
        return response


def _complete_calls(output: list[Any]) -> list[Any]:
    """The same output with an id, a name and arguments as text in every function call."""
    ids = CallIds()
    items: list[Any] = []
    for item in output:
        if isinstance(item, dict) and cast("dict[str, Any]", item).get("type") == "function_call":
            call = cast("dict[str, Any]", item)
            call_id = text_of(call.get("call_id")) or text_of(call.get("id")) or f"call_{uuid4().hex}"
            name, arguments = text_of(call.get("name")), arguments_text(call.get("arguments"))
            item = {**call, "call_id": ids.of_call(call_id), "name": name, "arguments": arguments}
        items.append(item)
    return items
