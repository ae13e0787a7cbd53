"""Any endpoint that speaks the OpenAI Responses API itself."""

from __future__ import annotations

from typing import Any, cast

from nemo_gym.models.remote import RemoteModel
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import check_items
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class ResponsesModel(RemoteModel):
    """`POST {url}/responses`; items go through as they are."""

    path = "/responses"

    def _request(self, params: RequestParams) -> bytes:
        body: dict[str, Any] = {**params, "model": self.name}
        self._add_extras(body, params)
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        answer = decode(content)
        if not isinstance(answer, dict) or "output" not in answer:
            raise ValueError("the answer has no `output`, so it is not a Response")
        data = cast("dict[str, Any]", answer)
        try:
            check_items(data["output"], "output")
        except UsageError as error:
            raise ValueError(str(error)) from None
        return Response(data)
