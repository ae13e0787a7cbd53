"""The routes that NeMo Evaluator 0.3 reads benchmarks from (`gym://HOST:PORT`).

They have the paths of our own `/seed_session` and `/verify` with other bodies, so they are an app of their
own. None of them is in the OpenAPI document, in which Evaluator looks for tools.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.bodies import read_object
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.host import Host
from nemo_gym.serving.options import AppOptions
from nemo_gym.siblings.evaluator.tasks import INDEX, EvaluatorTasks
from nemo_gym.wire.errors import RolloutError, UsageError

KEEP_ALIVE_S: Final = 120
"""Seconds until an idle connection is closed. Evaluator scores a rollout 0 that finds it closed."""


def gateway_app(tasks: EvaluatorTasks, options: AppOptions | None = None) -> Starlette:
    """The app of an environment's tasks, which it opens and closes."""
    name = tasks.source.environment

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with tasks:
            yield

    async def health(_: Request) -> JsonResponse:
        state = {"benchmark": name, "dataset_size": len(tasks.rows), "protocol": "evaluator"}
        return JsonResponse({"status": "ok", **state})

    async def dataset_size(_: Request) -> JsonResponse:
        return JsonResponse({"size": len(tasks.rows)})

    async def seed_session(request: Request) -> JsonResponse:
        body = await _read(request, _SeedBody)
        try:
            return JsonResponse(tasks.seed(body.idx))
        except UsageError as error:
            raise HTTPException(400, str(error)) from None

    async def verify(request: Request) -> JsonResponse:
        body = await _read(request, _VerifyBody)
        number = body.metadata.get(INDEX)
        if type(number) is not int:
            raise HTTPException(422, f"metadata.{INDEX}: required, as the answer of /seed_session has it")
        try:
            return JsonResponse(await tasks.verify(number, body.response))
        except RolloutError as error:
            raise HTTPException(502, f"{error.failure_class}: {error}") from None
        except UsageError as error:
            raise HTTPException(400, str(error)) from None

    routes = [
        Route("/health", health, methods=["GET"]),
        Route("/dataset_size", dataset_size, methods=["GET"]),
        Route("/seed_session", seed_session, methods=["POST"]),
        Route("/verify", verify, methods=["POST"]),
    ]
    about = {"kind": "evaluator", "name": name}
    return base_app(f"Evaluator___{name}", routes, options or AppOptions(), lifespan=lifespan, about=about)


def gateway_host() -> Host:
    """Serves the app so that idle connections of Evaluator stay open."""
    return Host(keep_alive_s=KEEP_ALIVE_S)


class _SeedBody(msgspec.Struct):
    idx: int = 0


class _VerifyBody(msgspec.Struct):
    response: str
    expected: str = ""
    metadata: dict[str, Any] = {}


async def _read(request: Request, kind: Any) -> Any:
    try:
        return msgspec.convert(await read_object(request), kind)
    except msgspec.ValidationError as error:
        raise InvalidBody.of(error) from None
