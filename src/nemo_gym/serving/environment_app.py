"""An environment as a resources server."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.routing import BaseRoute
from starlette.types import Scope

from nemo_gym.environments.answer_verdict import typed_columns
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.reverify_mode import reverify_mode
from nemo_gym.environments.rewards import Rewards
from nemo_gym.environments.route import BoundRoute
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import no_such_tool
from nemo_gym.serving.answer_routes import answer_route
from nemo_gym.serving.answers import JsonResponse, echo, text_answer
from nemo_gym.serving.app import base_app, server_label
from nemo_gym.serving.bodies import decode_object, read_object, response_of
from nemo_gym.serving.environment_tools import OfferedTools
from nemo_gym.serving.errors import InvalidBody, judge_failure
from nemo_gym.serving.idempotency import Once
from nemo_gym.serving.mcp_routes import tool_routes
from nemo_gym.serving.metrics import metrics_of, metrics_route
from nemo_gym.serving.open_sessions import SeededSessions
from nemo_gym.serving.openapi import ApiRoute, Operation
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.schemas import task_schema, with_response
from nemo_gym.serving.sessions import cookie_refused, session_id
from nemo_gym.wire import keys
from nemo_gym.wire.errors import EnvironmentFault, JudgeFailed, UsageError
from nemo_gym.wire.items import function_call
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row, Task


def environment_app(
    link: LocalEnvironment, name: str, options: AppOptions, *, mcp_tools: OfferedTools | None = None
) -> Starlette:
    """The app of one environment.

    Args:
        name: the instance's name.
        mcp_tools: the tools of the environment, to be served over MCP.

    Raises:
        UsageError: a tool has the name of a route, or the MCP SDK is needed and not installed.
    """
    server = _Server(link, options, mcp_tools)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with server.sessions.cleanup():
            yield

    about: dict[str, Any] = {"kind": "environment", "name": link.environment.name(), "steps": link.steps}
    about["rewards"] = msgspec.to_builtins(Rewards.of(link.scale))
    if link.steps:
        about["max_steps"] = link.max_steps
    label = server_label(link.environment, name)
    return base_app(label, server.routes(), options, lifespan=lifespan, about=about)


class _Server:
    """The handlers of one environment's routes."""

    def __init__(self, link: LocalEnvironment, options: AppOptions, mcp_tools: OfferedTools | None) -> None:
        self.sessions = SeededSessions(link)
        self._link = link
        self._mcp_tools = mcp_tools
        self._steps = Once[bytes]()
        self._limits = options.limits
        self._task_type: type[Task] = link.environment.Task
        self._tool_names = [tool.get("name", "") for tool in link.tools]

    def routes(self) -> list[BaseRoute]:
        environment = self._link.environment
        row = task_schema(environment)
        form = self._step_routes(row) if self._link.steps else self._verify_routes(row)
        mcp_tools = self._mcp_tools
        return [
            *([] if mcp_tools is None else tool_routes(mcp_tools.server, body_bytes=self._limits.body_bytes)),
            *form,
            metrics_route(metrics_of(environment)),
            ApiRoute(
                "/reverify_mode",
                self.reverify_mode,
                method="GET",
                summary="Whether stored trajectories can be scored again.",
                answer={"enum": ["stateless", "unsupported", "unknown"]},
            ),
            answer_route(lambda _: self._link, lambda row: typed_columns(row, self._task_type)),
            *map(self._own_route, self._link.routes),
            *([] if self._link.steps else [self._tool_route()]),
        ]

    def _verify_routes(self, row: dict[str, Any]) -> list[ApiRoute]:
        return [
            ApiRoute(
                "/seed_session",
                self.seed_session,
                summary="Begin a rollout: the whole task row.",
                body=row,
                answer={"type": "object"},
            ),
            ApiRoute(
                "/verify",
                self.verify,
                summary="Score a rollout and close its session.",
                body=with_response(row),
                answer=_VERDICT,
                errors={410: _GONE},
            ),
        ]

    def _step_routes(self, row: dict[str, Any]) -> list[ApiRoute]:
        return [
            ApiRoute(
                "/reset",
                self.reset,
                summary="Begin an episode: the whole task row.",
                body=row,
                answer=_OBSERVATION,
            ),
            ApiRoute(
                "/step",
                self.step,
                summary="Apply the model's answer.",
                body=with_response({"type": "object"}),
                answer=_STEP,
                errors={409: _UNSEEDED, 410: _GONE},
            ),
            ApiRoute("/close", self.close, summary="End an episode early.", body={"type": "object"}),
        ]

    def _tool_route(self) -> ApiRoute:
        operations: dict[str, Operation] = {}
        for name, tool in zip(self._tool_names, self._link.tools, strict=True):
            if name in _RESERVED:
                owner = self._link.environment.name()
                raise UsageError(f"{owner}: tool {name!r} can't be served: its route has another meaning")
            operations[f"/{name}"] = Operation(
                summary=tool.get("description") or "",
                body=tool.get("parameters", {}),
                errors={409: _UNSEEDED, 410: _GONE},
                media_type="*/*",
            )
        return ApiRoute("/{tool}", self.tool, operations=operations)

    def _own_route(self, route: BoundRoute) -> ApiRoute:
        async def answer(request: Request) -> JsonResponse:
            body = await read_object(request)
            try:
                form = msgspec.convert(body, route.body)
            except msgspec.ValidationError as error:
                raise InvalidBody.of(error) from None
            return JsonResponse(await self._link.answer(route, form))

        body, schema = msgspec.json.schema(route.body), msgspec.json.schema(route.answer)
        return ApiRoute(route.path, answer, summary=route.summary, body=body, answer=schema)

    async def seed_session(self, request: Request) -> JsonResponse:
        row = await read_object(request)
        allowed = None if self._mcp_tools is None else self._mcp_tools.allowed(row)
        session = await self._open(request.scope, row)
        params: dict[str, Any] = row.get(keys.PARAMS) or {}
        answer: dict[str, Any] = {} if "tools" in params or not session.tools else {"tools": session.tools}
        if self._mcp_tools is not None:
            answer["mcp"] = self._mcp_tools.offer(session_id(request.scope), session, allowed)
        return JsonResponse(answer)

    async def verify(self, request: Request) -> JsonResponse:
        body = await request.body()
        row = await decode_object(body)
        response = response_of(row)
        if self._mcp_tools is not None:
            response = self._mcp_tools.server.own_names(response)
        session = self._find(request.scope)
        if session is None:
            self._check(row)
            task_row = {name: value for name, value in row.items() if name != keys.RESPONSE}
            async with self._link.session(task_row) as session:
                verdict = await self._score(session, response)
        else:
            self._update(session, row)
            try:
                verdict = await self._score(session, response)
            finally:
                await self.sessions.finish(session_id(request.scope))
        if session.cleanup_warning is not None:
            verdict["cleanup_warning"] = session.cleanup_warning
        return echo(body, row, verdict)

    async def tool(self, request: Request) -> HttpResponse:
        name: str = request.path_params["tool"]
        arguments = await request.body() or b"{}"
        await decode_object(arguments)
        session = self._find(request.scope)
        names = {*self._tool_names, *(tool.get("name", "") for tool in (session.tools if session else ()))}
        if name not in names:
            return text_answer(no_such_tool(name, names), 404)
        session = session or await self._open_unseeded(request.scope)
        return text_answer(
            await self._link.call(session, function_call(name, arguments.decode(), call_id=""))
        )

    async def reset(self, request: Request) -> JsonResponse:
        session = await self._open(request.scope, await read_object(request))
        try:
            first = await self._link.reset(session)
        except BaseException:
            await self.sessions.finish(session_id(request.scope))
            raise
        info = {**first.info, "supports_explicit_close": True, "supports_step_idempotency": True}
        return JsonResponse({"observation": first.text, "info": info})

    async def step(self, request: Request) -> JsonResponse:
        row = await read_object(request)
        response = response_of(row)
        number = row.get(keys.STEP_REQUEST_ID)
        if not isinstance(number, str):
            return JsonResponse(await self._step(request.scope, response))
        key = (session_id(request.scope), number)
        return JsonResponse(await self._steps.answer(key, lambda: self._step(request.scope, response)))

    async def close(self, request: Request) -> JsonResponse:
        await self.sessions.finish(session_id(request.scope))
        return JsonResponse({})

    async def reverify_mode(self, _: Request) -> JsonResponse:
        return JsonResponse(reverify_mode(self._link.environment))

    async def _step(self, scope: Scope, response: Response) -> bytes:
        session = self._find(scope)
        if session is None:
            raise HTTPException(409, _UNSEEDED)
        step = await self._link.step(session, response)
        if step.terminated or step.truncated:
            await self.sessions.finish(session_id(scope))
        return encode(step._asdict())

    def _find(self, scope: Scope) -> Session | None:
        """The caller's open session; None when there never was one.

        Raises:
            HTTPException: 410 when there was one, here or before a restart: a new session in its place would
                score a fresh state. The cookie remembers this until the caller seeds again.
        """
        session = self.sessions.find(session_id(scope))
        if session is None and (_SEEDED in scope["session"] or cookie_refused(scope)):
            scope["session"][_SEEDED] = True
            raise HTTPException(410, _GONE)
        return session

    async def _open(self, scope: Scope, row: Row) -> Session:
        self._check(row)
        session = await self.sessions.open(session_id(scope), row)
        scope["session"][_SEEDED] = True
        return session

    async def _open_unseeded(self, scope: Scope) -> Session:
        """A session of an empty row, for a tool call without a session."""
        try:
            return await self._open(scope, {})
        except (InvalidBody, EnvironmentFault):
            raise HTTPException(409, _UNSEEDED) from None

    def _check(self, row: Row) -> Task:
        """The typed task of a row.

        Raises:
            InvalidBody: the row does not fit the environment.
        """
        try:
            return msgspec.convert(row, self._task_type)
        except msgspec.ValidationError as error:
            raise InvalidBody.of(error) from None

    def _update(self, session: Session, row: Row) -> None:
        """Let the fields of the row in a `/verify` replace those of the seeded row."""
        new_row = {**session.row, **row}
        del new_row[keys.RESPONSE]
        if new_row != session.row:
            session.task = self._check(new_row)
            session.row = new_row

    async def _score(self, session: Session, response: Response) -> dict[str, Any]:
        try:
            return _columns(await self._link.verify(session, response))
        except JudgeFailed as error:
            return {keys.REWARD: 0.0, **judge_failure(error), **session.columns}


def _columns(reward: Reward) -> dict[str, Any]:
    columns = {name: value for name, value in reward.details.items() if name not in keys.RESERVED}
    columns[keys.REWARD] = reward.value
    if reward.components is not None:
        columns[keys.REWARD_COMPONENTS] = reward.components
    return columns


_SEEDED: Final = "seeded"
"""In the cookie of a caller that has opened a session."""
_GONE: Final = (
    "this session is not open any more: it was verified, lay unused too long, or the server restarted"
)
_UNSEEDED: Final = "there is no session yet: POST the task row first and send the cookie of the answer along"
_RESERVED: Final = frozenset({"seed_session", "verify", "aggregate_metrics", "reverify_mode", "mcp"})
_REWARD: Final = {"type": "number"}
_VERDICT: Final = {"type": "object", "properties": {keys.REWARD: _REWARD}, "required": [keys.REWARD]}
_OBSERVATION: Final = {
    "type": "object",
    "properties": {"observation": {"type": ["string", "null"]}, "info": {"type": "object"}},
    "required": ["observation", "info"],
}
_STEP: Final = {
    "type": "object",
    "properties": {
        "observation": {"type": ["string", "null"]},
        "reward": _REWARD,
        "terminated": {"type": "boolean"},
        "truncated": {"type": "boolean"},
        "info": {"type": "object"},
    },
    "required": ["observation", "reward", "terminated", "truncated", "info"],
}
