"""The base of every server: liveness, its description, sessions, error forms, limits and the token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Lifespan

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.auth import BearerAuth
from nemo_gym.serving.docs_page import docs_page
from nemo_gym.serving.errors import ErrorForms, on_http_error
from nemo_gym.serving.limits import LimitRequests
from nemo_gym.serving.openapi import ApiRoute, openapi_document
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.rollout_prefix import RolloutPrefix
from nemo_gym.serving.sessions import SessionCookie


def base_app(
    label: str,
    routes: Sequence[BaseRoute],
    options: AppOptions,
    *,
    lifespan: Lifespan[Starlette] | None = None,
    about: Mapping[str, Any] | None = None,
    file_bytes: int = 0,
) -> Starlette:
    """An app with these routes, and the routes and middleware of every server.

    Args:
        label: `ClassName___instance_name` (see `server_label`); names the cookie, and the server in errors.
        routes: tried in order, after those of every server; an `ApiRoute` is in the OpenAPI document.
        about: facts for clients, as `x-nemo-gym` in the document's `info`.
        file_bytes: the largest body that is a file; 0 where bodies are JSON only.
    """
    own = [ApiRoute("/", live, method="GET", summary="Whether the server is up.", answer=_STATUS)]
    document = openapi_document(label, [*own, *routes], about or {})

    async def openapi(_: Request) -> JsonResponse:
        return JsonResponse(document)

    async def docs(_: Request) -> HTMLResponse:
        return docs_page(document)

    profile = options.profile
    token = [] if options.token is None else [Middleware(BearerAuth, token=options.token)]
    return Starlette(
        routes=[
            *own,
            ApiRoute("/openapi.json", openapi, method="GET", summary="This document."),
            Route("/docs", docs, methods=["GET"]),
            *([] if profile is None else [Route("/stats", profile.stats, methods=["GET"])]),
            *routes,
        ],
        middleware=[  # outermost first
            *token,
            Middleware(RolloutPrefix),
            Middleware(SessionCookie, label=label, secret=options.cookie_secret),
            Middleware(ErrorForms, label=label),
            Middleware(LimitRequests, limits=options.limits, file_bytes=file_bytes),
        ],
        exception_handlers={HTTPException: on_http_error},
        lifespan=lifespan,
    )


def server_label(component: object, name: str) -> str:
    """The name of a server in cookies and errors: its class and its instance."""
    return f"{type(component).__name__}___{name}"


async def live(_: Request) -> JsonResponse:
    """Liveness: answered by every server."""
    return JsonResponse({"status": "ok"})


_STATUS = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
