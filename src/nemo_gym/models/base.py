"""`Model`: anything that turns request parameters into a Response."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from nemo_gym.environments.session import Session
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class Model(ABC):
    """A stateless back end. Use it as an async context manager, or call `aclose` when done."""

    name: str = ""
    """The model's name, as the endpoint knows it."""

    @property
    def pushbacks(self) -> int:
        """How often the back end has said "slower" so far (429s, timeouts); adaptive concurrency reads it."""
        return 0

    @abstractmethod
    async def responses(self, params: RequestParams) -> Response:
        """One model call.

        `params["metadata"]["extra_body"]`, a JSON object as text, holds what the Responses API has no field
        for (`seed`, engine options); a back end that can't honour a key ignores it.

        Raises:
            ModelError: the call failed and its retry budget is spent. A prompt that no longer fits the
                context window is not an error: the Response is empty and incomplete.
        """

    def for_session(self, session: Session) -> Model:
        """The model to hold during one rollout: this one, unless it needs to know the session."""
        return self.for_session_id(session.id)

    def for_session_id(self, session_id: str) -> Model:
        """The same for who knows a session by its id only, such as a server by its cookie."""
        return self

    async def check(self) -> None:  # noqa: B027 - nothing to check is a fine default
        """Fail early, before a run starts, when the back end can't be reached at all.

        Raises:
            GymError: saying what is wrong.
        """

    async def aclose(self) -> None:  # noqa: B027 - nothing to release is a fine default
        """Release connections and memory."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
