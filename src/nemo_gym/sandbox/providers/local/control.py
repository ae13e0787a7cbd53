"""The provider's end of a supervisor's control socket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from nemo_gym.sandbox.errors import InvalidSandbox, SandboxCreateError, SandboxStopped
from nemo_gym.sandbox.providers.local.groups import Group
from nemo_gym.sandbox.providers.local.inside.channel import PACKET_BYTES, receive
from nemo_gym.sandbox.providers.local.landlock import rulesets
from nemo_gym.sandbox.providers.local.launch import Launched, launch
from nemo_gym.sandbox.providers.local.syscalls import filter_program, strict_filter
from nemo_gym.support.finishing import finish, obtain

log: Final = logging.getLogger(__name__)

MARK: Final = "NEMO_GYM_SANDBOX_RUN"
"""A variable in the environment of every program. The processes that it started have it too."""

_STOP_S: Final = 5.0
_LONGEST: Final = PACKET_BYTES // 2


class End(NamedTuple):
    """The end of a program, and the resources of it and of the children that it waited for (wait4(2))."""

    code: int
    """The exit code; 128 + the signal's number when a signal killed it."""
    cpu_s: float
    peak_kib: int
    """The resident memory of the largest of them."""
    excess: str = ""
    """`memory` or `files` if everything was killed because the sandbox had too much of it."""
    signal: int | None = None
    """The signal that killed it."""


@dataclass(frozen=True, slots=True)
class Run:
    """A running program."""

    number: int
    mark: str
    end: asyncio.Future[End]
    """Await it behind a shield."""


class Control:
    """One supervisor: requests go to it, and its answers come back."""

    def __init__(self, launched: Launched, group: Group | None) -> None:
        self.group = group
        """The control group of the programs, while they can join it."""
        self._process, self._channel, self._errors = launched
        self._own_group = group
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[tuple[dict[str, Any], list[int]]]] = {}
        self._ends: dict[int, asyncio.Future[End]] = {}
        self._greeting: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._writing = asyncio.Lock()
        self._ready_to_write: asyncio.Future[None] | None = None
        self._loop.add_reader(self._channel.fileno(), self._read)

    @classmethod
    async def start(cls, plan: dict[str, Any], group: Group | None = None) -> Self:
        """A supervisor that is ready.

        Args:
            plan: the first message, with `jail` and `landlock` beside it.
            group: a control group for the programs, which ends with the supervisor.

        Raises:
            SandboxCreateError: it can't carry out the plan.
        """
        try:
            # A start that breaks off can leave a process behind, so it goes on to its end.
            control = await obtain(cls._launch(plan["jail"], group), cls._abandon)
        except OSError as error:
            raise SandboxCreateError(f"the sandbox's supervisor can't be started: {error}") from error
        with control._errors as errors:
            try:
                await control._greet(plan)
            except BaseException as error:
                await control.close()
                if isinstance(error, SandboxStopped):
                    errors.seek(0)
                    why = errors.read(500).decode("utf-8", "replace").strip() or "it ended at its start"
                    raise SandboxCreateError(f"the sandbox's supervisor can't be started: {why}") from error
                if isinstance(error, OSError):
                    raise SandboxCreateError(f"the sandbox can't be isolated: {error}") from error
                raise
        return control

    @classmethod
    async def _launch(cls, jail: dict[str, Any] | None, group: Group | None) -> Self:
        return cls(await launch(jail), group)

    async def _abandon(self) -> None:
        with self._errors:
            await self.close()

    async def _greet(self, plan: dict[str, Any]) -> None:
        """Send the plan, and return when the supervisor is ready.

        Raises:
            OSError: a rule or a descriptor can't be created.
            SandboxCreateError: the supervisor can't carry out the plan.
            SandboxStopped: it has ended.
        """
        jailed, rules = plan["jail"] is not None, plan["landlock"]
        filter = "" if jailed else filter_program(self._process.pid).hex()
        if rules is not None:
            filter = strict_filter(self._process.pid, **rules["filter"]).hex()
        with ExitStack() as stack:
            files: dict[str, int] = {}
            if rules is not None or self.group is not None:
                files = await finish(asyncio.to_thread(_open_files, stack, rules, self.group))
            message = {
                **plan, "jail": None, "landlock": None,
                "jailed": jailed, "filter": filter, "files": list(files),
            }  # fmt: skip
            await self._send(message, list(files.values()))
        greeting = await self._greeting
        if "failed" in greeting:
            raise SandboxCreateError(str(greeting["failed"])[:500])
        if not greeting["grouped"]:
            self.group = None

    @property
    def running(self) -> bool:
        """Whether the sandbox runs."""
        return self._process.returncode is None and self._channel.fileno() >= 0

    async def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        fds: Sequence[int],
        *,
        tty: bool = False,
    ) -> Run:
        """Start a program on three descriptors.

        Raises:
            OSError: it can't be started.
            SandboxStopped: the sandbox is gone.
        """
        mark = uuid.uuid4().hex
        request = {"op": "run", "argv": list(argv), "env": {**env, MARK: mark}, "cwd": cwd, "tty": tty}
        return await self._begin(request, fds, mark)

    async def run_python(self, env: Mapping[str, str], memory: int, fds: Sequence[int]) -> Run:
        """Start a program in a fork of a warm supervisor.

        Args:
            env: its variables.
            memory: bytes for the whole sandbox.
            fds: its input, its outputs, and a file with the program.

        Raises:
            OSError: it can't be started.
            SandboxStopped: the sandbox is gone.
        """
        request = {"op": "python", "env": dict(env), "memory": memory, "cwd": None, "tty": False}
        return await self._begin(request, fds, "")

    async def reset(self) -> bool:
        """Kill everything and delete all files of a warm sandbox. Return whether it is as new."""
        answer, _ = await self._ask({"op": "reset"})
        return bool(answer.get("clean"))

    async def _begin(self, request: dict[str, Any], fds: Sequence[int], mark: str) -> Run:
        run = Run(next(self._numbers), mark, self._loop.create_future())
        self._ends[run.number] = run.end
        try:
            await self._ask(request, fds, run.number)
        except BaseException as error:
            self._ends.pop(run.number, None)
            if isinstance(error, asyncio.CancelledError):
                await self.kill(run)
            raise
        return run

    async def signal(self, run: Run, number: int) -> None:
        """Send a signal to a program's process group."""
        await self._ask({"op": "signal", "run": run.number, "number": number})

    async def kill(self, run: Run) -> None:
        """Kill a program, and what it started. What can't be killed now ends with the sandbox."""
        try:
            await self._ask({"op": "kill", "run": run.number, "mark": f"{MARK}={run.mark}"})
        except SandboxStopped:
            pass  # nothing is left to be killed
        except OSError as error:
            log.warning("a command can't be killed before its sandbox ends: %s", error)

    async def open(self, path: str, *, write: bool = False) -> int:
        """A descriptor of a regular file inside.

        Raises:
            OSError: it can't be opened.
        """
        return await self._ask_fd({"op": "open", "path": path, "write": write})

    async def socket(self) -> socket.socket:
        """A TCP socket in the sandbox's network."""
        return socket.socket(fileno=await self._ask_fd({"op": "socket"}))

    async def clear(self) -> None:
        """Kill everything in the sandbox. It can be used again."""
        await self._ask({"op": "clear"})

    async def close(self) -> None:
        """End the supervisor, and with it everything in the sandbox."""
        self._gone()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        finally:
            if self._own_group is not None:
                await finish(asyncio.to_thread(self._own_group.remove))

    async def _ask_fd(self, request: dict[str, Any]) -> int:
        _, fds = await self._ask(request)
        if len(fds) != 1:
            _close_all(fds)
            raise SandboxStopped("the sandbox's supervisor sent no descriptor")
        return fds[0]

    async def _ask(
        self, request: dict[str, Any], fds: Sequence[int] = (), number: int | None = None
    ) -> tuple[dict[str, Any], list[int]]:
        number = next(self._numbers) if number is None else number
        future = self._answers[number] = self._loop.create_future()
        try:
            await self._send({"id": number, **request}, fds)
            answer, descriptors = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                _close_all(future.result()[1])  # they came in the same instant
            raise
        finally:
            self._answers.pop(number, None)
        if "errno" in answer:
            raise OSError(answer["errno"], answer.get("error"))
        return answer, descriptors

    async def _send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        data = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if len(data) > _LONGEST:
            raise InvalidSandbox(
                f"command and environment are {len(data)} bytes; at most {_LONGEST} can be sent"
            )
        async with self._writing:
            while self._channel.fileno() >= 0:
                try:
                    socket.send_fds(self._channel, [data], fds)
                except BlockingIOError:
                    await self._writable()
                except OSError:
                    break
                else:
                    return
        self._gone()
        raise SandboxStopped("the sandbox is gone: its time is over or it was killed")

    async def _writable(self) -> None:
        ready = self._ready_to_write = self._loop.create_future()
        self._loop.add_writer(self._channel.fileno(), lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            if self._channel.fileno() >= 0:
                self._loop.remove_writer(self._channel.fileno())

    def _read(self) -> None:
        try:
            data, fds = receive(self._channel)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._gone()
            return
        message = json.loads(data)
        if "ended" in message:
            end = self._ends.pop(message["ended"], None)
            if end is not None and not end.done():
                number = -message["code"] if message["code"] < 0 else None
                code = message["code"] if number is None else 128 + number
                end.set_result(End(code, message["cpu_s"], message["peak_kib"], message["excess"], number))
            return
        waiting = self._answers.get(message["id"]) if "id" in message else self._greeting
        if waiting is None or waiting.done():
            _close_all(fds)
        elif waiting is self._greeting:
            self._greeting.set_result(message)
        else:
            self._answers[message["id"]].set_result((message, fds))

    def _gone(self) -> None:
        if self._channel.fileno() < 0:
            return
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        if self._ready_to_write is not None and not self._ready_to_write.done():
            self._ready_to_write.set_result(None)
        for waiting in (self._greeting, *self._answers.values(), *self._ends.values()):
            if not waiting.done():
                waiting.set_exception(
                    SandboxStopped("the sandbox is gone: its time is over or it was killed")
                )
                waiting.exception()  # for some of them nobody waits


def _open_files(stack: ExitStack, rules: dict[str, Any] | None, group: Group | None) -> dict[str, int]:
    """The descriptors of the rules of Landlock, and of a control group.

    Raises:
        OSError: one can't be created.
    """
    files: dict[str, int] = {}
    if rules is not None:
        files |= stack.enter_context(rulesets(**rules["rulesets"]))
    if group is not None:
        files |= stack.enter_context(group.files())
    return files


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
