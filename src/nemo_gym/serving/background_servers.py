"""The servers of a launch in a thread of their own, for programs that have no event loop to give."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic
from typing import Final

from nemo_gym.runs.loop import allow_many_files, new_event_loop
from nemo_gym.serving.head import Running
from nemo_gym.serving.launch import Launch
from nemo_gym.serving.server_process import ServerProcess
from nemo_gym.serving.servers import Servers, StartFailed
from nemo_gym.wire.errors import GymError


class ServerEnded(GymError, RuntimeError):
    """A server ended though nobody asked it to."""


class BackgroundServers:
    """Servers that run until `stop`. Its methods block; any thread may call them.

    Args:
        models_within: seconds that the endpoints behind the models have to answer, once the servers do; 0
            doesn't ask them.
    """

    def __init__(self, launch: Launch, *, models_within: float = 0.0) -> None:
        self._launch = launch
        self._models_within = models_within
        self._up: Future[list[Running]] = Future()
        self._ended: list[str] = []
        self._runner = asyncio.Runner(loop_factory=new_event_loop)
        self._loop = self._runner.get_loop()
        self._serving = self._loop.create_task(self._serve())
        self._thread = threading.Thread(target=self._run, name="nemo-gym-servers", daemon=True)

    def start(self) -> list[Running]:
        """Start everything; when this returns every server answers.

        Raises:
            StartFailed: a server did not come up, or no model endpoint answered in time. Nothing is left of
                what was started.
        """
        allow_many_files()
        self._thread.start()
        try:
            return self._up.result()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Make sure that everything still runs.

        Raises:
            ServerEnded: something doesn't, with the last that it printed.
        """
        if self._ended:
            raise ServerEnded(self._ended[0])
        if not self._thread.is_alive():
            raise ServerEnded("the servers have been stopped")

    def stop(self) -> None:
        """Stop everything and wait until it has stopped; requests in flight have the launch's grace."""
        with suppress(RuntimeError):  # the loop is closed: they have stopped
            self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join()

    def _run(self) -> None:
        with self._runner, suppress(asyncio.CancelledError):
            try:
                self._loop.run_until_complete(self._serving)
            except Exception as error:
                if not self._up.done():
                    self._up.set_exception(error)
                self._ended.append(f"the servers have ended: {error}")
            finally:
                if not self._up.done():
                    self._up.set_exception(StartFailed("stopped before the servers were up"))

    async def _serve(self) -> None:
        servers = Servers(self._launch, lost=self._note)
        await servers.start()
        try:
            await self._models_answer(servers)
            self._up.set_result(servers.running)
            await asyncio.Event().wait()
        finally:
            await servers.stop()

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
        self._ended.append(text)


_PAUSE_S: Final = 0.5
log: Final = logging.getLogger(__name__)
