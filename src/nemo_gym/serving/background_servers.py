"""Runs the servers of a launch in a thread, for programs without an event loop."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from nemo_gym.runs.loop import allow_many_files, new_event_loop
from nemo_gym.serving.head import ServerInstance
from nemo_gym.serving.launch import Launch
from nemo_gym.serving.server_process import ServerProcess
from nemo_gym.serving.servers import Servers, StartFailed
from nemo_gym.support.loop_thread import LoopThread
from nemo_gym.wire.errors import GymError


class ServerEnded(GymError, RuntimeError):
    """A server ended unexpectedly."""


class BackgroundServers:
    """Servers that run until `stop`. Its methods block; any thread may call them.

    Args:
        models_within: seconds to wait for the endpoints of the models, once the servers answer; 0 does not
            wait.
    """

    def __init__(self, launch: Launch, *, models_within: float = 0.0) -> None:
        self._launch = launch
        self._models_within = models_within
        self._up: Future[list[ServerInstance]] = Future()
        self._problems: list[str] = []
        self._loop = LoopThread("nemo-gym-servers", new_event_loop)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> list[ServerInstance]:
        """Start everything; when this returns every server answers.

        Raises:
            StartFailed: a server did not come up, or no model endpoint answered in time. Every server is
                stopped again.
        """
        allow_many_files()
        serving = self._loop.submit(self._serve())
        either: list[Future[Any]] = [self._up, serving]
        try:
            wait(either, return_when=FIRST_COMPLETED)
            if not self._up.done():
                serving.result()
            return self._up.result()
        except CancelledError:
            raise StartFailed("stopped before the servers were up") from None
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Check that every server still runs.

        Raises:
            ServerEnded: a server has ended; the message has its last output.
        """
        if self._problems:
            raise ServerEnded(self._problems[0])
        if self._task is None or self._task.done():
            raise ServerEnded("the servers have been stopped")

    def stop(self) -> None:
        """Stop everything and wait until it has stopped; requests in flight have the launch's grace. In a
        fork of the process that started it, this does nothing."""
        if self._loop.is_inherited:
            return
        with suppress(RuntimeError):  # the loop is closed: they have stopped
            self._loop.run(self._end())
        self._loop.close()

    async def _serve(self) -> None:
        self._task = asyncio.current_task()
        servers = Servers(self._launch, on_end=self._note)
        await servers.start()
        try:
            await self._models_answer(servers)
            self._up.set_result(servers.running)
            await asyncio.Event().wait()
        finally:
            await servers.stop()

    async def _end(self) -> None:
        if self._task is not None:
            if not self._task.cancelling():
                self._task.cancel()
            await asyncio.wait([self._task])

    async def _models_answer(self, servers: Servers) -> None:
        give_up = monotonic() + self._models_within
        is_announced = False
        while self._models_within and (problems := await servers.unreachable()):
            if monotonic() > give_up:
                raise StartFailed(f"after {self._models_within:g} s: {'; '.join(problems)}")
            if not is_announced:
                log.warning("waiting for %s", "; ".join(problems))
                is_announced = True
            await asyncio.sleep(_PAUSE_S)

    def _note(self, child: ServerProcess, code: int) -> None:
        text = f"{child.name} ended with exit code {code}. Its last output:{child.last_lines}"
        log.error("%s", text)
        self._problems.append(text)


_PAUSE_S: Final = 0.5
log: Final = logging.getLogger(__name__)
