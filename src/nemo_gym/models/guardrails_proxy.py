"""`GuardrailsProxyModel`: a NeMo Guardrails server as the model, which asks the real model itself.

For evaluation only. The server passes on neither log-probabilities nor seeds, and its answers have no token
ids and no usage.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, cast

import msgspec

from nemo_gym.models.chat import ChatModel, ChatSettings
from nemo_gym.models.guardrails import check_config
from nemo_gym.models.remote import EndpointSettings
from nemo_gym.wire.chat import chat_response
from nemo_gym.wire.errors import ModelRejected
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.rail_checks import RailCheck, put_checks
from nemo_gym.wire.response import Response

NO_TOKENS: Final = (
    "a guardrails server returns no token ids: for training use the model's own type, such as vllm, with the "
    'setting guardrails={"url": ..., "config_id": ...}'
)


class GuardrailsProxySettings(ChatSettings, kw_only=True, frozen=True):
    """The settings of a guardrails server."""

    config_id: str = ""
    """The name of its configuration; empty for the server's default."""
    return_token_id_information: bool = False
    """Refused: there are no token ids."""

    def __post_init__(self) -> None:
        if self.return_token_id_information:
            raise ValueError(NO_TOKENS)
        if self.guardrails is not None:
            raise ValueError("the server checks by itself: leave out the setting guardrails")


class GuardrailsProxyModel(ChatModel):
    """`POST {url}/chat/completions` of a guardrails server. The rails that ran are on the last item; an
    answer that a rail stopped is incomplete with the reason `content_filter`."""

    Settings: ClassVar[type[EndpointSettings]] = GuardrailsProxySettings
    hides_tokens = NO_TOKENS

    async def check(self) -> None:
        await super().check()
        if self.settings.config_id:
            await check_config(self.endpoint, self.settings.config_id)

    def _request(self, params: RequestParams, field: Any = None) -> bytes:
        if params.get("top_logprobs") is not None or params.get("include"):
            raise ModelRejected("a guardrails server returns no log-probabilities: leave out top_logprobs")
        body = cast("dict[str, Any]", decode(super()._request(params, field)))
        guardrails: dict[str, Any] = {"options": {"log": {"activated_rails": True}}}
        if self.settings.config_id:
            guardrails["config_id"] = self.settings.config_id
        body["guardrails"] = {**guardrails, **body.get("guardrails", {})}
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        response = chat_response(content)
        report = msgspec.json.decode(content, type=_Answer).guardrails
        rails = report.log.activated_rails if report and report.log else []
        checks = [
            _check(rail, report.config_id if report else None) for rail in rails if rail.type in _STAGES
        ]
        put_checks(response, checks)
        if any(check["status"] == "blocked" for check in checks):
            response.data |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
        return response


class _Rail(msgspec.Struct):
    type: str
    name: str
    stop: bool = False


class _Log(msgspec.Struct):
    activated_rails: list[_Rail] = []


class _Report(msgspec.Struct):
    config_id: str | None = None
    log: _Log | None = None


class _Answer(msgspec.Struct):
    guardrails: _Report | None = None


def _check(rail: _Rail, config_id: str | None) -> RailCheck:
    check: dict[str, Any] = {"stage": rail.type, "status": "blocked" if rail.stop else "passed"}
    check["rail"] = rail.name
    if config_id:
        check["config_id"] = config_id
    return cast("RailCheck", check)


_STAGES: Final = ("input", "output")
"""The types of rails that check; the others make the answer."""
