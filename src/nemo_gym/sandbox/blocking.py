"""A sandbox for code that is not async."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from nemo_gym.sandbox.sandbox import AsyncSandbox, Provider
from nemo_gym.sandbox.spec import SandboxEndpoint, SandboxExecResult, SandboxSpec, SandboxStatus
from nemo_gym.support.loop_thread import LoopThread

T = TypeVar("T")

CALL_LIMIT_S: Final = 3600.0
"""Seconds that any one call may take."""


class Sandbox:
    """`AsyncSandbox` with the same methods, but blocking. An event loop in another thread does the work; the
    thread ends with `stop`.

    ```python
    with Sandbox() as sandbox:
        sandbox.start()
        print(sandbox.exec("echo hello").stdout)
    ```

    Raises:
        RuntimeError: a method is called in a thread with a running event loop, which it would block, or in a
            fork of the process that started it.
    """

    def __init__(self, provider: Provider = "local", spec: SandboxSpec | None = None) -> None:
        self._sandbox = AsyncSandbox(provider, spec)
        self._loop = LoopThread("sandbox")

    def start(self, spec: SandboxSpec | None = None) -> Self:
        self._call(self._sandbox.start(spec))
        return self

    def exec(
        self,
        command: str,
        *,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_s: int | float | None = 180,
        user: str | int | None = None,
    ) -> SandboxExecResult:
        return self._call(self._sandbox.exec(command, cwd=cwd, env=env, timeout_s=timeout_s, user=user))

    def upload(self, local_path: Path | str, remote_path: str) -> None:
        self._call(self._sandbox.upload(local_path, remote_path))

    def download(self, remote_path: str, local_path: Path | str) -> None:
        self._call(self._sandbox.download(remote_path, local_path))

    def status(self) -> SandboxStatus:
        return self._call(self._sandbox.status())

    def endpoint(self, port: int) -> SandboxEndpoint:
        return self._call(self._sandbox.endpoint(port))

    def stop(self) -> None:
        """Stop it and end the thread. In a fork of the process that started it, this does nothing."""
        if self._loop.is_inherited:
            return
        self._check_caller()
        try:
            self._loop.run(self._sandbox.stop(), within=CALL_LIMIT_S)
        finally:
            self._loop.close()
            self._loop = LoopThread("sandbox")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            self._check_caller()
        except RuntimeError:
            work.close()
            raise
        return self._loop.run(work, within=CALL_LIMIT_S)

    def _check_caller(self) -> None:
        if self._loop.is_inherited:
            raise RuntimeError("Sandbox was started in the parent process: make another one in this process")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise RuntimeError("Sandbox would block the running event loop: use AsyncSandbox there")
