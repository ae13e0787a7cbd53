"""`Model`: anything that turns request parameters into a Response."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class Model(ABC):
    """A stateless back end. Use it as an async context manager, or call `aclose` when done."""

    name: str = ""
    """The model's name, as the endpoint knows it."""
    pushbacks: int = 0
    """How often the endpoint has said "slower" so far (429s and timeouts); adaptive concurrency reads it."""

    @abstractmethod
    async def responses(self, params: RequestParams) -> Response:
        """One model call.

        `params["metadata"]["extra_body"]`, a JSON object as text, holds what the Responses API has no field
        for (`seed`, engine options); a back end that can't honour a key ignores it.

        Raises:
            ModelError: the call failed and its retry budget is spent. A prompt that no longer fits the
                context window is not an error: the Response is empty and incomplete.
        """

    async def aclose(self) -> None:
        """Release connections and memory."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
