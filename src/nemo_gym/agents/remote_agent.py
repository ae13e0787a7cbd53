"""An external agent at `POST {url}/v1/responses` that acts in an environment of this process."""

from __future__ import annotations

import asyncio
from typing import Final

from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.retry import Retry
from nemo_gym.transport.service import Service, refused
from nemo_gym.wire.errors import RemoteAgentError, ServerTimeout, ServerUnreachable, UsageError
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row
from nemo_gym.wire.validation import json_object, read_response

_RETRY: Final = Retry(attempts=3, budget=30.0, base=0.5, cap=5.0)


class RemoteAgent(ToolLoop):
    """The tool loop with an external agent instead of a model. Tool calls that the agent ran itself pass
    through. Calls without an output run here, and then the agent is asked again.

    Args:
        agent_base_url: base URL of the agent; `url` is another name for it.
        token: sent as a bearer token.
        call_timeout: the most seconds of one request.
        rollout_timeout: the most seconds of one rollout, with tools and verifier.
        concurrency: the most requests at the same time.
        max_steps: the most requests in one rollout.
        tool_timeout: the most seconds of one tool call; after that the agent gets an error as its output.
    """

    def __init__(
        self,
        *,
        agent_base_url: str = "",
        url: str = "",
        token: str = "",
        call_timeout: float = 1800.0,
        rollout_timeout: float = 2100.0,
        concurrency: int = 32,
        max_steps: int = 1000,
        tool_timeout: float = 60.0,
    ) -> None:
        if not (base := agent_base_url or url):
            raise UsageError("remote_agent needs agent_base_url, the base URL of the agent").about(
                "agent_url"
            )
        super().__init__(max_steps=max_steps, tool_timeout=tool_timeout)
        self.rollout_timeout = rollout_timeout
        self._service = Service(base, "agent", token=token, timeouts=Timeouts.of(call_timeout), retry=_RETRY)
        self._slots = asyncio.Semaphore(concurrency)

    async def check(self) -> None:
        await self._service.get("/")

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        try:
            async with asyncio.timeout(self.rollout_timeout):
                return await super().run(row, environment, _Conversation(self._service, self._slots))
        except TimeoutError:
            raise RemoteAgentError(f"not finished within {self.rollout_timeout:g} seconds") from None

    async def aclose(self) -> None:
        await self._service.aclose()


class _Conversation(Model):
    """The external agent in one rollout, with the cookies that it sets."""

    def __init__(self, service: Service, slots: asyncio.Semaphore) -> None:
        self._service = service
        self._slots = slots
        self._cookies: dict[str, str] = {}

    async def responses(self, params: RequestParams) -> Response:
        path = "/v1/responses"
        try:
            async with self._slots:
                reply = await self._service.post(path, encode(params), cookies=self._cookies)
        except (ServerTimeout, ServerUnreachable) as error:
            raise RemoteAgentError(str(error)) from None
        if not 200 <= reply.status < 300:
            raise refused(RemoteAgentError, self._service, path, reply)
        try:
            answer = read_response(json_object(reply.content))
            if not answer.output and not answer.incomplete_reason:
                raise ValueError("the output is empty")
        except ValueError as error:
            failure = RemoteAgentError(f"{self._service.url}{path} answered with no Response: {error}")
            failure.terminal = True
            raise failure from None
        return answer
