"""Any endpoint that speaks the OpenAI Responses API itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack, cast

from nemo_gym.models.base import Model
from nemo_gym.models.remote import Access, EndpointSettings, RemoteModel
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import check_items
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.params import RequestParams, input_items
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
        if self._drops_reasoning:
            body["input"] = [item for item in input_items(params) if item["type"] != "reasoning"]
        self._add_extras(body, params)
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        return self._response(decode(content))

    def _response(self, answer: object) -> Response:
        if not isinstance(answer, dict) or "output" not in answer:
            raise ValueError("the answer has no `output`, so it is not a Response")
        data = cast("dict[str, Any]", answer)
        try:
            check_items(data["output"], "output")
        except UsageError as error:
            raise ValueError(str(error)) from None
        return Response(data)
