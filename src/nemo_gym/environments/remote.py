"""The environment link to a resources server at a URL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar
from uuid import uuid4

import msgspec

from nemo_gym.environments.base import Observation, Step
from nemo_gym.environments.openapi_description import Description
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import tool_error
from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.transport.exchange import Body, Reply, Timeouts
from nemo_gym.transport.retry import Retry
from nemo_gym.transport.service import PATIENCE, Service, ask_for_metrics, refused
from nemo_gym.wire import keys
from nemo_gym.wire.errors import EnvironmentFault, RolloutError, VerifierFault
from nemo_gym.wire.items import FunctionCall
from nemo_gym.wire.json_values import object_of
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, failure_of
from nemo_gym.wire.task import Row, Task
from nemo_gym.wire.validation import json_object, read_reward

T = TypeVar("T")

_TIMEOUTS: Final = Timeouts.of(1800.0)


class RemoteEnvironment:
    """Implements `EnvironmentLink` over the routes of a resources server.

    The calls of a session are sent one after the other, in their order, because servers expect one caller per
    session, and each request needs the cookies of the answer before.

    Args:
        url: base URL of the server.
        about: the description of the server, from `fetch_description`.
        token: sent as a bearer token.
        timeouts: limits of one request; by default 30 minutes, for verifiers that run programs.
        retry: the retries when the server can't be reached.

    Every method raises `ServerUnreachable` or `ServerTimeout` when the server is gone or hangs.
    """

    def __init__(
        self,
        url: str,
        *,
        about: Description | None = None,
        token: str = "",
        timeouts: Timeouts | None = None,
        retry: Retry = PATIENCE,
    ) -> None:
        about = about or Description()
        self._token = token
        self.steps = about.steps
        self.max_steps = about.max_steps
        self._scale = about.rewards.scale if about.rewards else UNKNOWN_SCALE
        self._service = Service(
            url, "resources server", token=token, timeouts=timeouts or _TIMEOUTS, retry=retry
        )

    @asynccontextmanager
    async def session(self, row: Row) -> AsyncGenerator[Session]:
        session = _RemoteSession(row, self._scale)
        if not self.steps:
            await self._seed(session)
        try:
            yield session
        finally:
            if session.closable:
                await self._close(session)

    async def call(self, session: Session, call: FunctionCall) -> str:
        """The body of the answer, for every status. A call that can't be sent is an error for the model."""
        name = call["name"]
        if not _TOOL_NAME.fullmatch(name) or name in _NOT_TOOLS:
            return tool_error(f"There is no tool {name!r}.")
        try:
            decode(call["arguments"] or "{}")
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return tool_error(f"Invalid tool call arguments: {error!r}")
        body = (call["arguments"] or "{}").encode()
        return (await self._send(_own(session), f"/{name}", body, repeatable=False)).text

    async def reset(self, session: Session) -> Observation:
        own = _own(session)
        reply = await self._post(own, "/reset", encode(session.row), EnvironmentFault, repeatable=True)
        answer = self._read(_RESET, reply, "/reset")
        info = answer.info or {}
        own.closable = info.pop("supports_explicit_close", None) is True
        own.numbers_steps = info.pop("supports_step_idempotency", None) is True
        return Observation(answer.observation, info)

    async def step(self, session: Session, action: Response) -> Step:
        own = _own(session)
        body = {**session.row, keys.RESPONSE: action.data}
        if own.numbers_steps:
            body[keys.STEP_REQUEST_ID] = uuid4().hex
        reply = await self._post(own, "/step", encode(body), EnvironmentFault, repeatable=own.numbers_steps)
        answer = self._read(_STEP, reply, "/step")
        info = answer.info or {}
        try:
            msgspec.convert(info.get("tool_outputs") or [], list[_ToolOutput])
        except msgspec.ValidationError as error:
            raise EnvironmentFault(f"{self._service.url}/step: info.tool_outputs: {error}") from None
        return Step(answer.observation, answer.reward, answer.terminated, answer.truncated, info)

    async def verify(self, session: Session, response: Response) -> Reward:
        body = encode({**session.row, keys.RESPONSE: response.data})
        reply = await self._post(_own(session), "/verify", body, VerifierFault, repeatable=False)
        try:
            answer = json_object(reply.content)
            if calls := object_of(answer.get(keys.ASKED_MODELS)):
                session.asked_models.update(calls)
            return _reward(session.row, answer)
        except ValueError as error:
            raise VerifierFault(f"{self._service.url}/verify answered with something else: {error}") from None

    async def metrics_of(self, agent: str, body: Body) -> bytes:
        """The server's answer to `POST /aggregate_metrics`, which is the same for every agent.

        Raises:
            RolloutError: the server does not answer, or refuses.
        """
        return await ask_for_metrics(self._service, body)

    async def aggregate_metrics(self, rows: list[Row]) -> dict[str, Any]:
        """The metrics that the server computes from the rows of one agent, which have no trajectories.

        Raises:
            RolloutError: the server does not answer, or its answer is not valid.
        """
        answer = await self.metrics_of("", encode({"verify_responses": rows}))
        try:
            return json_object(answer)
        except ValueError as error:
            where = f"{self._service.url}/aggregate_metrics"
            raise RolloutError(f"{where} answered with something else: {error}") from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._service.aclose()

    async def _seed(self, session: _RemoteSession) -> None:
        """Seed the session. Some servers list its tools in their answer when the row has none."""
        path = "/seed_session"
        reply = await self._post(session, path, encode(session.row), EnvironmentFault, repeatable=True)
        try:
            answer = msgspec.json.decode(reply.content or b"{}", type=_SeedAnswer)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return
        session.tools = answer.tools
        if answer.mcp is not None:
            token = answer.mcp.headers.get(_MCP_TOKEN, "")
            url = f"{self._service.url}{answer.mcp.url_path}"
            session.state["mcp"] = {"url": url, "token": token, "bearer": self._token}

    async def _post(
        self, session: _RemoteSession, path: str, body: bytes, kind: type[RolloutError], *, repeatable: bool
    ) -> Reply:
        reply = await self._send(session, path, body, repeatable=repeatable)
        if not 200 <= reply.status < 300:
            raise refused(kind, self._service, path, reply)
        return reply

    async def _send(self, session: _RemoteSession, path: str, body: bytes, *, repeatable: bool) -> Reply:
        async with session.turn:
            reply = await self._service.post(path, body, cookies=session.cookies, repeatable=repeatable)
        if reply.status == _FAULT and keys.FAILURE_JUDGE_ERROR.encode() in reply.content:
            with suppress(ValueError):
                failure = failure_of(json_object(reply.content))
                if failure is not None:
                    raise failure
        return reply

    def _read(self, decoder: msgspec.json.Decoder[T], reply: Reply, path: str) -> T:
        try:
            return decoder.decode(reply.content)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise EnvironmentFault(
                f"{self._service.url}{path} answered with something else: {error}"
            ) from None

    async def _close(self, session: _RemoteSession) -> None:
        """Close the session. A failure must not undo a scored rollout or hide an earlier error."""
        try:
            await self._post(session, "/close", b"{}", EnvironmentFault, repeatable=True)
        except RolloutError as error:
            kind = type(error).__name__
            session.cleanup_warning = {"operation": "close", "error_type": kind, "message": str(error)}


class _RemoteSession(Session):
    """A session whose state is on the server, with the cookies of its requests."""

    def __init__(self, row: Row, scale: RewardScale) -> None:
        task = Task(responses_create_params=row[keys.PARAMS])
        super().__init__(row, task, id=uuid4().hex, seed=0, tools=[], scale=scale)
        self.cookies: dict[str, str] = {}
        self.turn = asyncio.Lock()
        self.closable = False
        self.numbers_steps = False


def _own(session: Session) -> _RemoteSession:
    if not isinstance(session, _RemoteSession):
        raise TypeError("this session was opened by another environment")
    return session


def _reward(row: Row, answer: dict[str, Any]) -> Reward:
    """The reward in an answer of `/verify`. Its details are the fields that do not repeat the row."""
    failure = failure_of(answer)
    if failure is not None:
        raise failure
    details = {
        name: value
        for name, value in answer.items()
        if name not in keys.RESERVED and (name not in row or row[name] != value)
    }
    return read_reward(answer, details)


_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NOT_TOOLS: Final = frozenset({"seed_session", "verify", "aggregate_metrics", "mcp"})
"""Routes of every server, which are not tools."""
_FAULT: Final = 500
"""The status of a server that failed, or whose judge failed."""
_MCP_TOKEN: Final = "X-NeMo-Gym-Session-Token"


class _Mcp(msgspec.Struct):
    url_path: str
    headers: dict[str, str] = {}


class _SeedAnswer(msgspec.Struct):
    tools: list[FunctionTool] = []
    mcp: _Mcp | None = None
    """The address of the session's tools over MCP."""


class _ResetAnswer(msgspec.Struct):
    observation: str | None = None
    info: dict[str, Any] | None = None


class _StepAnswer(msgspec.Struct):
    observation: str | None = None
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] | None = None


class _ToolOutput(msgspec.Struct):
    call_id: str
    output: str


_RESET: Final = msgspec.json.Decoder(_ResetAnswer)
_STEP: Final = msgspec.json.Decoder(_StepAnswer)
