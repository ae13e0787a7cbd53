"""The bearer token that a server bound beyond loopback asks for."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.secrets import Secret


class BearerAuth:
    """ASGI middleware: 401 on every route unless the request carries the token.

    As `Authorization: Bearer <token>`, or as `x-api-key: <token>`, which is how Anthropic's clients send a
    key.
    """

    def __init__(self, app: ASGIApp, *, token: Secret) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._admits(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = JsonResponse({"detail": "a valid bearer token is needed"}, 401, _CHALLENGE)
            await answer(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        return any(self.token.matches(token) for token in _given(scope))


_CHALLENGE = {"www-authenticate": "Bearer"}


def _given(scope: Scope) -> list[str]:
    tokens: list[str] = []
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        if name == b"authorization" and text[:7].lower() == "bearer ":
            tokens.append(text[7:].strip())
        elif name == b"x-api-key":
            tokens.append(text)
    return tokens
