"""Model back end for endpoints of the OpenAI Responses API."""

from __future__ import annotations

from typing import Any, Final, cast
from uuid import uuid4

from nemo_gym.models.remote import EndpointSettings, RemoteModel
from nemo_gym.models.tokens import check_evidence
from nemo_gym.wire.history import CallIds, arguments_text, sendable, sendable_items
from nemo_gym.wire.items import assistant
from nemo_gym.wire.json_values import text_of
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from nemo_gym.wire.validation import read_response


class ResponsesSettings(EndpointSettings, kw_only=True, frozen=True):
    """The additional settings of a Responses API endpoint."""

    drop_input_reasoning_items: bool = False
    """Leave past reasoning out of requests, for endpoints that refuse the reasoning of other models."""


class ResponsesModel(RemoteModel):
    """`POST {url}/responses`; items are sent unchanged."""

    Settings = ResponsesSettings
    path = "/responses"

    def _request(self, params: RequestParams) -> bytes:
        body: dict[str, Any] = {**params, "model": self.name}
        source = params.get("input", [])
        if not isinstance(source, str):
            items = sendable(source, cast("list[dict[str, Any]]", params.get("tools") or []))
            body["input"] = sendable_items(items, keep_reasoning=not self.settings.drop_input_reasoning_items)
        self._add_extras(body, params)
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        return self._response(decode(content))

    def _response(self, answer: object) -> Response:
        if not isinstance(answer, dict) or "output" not in answer:
            raise ValueError("the answer has no `output`, so it is not a Response")
        data = cast("dict[str, Any]", answer)
        status = text_of(data.get("status"))
        if data.get("error") or status == "failed":
            raise ValueError(f"the model failed: {encode(data.get('error')).decode()[:1000]}")
        if status in _UNFINISHED:
            raise ValueError(f"the answer is not finished: its status is {status}")
        if not isinstance(data["output"], list):
            raise ValueError("the answer's `output` is no list")
        output = _complete_items(cast("list[Any]", data["output"]))
        if status == "incomplete" and not data.get("incomplete_details"):
            data = {**data, "incomplete_details": {"reason": "max_output_tokens"}}
        if not status:
            data = {**data, "status": "incomplete" if data.get("incomplete_details") else "completed"}
        if not output and not data.get("incomplete_details"):
            output = [assistant("")]
        response = read_response({**data, "output": output})
        check_evidence(response)
        return response


_UNFINISHED: Final = frozenset({"cancelled", "queued", "in_progress"})


def _complete_items(output: list[Any]) -> list[Any]:
    """The output with the parts that some engines leave out: an id, a name and arguments as text in every
    function call, a summary in reasoning, text in messages."""
    ids = CallIds()
    items: list[Any] = []
    for item in output:
        match item:
            case {"type": "function_call"}:
                call = cast("dict[str, Any]", item)
                call_id = text_of(call.get("call_id")) or text_of(call.get("id")) or f"call_{uuid4().hex}"
                name, arguments = text_of(call.get("name")), arguments_text(call.get("arguments"))
                items.append({**call, "call_id": ids.of_call(call_id), "name": name, "arguments": arguments})
            case {"type": "reasoning", "summary": None}:
                items.append({**cast("dict[str, Any]", item), "summary": []})
            case {"type": "reasoning"}:
                items.append({"summary": [], **cast("dict[str, Any]", item)})
            case {"type": "message", "content": None}:
                items.append({**cast("dict[str, Any]", item), "content": []})
            case {"type": "message", "content": [*parts]}:
                content = [_with_text(part) for part in parts]
                items.append({**cast("dict[str, Any]", item), "content": content})
            case None:
                pass
            case _:
                items.append(item)
    return items


def _with_text(part: Any) -> Any:
    match part:
        case {"type": "output_text", "text": None}:
            return {**cast("dict[str, Any]", part), "text": ""}
        case _:
            return part
