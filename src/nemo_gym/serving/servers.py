"""`Servers`: starts and stops all servers of a launch, in this process and in children."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from starlette.applications import Starlette

from nemo_gym.config.instances import Instance
from nemo_gym.runs.collect import innermost
from nemo_gym.serving.components import Components
from nemo_gym.serving.fork_server import ForkServer
from nemo_gym.serving.head import HEAD, ServerInstance, head_app
from nemo_gym.serving.health import check_health
from nemo_gym.serving.host import Host
from nemo_gym.serving.launch import Launch
from nemo_gym.serving.programs import NeedsOwnProcess, Program, in_thread
from nemo_gym.serving.redaction import RedactedFile, Redactor
from nemo_gym.serving.requirements import unmet
from nemo_gym.serving.server_process import ServerProcess, child_environment
from nemo_gym.serving.sockets import http_url, reachable
from nemo_gym.serving.virtualenvs import python_for, virtualenvs_in
from nemo_gym.wire.errors import GymError


class StartFailed(GymError):
    """A server did not come up."""


class Servers:
    """The servers of one launch, in this process and in children.

    Args:
        on_end: called with a child process that has ended unexpectedly, and its exit code.
    """

    def __init__(self, launch: Launch, *, on_end: Callable[[ServerProcess, int], None]) -> None:
        self.waiting: set[str] = set()
        """Names of the servers that are being started."""
        self._launch = launch
        self._on_end = on_end
        self._instances = launch.instances
        self._programs = {name: launch.program(name) for name in self._instances}
        components = {name for name, program in self._programs.items() if program is None}
        self._options = launch.app_options()
        here = frozenset(set[str]() if launch.isolate else components)
        self._components = Components(self._instances, here, self._options)
        self._host = Host(self._options.host_names, header_bytes=self._options.limits.header_bytes)
        self._shared_programs: list[Program] = []
        self._loading = asyncio.Lock()
        self._forks: ForkServer | None = None
        self._children: dict[str, ServerProcess] = {}
        self._watching: list[asyncio.Task[None]] = []
        self._redactor = Redactor(launch.secrets)

    @property
    def running(self) -> list[ServerInstance]:
        """Every server except the head server."""
        return [self._running(instance) for instance in self._instances.values()]

    @property
    def head_url(self) -> str:
        """The head server's address, as this machine reaches it."""
        head = self._launch.tree[HEAD]
        return http_url(reachable(head["host"]), head["port"])

    async def start(self) -> None:
        """Start every server and wait until all answer.

        Programs with their own process all start at once; other agents start after the servers they use.

        Raises:
            StartFailed: a server did not come up. Every server is stopped again.
        """
        launch = self._launch
        if self._options.profile:
            self._options.profile.start()
        try:
            app = head_app(launch.tree, lambda: self.running, self._options)
            await self._host.serve(HEAD, app, launch.listener(HEAD))
            apart = self._with_own_process
            if len(apart) > 1 and not launch.isolate and sys.platform == "linux":
                self._forks = ForkServer(child_environment(launch.token))
            for stage in (self._others | apart, self._agents - apart):
                self.waiting = set(stage)
                async with asyncio.TaskGroup() as group:
                    for name in stage:
                        group.create_task(self._start(name))
        except Exception as error:
            await self.stop(grace_s=1.0)
            raise innermost(error) from None
        except BaseException:
            await self.stop(grace_s=1.0)
            raise

    async def stop(self, *, grace_s: float | None = None) -> None:
        """Stop every server: agents first, so that their rollouts can finish; the head server last.

        Args:
            grace_s: seconds for requests in flight; None for those of the launch.
        """
        ends = monotonic() + (self._launch.grace_s if grace_s is None else grace_s)
        for task in self._watching:
            task.cancel()
        for stage in (self._agents, self._others, {HEAD}):
            remaining_s = max(0.0, ends - monotonic())
            children = [child for name, child in self._children.items() if name in stage]
            await asyncio.gather(
                self._host.stop(stage, grace_s=remaining_s),
                *(child.stop(grace_s=remaining_s + _CHILD_S) for child in children),
            )
        if self._forks is not None:
            await self._forks.close()
        await self._components.aclose()
        for program in self._shared_programs:
            program.forget()
        self._launch.release()
        if self._options.profile:
            self._options.profile.stop()

    async def unreachable(self) -> list[str]:
        """The problems with the model endpoints of this process, a line each."""
        return await self._components.unreachable()

    @property
    def _agents(self) -> set[str]:
        return {one.name for one in self._instances.values() if one.kind == "responses_api_agents"}

    @property
    def _with_own_process(self) -> set[str]:
        """Names of the programs with their own process."""
        programs = {name for name, program in self._programs.items() if program is not None}
        return {name for name in programs if self._launch.isolate or not self._instances[name].share}

    @property
    def _others(self) -> set[str]:
        return self._instances.keys() - self._agents

    async def _start(self, name: str) -> None:
        began = monotonic()
        try:
            if await self._host_program(name):
                pass
            elif self._launch.isolate or self._programs[name] is not None:
                await self._start_child(name)
            else:
                async with self._loading:
                    app = await self._components.app(name)
                await self._host.serve(name, app, self._launch.listener(name))
        except (GymError, OSError) as error:
            raise StartFailed(f"{name} did not start ({monotonic() - began:.1f} s): {error}") from error
        self.waiting.discard(name)

    async def _host_program(self, name: str) -> bool:
        """Serve a program with `share: true` in this process. False when it needs its own process; the log
        has the reason.

        Raises:
            GymError: it does not start.
        """
        launch, program = self._launch, self._programs[name]
        if program is None or name in self._with_own_process:
            return False
        try:
            if missing := unmet(program.parent):
                raise NeedsOwnProcess(f"it needs {', '.join(missing)}")
            async with self._loading, asyncio.timeout(launch.ready_s):
                app = await self._load(name, program)
        except NeedsOwnProcess as error:
            log.warning("%s runs in a process of its own: %s", name, error)
            return False
        except TimeoutError:
            raise GymError("it is still being loaded") from None
        await self._serve_program(name, app)
        return True

    async def _load(self, name: str, file: Path) -> Starlette:
        """Load a program. Nothing else is loaded meanwhile, because imports affect the whole process."""
        program = Program(file, RedactedFile(Path(self._launch.logs) / f"{name}.log", self._redactor))
        app = await in_thread(lambda: program.app(name, self._launch.tree, self._options))
        self._shared_programs.append(program)
        return app

    async def _serve_program(self, name: str, app: Starlette) -> None:
        launch = self._launch
        try:
            async with asyncio.timeout(launch.ready_s):
                await self._host.serve(name, app, launch.listener(name))
        except TimeoutError:
            raise GymError("its lifespan has not begun") from None
        except Exception as error:
            raise GymError(f"its lifespan raised {type(error).__name__}: {error}") from error
        self._components.program_apps[name] = app

    async def _start_child(self, name: str) -> None:
        launch, program = self._launch, self._programs[name]
        own = launch.only(name if program is None else "")
        child = ServerProcess(name, Path(launch.logs) / f"{name}.log", self._redactor)
        forks = None if program is None else self._forks
        if program is not None and (launch.isolate or unmet(program.parent)):
            child.python = await python_for(program.parent, virtualenvs_in(launch.tree["cache_dir"]))
            forks = None
        self._children[name] = child
        await child.start(own, forks=forks, folder=str(program.parent) if program else "")
        end = asyncio.create_task(child.wait())
        answers = asyncio.create_task(self._answers(self._instances[name]))
        try:
            async with asyncio.timeout(launch.ready_s):
                await asyncio.wait({end, answers}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            why = f"it does not answer at {self._instances[name].url}. Its last output:{child.last_lines}"
            raise GymError(why) from None
        finally:
            answers.cancel()
            if not answers.done():
                end.cancel()
        if end.done():
            raise GymError(f"it ended with exit code {end.result()}. Its last output:{child.last_lines}")
        launch.listener(name).close()
        self._watching.append(asyncio.create_task(self._watch(child, end)))

    async def _answers(self, instance: Instance) -> None:
        """Wait until the server answers; it may be one of another package."""
        url, pause = http_url(reachable(instance.host), instance.port), 0.02
        while await check_health(url, self._options.token, within=5.0) != "success":
            await asyncio.sleep(pause)
            pause = min(0.5, pause * 1.5)

    async def _watch(self, child: ServerProcess, end: asyncio.Task[int]) -> None:
        self._on_end(child, await end)

    def _running(self, instance: Instance) -> ServerInstance:
        program, child = self._programs[instance.name], self._children.get(instance.name)
        return ServerInstance(
            process_name=instance.name,
            server_type=instance.kind,
            name=instance.implementation,
            dir_path=None if program is None else str(program.parent),
            entrypoint=instance.entrypoint,
            host=instance.host,
            port=instance.port,
            pid=os.getpid() if child is None else child.pid,
            start_time=self._launch.started_at,
        )


log: Final = logging.getLogger(__name__)
_CHILD_S: Final = 3.0
"""Seconds that a child may take beyond the grace that it gives its own requests."""
