"""`GuardedModel`: a model whose input and output a NeMo Guardrails server checks (`POST /v1/checks`).

The model itself answers, so its token ids and log-probabilities stay as they are. What the rails did is on
the last item of the call (`wire.rail_checks`).
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from hashlib import blake2b
from typing import Any, Final, Literal, cast

import msgspec

from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.http import Endpoint
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import GymError, ModelError, UsageError, did_you_mean
from nemo_gym.wire.items import ALL_TOKEN_FIELDS, Item, assistant
from nemo_gym.wire.json_values import content_text, objects_of, text_of
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.masking import SecretText
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.rail_checks import RAIL_CHECKS, RailCheck, put_checks, rail_checks
from nemo_gym.wire.response import Response

Stage = Literal["input", "output"]


class GuardrailsSettings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The setting `guardrails` of a model behind an endpoint."""

    url: str
    """The address of the guardrails server."""
    config_id: str
    """The name of its configuration, which must be of Colang 1.0."""
    rails: tuple[Stage, ...] = ("input", "output")
    """The sides of the model that are checked; the configuration must have rails for them."""
    model: str = ""
    """The main model of the rails that ask a model; empty for that of the configuration."""
    api_key: SecretText = ""
    timeout: float = 60.0
    """Seconds that one check may take."""


class GuardedModel(WrappedModel):
    """Checks the last user message before each call of `inner`, and the text of its answer after it.

    Blocked input never reaches the model. A blocked answer, on either side, has the text of the rail and is
    incomplete with the reason `content_filter`, so that the rollout ends there. A check that fails is a
    `ModelError`: nothing passes unchecked.
    """

    def __init__(self, inner: Model, settings: GuardrailsSettings) -> None:
        super().__init__(inner)
        self._settings = settings
        self._endpoint = Endpoint(
            settings.url, api_key=settings.api_key or None, timeouts=Timeouts.of(settings.timeout)
        )
        self._known = _Verdicts()

    async def responses(self, params: RequestParams) -> Response:
        checks: list[RailCheck] = []
        if "input" in self._settings.rails:
            params, verdict = await self._check_input(params)
            if verdict is not None:
                checks.append(self._record("input", verdict))
                if verdict.status == "blocked":
                    return self._refusal(verdict, checks)
        response = await self.inner.responses(_for_model(params))
        if "output" in self._settings.rails and (text := response.output_text):
            verdict = await self._ask("output", [*_messages(params), {"role": "assistant", "content": text}])
            check = self._record("output", verdict)
            checks.append(check)
            if verdict.status != "passed":
                check["sampled_text"] = text
                response = _with_text(response, verdict)
        put_checks(response, checks)
        return response

    async def check(self) -> None:
        await super().check()
        await check_config(self._endpoint, self._settings.config_id)

    async def aclose(self) -> None:
        await self._endpoint.aclose()
        await super().aclose()

    async def _check_input(self, params: RequestParams) -> tuple[RequestParams, _Verdict | None]:
        """The request with the texts that the rails have put in place of users', and the verdict on the last
        user message. It is not asked for again after the first call of a conversation."""
        items = input_items(params)
        last = max((place for place, item in enumerate(items) if _is_user(item)), default=None)
        if last is None:
            return params, None
        messages = _messages({**params, "input": items[: last + 1]})
        if not messages or messages[-1]["role"] != "user":
            return params, None
        text: str = messages[-1]["content"]
        verdict = self._known.get(text) if last < len(items) - 1 else None
        if verdict is None:
            verdict = await self._ask("input", messages)
            self._known.add(text, verdict)
        new_items = [self._as_modified(item) if _is_user(item) else item for item in items]
        return ({**params, "input": new_items} if new_items != items else params), verdict

    def _as_modified(self, item: Item) -> Item:
        content = cast("dict[str, Any]", item)["content"]
        verdict = self._known.get(content_text(content))
        if verdict is None or verdict.status != "modified":
            return item
        parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else []
        others = [part for part in parts if "text" not in part]
        text = [{"type": "input_text", "text": verdict.content}]
        return cast("Item", {**item, "content": [*text, *others] if others else verdict.content})

    async def _ask(self, stage: Stage, messages: list[dict[str, Any]]) -> _Verdict:
        settings = self._settings
        guardrails = {"config_id": settings.config_id, "rail_types": [stage]}
        body = {"model": settings.model, "messages": messages, "guardrails": guardrails}
        try:
            verdict = await self._endpoint.post("/checks", encode(body), _read_verdict)
        except ModelError as error:
            raise type(error)(f"guardrails: {error}") from error
        if verdict.status == "blocked" and verdict.content == _INTERNAL_ERROR:
            raise ModelError(f"guardrails at {self._endpoint.url}: the rail {verdict.rail!r} failed")
        return verdict

    def _record(self, stage: Stage, verdict: _Verdict) -> RailCheck:
        check: RailCheck = {
            "stage": stage,
            "status": verdict.status,
            "config_id": self._settings.config_id,
        }
        if verdict.rail:
            check["rail"] = verdict.rail
        return check

    def _refusal(self, verdict: _Verdict, checks: list[RailCheck]) -> Response:
        response = Response.of([assistant(verdict.content)], model=self.name, incomplete="content_filter")
        put_checks(response, checks)
        return response


async def check_config(endpoint: Endpoint, name: str) -> None:
    """Check that a guardrails server has a configuration, if it lists them.

    Raises:
        UsageError: it has not; with the nearest name.
        GymError: it does not answer.
    """
    try:
        reply = await endpoint.get("/rails/configs")
    except GymError as error:
        raise GymError(f"guardrails: {error}") from None
    names = _config_names(reply.content) if reply.status == 200 else []
    if names and name not in names:
        hint = did_you_mean(name, names)
        raise UsageError(f"guardrails at {endpoint.url}: there is no configuration {name!r}.{hint}")


class _Verdict(msgspec.Struct, frozen=True):
    """The answer of `/v1/checks`."""

    status: Literal["passed", "modified", "blocked"]
    content: str
    rail: str | None = None


class _Verdicts:
    """The latest verdicts on user messages, for the calls that follow in the same conversations."""

    def __init__(self) -> None:
        self._of: OrderedDict[bytes, _Verdict] = OrderedDict()

    def add(self, text: str, verdict: _Verdict) -> None:
        self._of[_digest(text)] = verdict
        if len(self._of) > _MOST_KNOWN:
            self._of.popitem(last=False)

    def get(self, text: str) -> _Verdict | None:
        key = _digest(text)
        if key in self._of:
            self._of.move_to_end(key)
        return self._of.get(key)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _read_verdict(content: bytes) -> _Verdict:
    try:
        return msgspec.convert(decode(content), _Verdict)
    except msgspec.ValidationError as error:
        raise ValueError(f"not the result of a check: {error}") from None


def _config_names(content: bytes) -> list[str]:
    """The configurations of a server; empty where it does not list them."""
    try:
        return [text_of(one.get("id")) for one in objects_of(decode(content))]
    except msgspec.DecodeError:
        return []


def _messages(params: RequestParams) -> list[dict[str, Any]]:
    """The texts of a conversation. Rails read the last message of a user or of the model; for messages of
    tools, and for content in parts, the server gives a wrong verdict."""
    messages = cast("list[dict[str, Any]]", chat_request(params)["messages"])
    return [
        {"role": message["role"], "content": text}
        for message in messages
        if message["role"] != "tool" and (text := content_text(message.get("content")))
    ]


def _is_user(item: Item) -> bool:
    return item["type"] == "message" and item["role"] == "user"


def _with_text(response: Response, verdict: _Verdict) -> Response:
    """The response with the text of the rails in place of the sampled one; a blocked one has no tool calls.
    The token ids stay on the last item."""
    output = cast("list[dict[str, Any]]", copy.deepcopy(response.output))
    tokens = {name: output[-1][name] for name in ALL_TOKEN_FIELDS if name in output[-1]}
    blocked = verdict.status == "blocked"
    if blocked:
        output = [item for item in output if item["type"] == "message"]
    texts = [item for item in output if item["type"] == "message"]
    for item in texts:
        item["content"] = assistant(verdict.content if item is texts[-1] else "")["content"]
    for name, value in tokens.items():
        output[-1][name] = value
    data = {**response.data, "output": output}
    if blocked:
        data |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    return Response(data)


def _for_model(params: RequestParams) -> RequestParams:
    """The request without the records of checks. An answer with token ids has the sampled text again: the ids
    stand for that text, so that the next prompt begins with them."""
    items = [cast("dict[str, Any]", item) for item in input_items(params)]
    if not any(RAIL_CHECKS in item for item in items):
        return params
    new_items: list[dict[str, Any]] = []
    for item in items:
        new_items.append({name: value for name, value in item.items() if name != RAIL_CHECKS})
        texts = [text for check in rail_checks([item]) if (text := check.get("sampled_text")) is not None]
        if texts and any(name in item for name in ALL_TOKEN_FIELDS):
            places = [place for place, one in enumerate(new_items) if one["type"] == "message"]
            new_items[places[-1]] = {**new_items[places[-1]], "content": assistant(texts[-1])["content"]}
    return {**params, "input": cast("list[Item]", new_items)}


_MOST_KNOWN: Final = 100_000
_INTERNAL_ERROR: Final = "I'm sorry, an internal error has occurred."
"""The text of the library when a rail itself fails, which it reports as blocked."""
