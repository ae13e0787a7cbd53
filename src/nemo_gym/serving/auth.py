"""The bearer token of servers that other machines can reach."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.secrets import Secret


class BearerAuth:
    """ASGI middleware: answers 401 unless the request carries the token.

    Clients send `Authorization: Bearer <token>`, or `x-api-key: <token>` as Anthropic's clients do.
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
        return any(self.token.matches(token) for token in _tokens_of(scope))


_CHALLENGE = {"www-authenticate": "Bearer"}


def _tokens_of(scope: Scope) -> list[str]:
    tokens: list[str] = []
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        if name == b"authorization" and text[:7].lower() == "bearer ":
            tokens.append(text[7:].strip())
        elif name == b"x-api-key":
            tokens.append(text)
    return tokens
