"""The remote validator of NeMo Data Designer on the servers of existing code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.routing import Route

from nemo_gym.compat.mcp_auto_exposure import api_routes
from nemo_gym.environments.answer_verdict import decoded_columns
from nemo_gym.environments.openapi_description import Description
from nemo_gym.serving.answer_routes import answer_route
from nemo_gym.serving.in_process import AppConnections, AppEnvironment
from nemo_gym.wire import keys
from nemo_gym.wire.task import Row


def own_answer_route(app: FastAPI, *, steps: bool) -> Route:
    """The route of an app, which scores each answer with the app's own `/seed_session` and `/verify`."""
    types = _columns(app)

    def fits(name: str, text: str) -> bool:
        try:
            types[name].validate_python(text)
        except ValidationError:
            return False
        return True

    def typed(row: Row) -> Row:
        return {keys.PARAMS: {"input": []}, **decoded_columns(row, types, fits)}

    return answer_route(lambda request: AppEnvironment(_OfCaller(request), Description(steps=steps)), typed)


class _OfCaller(AppConnections):
    """Calls the app of a request as its caller, who may have to send a token."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.app)
        self._own_headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        self._lifespan_state: Mapping[str, Any] = request.scope.get("state", {})

    async def _state(self) -> Mapping[str, Any]:
        return self._lifespan_state


def _columns(app: FastAPI) -> dict[str, TypeAdapter[Any]]:
    """The columns of a task row, by the bodies of the two routes."""
    kinds = [
        route.body_field.field_info.annotation
        for route in api_routes(app)
        if route.path in ("/seed_session", "/verify") and route.body_field is not None
    ]
    return {
        name: TypeAdapter(cast("Any", field.annotation))
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name, field in kind.model_fields.items()
    }


_PASSED_ON: Final = ("authorization", "host")
