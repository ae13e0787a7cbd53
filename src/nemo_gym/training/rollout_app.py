"""The rollout service over HTTP.

| Route | |
|---|---|
| `POST /tasks` | `{"split", "n"}`: tasks of the environment itself |
| `POST /batches` | `{"id", "tasks", "repeats"}`: accept a batch; the same order again changes nothing |
| `GET /batches/ID/groups?after=N` | the groups as NDJSON, from the one after N on, until the batch is over |
| `POST /batches/ID/cancel`, `/delete` | stop it; delete it once everything is read |
| `POST /weight_version` | `{"version"}`: the policy version from now on, which rows have |
| `GET /health` | the version, and how far each batch is |
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.training.batch_files import Order
from nemo_gym.training.rollout_service import Conflict, NoSuchBatch, RolloutService
from nemo_gym.wire.errors import UsageError


class _Version(msgspec.Struct):
    version: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class _Wish(msgspec.Struct):
    split: str = "train"
    n: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100


T = TypeVar("T", bound=msgspec.Struct)


def rollout_app(service: RolloutService, options: AppOptions) -> Starlette:
    """The app of a rollout service, which it starts and stops."""

    async def submit(request: Request) -> Response:
        order = await _read(request, Order)
        try:
            return JsonResponse({"id": order.id, "groups": service.submit(order)})
        except Conflict as error:
            raise HTTPException(409, str(error)) from None
        except UsageError as error:
            raise HTTPException(422, str(error)) from None

    async def tasks(request: Request) -> Response:
        wish = await _read(request, _Wish)
        try:
            return JsonResponse({"tasks": service.tasks(wish.split, wish.n)})
        except UsageError as error:
            raise HTTPException(422, str(error)) from None

    async def groups(request: Request) -> Response:
        text = request.query_params.get("after", "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 12):
            raise HTTPException(
                422, f"after {text[:40]!r}: expected the number of the last group that was read"
            )
        lines = service.read(request.path_params["id"], int(text))
        try:
            first = await anext(lines)
        except NoSuchBatch as error:
            raise HTTPException(404, str(error)) from None
        return StreamingResponse(_with_first(first, lines), media_type="application/x-ndjson")

    async def cancel(request: Request) -> Response:
        try:
            await service.cancel(request.path_params["id"])
        except NoSuchBatch as error:
            raise HTTPException(404, str(error)) from None
        return JsonResponse({})

    async def delete(request: Request) -> Response:
        await service.delete(request.path_params["id"])
        return JsonResponse({})

    async def set_version(request: Request) -> Response:
        service.set_version((await _read(request, _Version)).version)
        return JsonResponse({"version": service.version})

    async def health(_: Request) -> Response:
        return JsonResponse(service.state())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.aclose()

    json = {"type": "object"}
    routes = [
        ApiRoute("/tasks", tasks, summary="Tasks of the environment itself.", body=json),
        ApiRoute("/batches", submit, summary="Accept a batch.", body=json, errors={409: "Its id is taken."}),
        ApiRoute("/batches/{id}/groups", groups, method="GET", summary="Its groups, as NDJSON."),
        ApiRoute("/batches/{id}/cancel", cancel, summary="Stop a batch.", errors={404: "There is none."}),
        ApiRoute("/batches/{id}/delete", delete, summary="Delete a batch."),
        ApiRoute("/weight_version", set_version, summary="Set the policy version.", body=json),
        ApiRoute("/health", health, method="GET", summary="The version and the batches."),
    ]
    return base_app("RolloutService___rollouts", routes, options, lifespan=lifespan)


async def _with_first(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for line in rest:
        yield line


async def _read(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.ValidationError as error:
        raise InvalidBody.of(error) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidBody.at([], f"JSON decode error: {error}", type="json_invalid") from None
