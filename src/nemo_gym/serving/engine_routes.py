"""The extra route of a model server that runs its own engine."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import BaseRoute

from nemo_gym.models.base import Model
from nemo_gym.models.local_vllm import engine_of
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.wire.errors import ModelError


def engine_routes(model: Model) -> list[BaseRoute]:
    """`/get_inner_vllm_config`, which answers with the address of the engine once it is ready. The engine is
    started. No routes without an engine."""
    engine = engine_of(model)
    if engine is None:
        return []
    engine.begin()

    async def access(_: Request) -> JsonResponse:
        try:
            await engine.check()
        except ModelError as error:
            return JsonResponse(str(error), 503)
        return JsonResponse(engine.access)

    summary = "The address of the engine, for servers that share it."
    return [
        ApiRoute(
            "/get_inner_vllm_config",
            access,
            method="GET",
            summary=summary,
            answer={"type": "object"},
            errors={503: "The engine ended, or took too long"},
        )
    ]
