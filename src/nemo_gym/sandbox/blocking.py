"""A sandbox for code that is not async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from nemo_gym.sandbox.sandbox import AsyncSandbox, Provider
from nemo_gym.sandbox.spec import SandboxEndpoint, SandboxExecResult, SandboxSpec, SandboxStatus

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
        RuntimeError: a method is called in a thread with a running event loop, which it would block.
    """

    def __init__(self, provider: Provider = "local", spec: SandboxSpec | None = None) -> None:
        self._sandbox = AsyncSandbox(provider, spec)
        self._worker: _Worker | None = None

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
        try:
            self._call(self._sandbox.stop())
        finally:
            if self._worker is not None:
                self._worker.close()
                self._worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._worker is None:
                self._worker = _Worker()
            return self._worker.call(work)
        work.close()
        raise RuntimeError("Sandbox would block the running event loop: use AsyncSandbox there")


class _Worker:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(CALL_LIMIT_S)
        except TimeoutError:
            if not future.done():
                future.cancel()
                raise TimeoutError(f"sandbox call took more than {CALL_LIMIT_S:g} seconds") from None
            raise
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
