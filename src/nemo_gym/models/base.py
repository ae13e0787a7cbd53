"""`Model`: anything that turns request parameters into a Response."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from nemo_gym.environments.session import Session
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class Model(ABC):
    """A stateless back end. Use it as an async context manager, or call `aclose` at the end."""

    name: str = ""
    """The model's name at its endpoint."""
    hides_tokens: str = ""
    """Why its answers can't have token ids, as one line for the user; empty where they may."""

    @property
    def pushbacks(self) -> int:
        """How many calls so far ended with a 429 or a timeout; adaptive concurrency reads it."""
        return 0

    @abstractmethod
    async def responses(self, params: RequestParams) -> Response:
        """One model call.

        `params["metadata"]["extra_body"]`, a JSON object as text, holds fields that the Responses API does
        not have (`seed`, engine options). A back end ignores a key that it does not support.

        Raises:
            ModelError: the call failed and its retry budget is spent. A prompt that is too long for the
                context window is not an error: the Response is empty and incomplete.
        """

    async def ready(self) -> None:  # noqa: B027 - most models are always ready
        """Wait until a call may begin, for a caller that limits the time of a call."""

    def for_session(self, session: Session) -> Model:
        """The model to use during one rollout: this one, unless it needs to know the session."""
        return self.for_session_id(session.id)

    def for_session_id(self, session_id: str) -> Model:
        """The same for a caller that knows only the session's id, such as a server that reads a cookie."""
        return self

    async def check(self) -> None:  # noqa: B027 - nothing to check is a fine default
        """Fail before a run starts when the back end can't be reached.

        Raises:
            GymError: the reason.
        """

    async def aclose(self) -> None:  # noqa: B027 - nothing to release is a fine default
        """Release connections and memory."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class WrappedModel(Model):
    """A model that adds something to the calls of another one, `inner`."""

    def __init__(self, inner: Model) -> None:
        self.inner = inner
        self.name = inner.name
        self.hides_tokens = inner.hides_tokens

    @property
    def pushbacks(self) -> int:
        return self.inner.pushbacks

    async def ready(self) -> None:
        await self.inner.ready()

    def for_session(self, session: Session) -> Model:
        return self._around(self.inner.for_session(session))

    def for_session_id(self, session_id: str) -> Model:
        return self._around(self.inner.for_session_id(session_id))

    async def check(self) -> None:
        await self.inner.check()

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _around(self, inner: Model) -> Model:
        wrapper = copy.copy(self)
        wrapper.inner = inner
        return wrapper
