"""OpenAI objects under their original names, and the client with which model servers call an endpoint."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, Final

from aiohttp import ClientResponse
from pydantic import BaseModel, Field

from nemo_gym.compat.client import get_response_json, raise_for_status, request
from nemo_gym.compat.openai_chat import *  # noqa: F403 - this module offers every public name of both
from nemo_gym.compat.openai_items import *  # noqa: F403 # pyright: ignore[reportGeneralTypeIssues] - constants
from nemo_gym.transport.retry import Retry

RATE_LIMIT_ERROR_CODES: Final = [429, 502, 503, 504, 520]
RETRY_ERROR_CODES: Final = [*RATE_LIMIT_ERROR_CODES, 500]
MAX_NUM_TRIES: Final = 3
"""The number of tries of a call that is answered with 500."""
RETRY: Final = Retry()
"""The tries and seconds for the other codes."""


class NeMoGymAsyncOpenAI(BaseModel):
    """Calls an OpenAI-compatible endpoint. Every method returns the decoded JSON of the answer.

    A rate limit or server error is retried within a budget, with growing pauses and after `Retry-After`.
    """

    base_url: str
    api_key: str = Field(repr=False)
    internal: bool = False
    default_headers: dict[str, str] = Field(default_factory=dict, repr=False)

    async def create_models(self) -> Any:
        """`GET /models`."""
        return await self._call("GET", "/models")

    async def create_chat_completion(self, **kwargs: Any) -> dict[str, Any]:
        """`POST /chat/completions`."""
        return await self._call("POST", "/chat/completions", kwargs)

    async def create_completion(self, **kwargs: Any) -> dict[str, Any]:
        """`POST /completions`."""
        return await self._call("POST", "/completions", kwargs)

    async def create_response(self, **kwargs: Any) -> dict[str, Any]:
        """`POST /responses`."""
        return await self._call("POST", "/responses", kwargs)

    async def create_tokenize(self, **kwargs: Any) -> dict[str, Any]:
        """`POST /tokenize`, whose path does not begin with `/v1`."""
        root = self.base_url.rstrip("/").removesuffix("/v1")
        return await self._call("POST", "/tokenize", kwargs, root=root)

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, root: str = ""
    ) -> Any:
        url = (root or self.base_url.rstrip("/")) + path
        headers = {"Authorization": f"Bearer {self.api_key}", **self.default_headers}
        payload: dict[str, Any] = {} if body is None else {"json": body}
        response = await self._request_with_retry(
            method=method, url=url, headers=headers, _internal=self.internal, **payload
        )
        await raise_for_status(response)
        return await get_response_json(response)

    async def _request_with_retry(self, **kwargs: Any) -> ClientResponse:
        give_up = monotonic() + RETRY.budget
        failures = 0
        while True:
            response = await request(**kwargs)
            if response.status not in RETRY_ERROR_CODES:
                return response
            failures += 1
            attempts = MAX_NUM_TRIES if response.status == 500 else RETRY.attempts
            wait = RETRY.wait(failures, _retry_after(response))
            if failures >= attempts or monotonic() + wait > give_up:
                return response
            response.release()
            await asyncio.sleep(wait)


def _retry_after(response: ClientResponse) -> float | None:
    """The seconds of a `Retry-After` header; None for a date, or without the header."""
    try:
        return float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
