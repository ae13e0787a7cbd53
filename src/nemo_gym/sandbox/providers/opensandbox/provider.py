"""The opensandbox provider."""

from __future__ import annotations

import asyncio
import importlib
import logging
import posixpath
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final

from nemo_gym.sandbox.config import attribution_metadata
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxCreateError, SandboxFileError
from nemo_gym.sandbox.providers.container import ProbeConfig, wait_ready
from nemo_gym.sandbox.providers.opensandbox.settings import (
    AttributionConfig,
    ConnectionConfig,
    CreateConfig,
    ExecConfig,
    OperationsConfig,
)
from nemo_gym.sandbox.spec import (
    RUNTIME_FAILURE,
    SandboxEndpoint,
    SandboxExecResult,
    SandboxHandle,
    SandboxSpec,
    SandboxStatus,
    settings_of,
)

log: Final = logging.getLogger(__name__)

_STATES: Final = {
    "pending": SandboxStatus.STARTING,
    "running": SandboxStatus.RUNNING,
    "pausing": SandboxStatus.STOPPED,
    "paused": SandboxStatus.STOPPED,
    "stopping": SandboxStatus.STOPPED,
    "terminated": SandboxStatus.STOPPED,
    "failed": SandboxStatus.ERROR,
}
_PULL_POLICY: Final = ("imagePullPolicy", "opensandbox.extensions.image-pull-policy")
"""The names of the setting with servers of two generations."""
_GRACE_S: Final = 10.0
"""Seconds beyond a command's time limit in which the server kills it."""


class OpenSandboxProvider:
    """Sandboxes of an OpenSandbox server.

    Args:
        connection, create, exec, probe, operations, attribution: settings, as such or as mappings.

    Raises:
        InvalidSandbox: a setting is unknown.
    """

    name = "opensandbox"

    def __init__(
        self,
        *,
        connection: ConnectionConfig | Mapping[str, Any] | None = None,
        create: CreateConfig | Mapping[str, Any] | None = None,
        exec: ExecConfig | Mapping[str, Any] | None = None,
        probe: ProbeConfig | Mapping[str, Any] | None = None,
        operations: OperationsConfig | Mapping[str, Any] | None = None,
        attribution: AttributionConfig | Mapping[str, Any] | None = None,
    ) -> None:
        self._connection = settings_of(ConnectionConfig, connection, "opensandbox.connection")
        self._create = settings_of(CreateConfig, create, "opensandbox.create")
        self._exec = settings_of(ExecConfig, exec, "opensandbox.exec")
        self._probe = settings_of(ProbeConfig, probe, "opensandbox.probe")
        self._operations = settings_of(OperationsConfig, operations, "opensandbox.operations")
        self._attribution = settings_of(AttributionConfig, attribution, "opensandbox.attribution")

    def isolation_of(self, handle: SandboxHandle) -> str:
        """On another machine."""
        return "remote"

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """A sandbox that passed its probe.

        Raises:
            SandboxCreateError: the SDK is not installed, there is no image, or the server can't create it.
        """
        if spec.image is None:
            raise SandboxCreateError("the opensandbox provider needs SandboxSpec.image")
        make, arguments = _sdk("opensandbox").Sandbox.create, self._arguments(spec)

        async def attempt() -> Any:
            try:
                async with asyncio.timeout(self._create.timeout_s):
                    return await make(spec.image, **arguments)
            except TimeoutError as error:
                raise TimeoutError(str(error) or f"more than {self._create.timeout_s} seconds") from None

        try:
            sandbox = await _with_retries(attempt, self._create, self._create.retries)
        except Exception as error:
            raise SandboxCreateError(f"opensandbox can't create {spec.image}: {error}") from error
        handle = SandboxHandle(str(sandbox.id), self.name, (sandbox, spec))
        try:
            await wait_ready(
                lambda: self.exec(handle, self._probe.command or "", timeout_s=self._probe.timeout_s),
                self._probe,
                self._probe.deadline_s,
            )
        except BaseException:
            await asyncio.shield(self.close(handle))
            raise
        return handle

    async def exec(
        self,
        handle: SandboxHandle,
        command: str,
        *,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_s: int | float | None = None,
        user: str | int | None = None,
    ) -> SandboxExecResult:
        """Run a line of shell to its end.

        Raises:
            TimeoutError: it took longer; the server kills it.
        """
        sandbox, spec = _raw(handle)
        if user is not None and not isinstance(user, int):
            raise InvalidSandbox(f"user {user!r}: the opensandbox provider knows users by number")
        limit = self._exec.default_timeout_s if timeout_s is None else timeout_s
        options = _sdk("opensandbox.models.execd").RunCommandOpts(
            working_directory=cwd or spec.workdir,
            timeout=timedelta(seconds=limit),
            uid=user,
            envs=env or None,
        )
        began = monotonic()
        try:
            async with asyncio.timeout(limit + _GRACE_S):
                result = await _with_retries(
                    lambda: sandbox.commands.run(command, opts=options),
                    self._operations,
                    self._operations.command_retries,
                )
        except TimeoutError:
            raise TimeoutError(f"command took more than {limit:g} seconds") from None
        except Exception as error:
            return SandboxExecResult(None, f"opensandbox: {error}", RUNTIME_FAILURE, self.name)
        if result.exit_code != 0 and monotonic() - began >= limit:
            raise TimeoutError(f"command took more than {limit:g} seconds and was killed")
        out, err = _text(result.logs.stdout), _text(result.logs.stderr)
        if result.exit_code is None:
            return SandboxExecResult(out, err or f"opensandbox: {result.error}", RUNTIME_FAILURE, self.name)
        return SandboxExecResult(out, err, result.exit_code)

    async def upload_file(self, handle: SandboxHandle, source_path: Path, target_path: str) -> None:
        sandbox, spec = _raw(handle)
        try:
            data = await asyncio.to_thread(source_path.read_bytes)
            place, write = _inside(spec, target_path), sandbox.files.write_file
            await self._copy(lambda: write(place, data, mode=644))  # the digits of 0o644
        except Exception as error:
            raise SandboxFileError(f"{source_path} can't be copied to {target_path}: {error}") from error

    async def download_file(self, handle: SandboxHandle, source_path: str, target_path: Path) -> None:
        sandbox, spec = _raw(handle)
        try:
            place = _inside(spec, source_path)
            data = await self._copy(lambda: sandbox.files.read_bytes(place))
            await asyncio.to_thread(_save, target_path, data)
        except Exception as error:
            raise SandboxFileError(f"{source_path} can't be copied to {target_path}: {error}") from error

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        """The status that the server reports."""
        sandbox, _ = _raw(handle)
        info = await sandbox.get_info()
        return _STATES.get(str(info.status.state).lower(), SandboxStatus.UNKNOWN)

    async def endpoint(self, handle: SandboxHandle, port: int) -> SandboxEndpoint:
        """The address at which the server publishes a port."""
        sandbox, _ = _raw(handle)
        endpoint = await sandbox.get_endpoint(port)
        url = endpoint.endpoint
        return SandboxEndpoint(
            url if "://" in url else f"{self._connection.protocol}://{url}", dict(endpoint.headers)
        )

    def serialize(self, handle: SandboxHandle) -> dict[str, Any]:
        """The data for `connect`."""
        _, spec = _raw(handle)
        return {"sandbox_id": handle.sandbox_id, "workdir": spec.workdir}

    async def connect(self, descriptor: Mapping[str, Any]) -> SandboxHandle:
        """The running sandbox of a descriptor.

        Raises:
            SandboxCreateError: the SDK is not installed, or the sandbox can't be reached.
        """
        sandbox_id, limit = str(descriptor["sandbox_id"]), self._create.connect_attempt_timeout_s
        connect = _sdk("opensandbox").Sandbox.connect
        try:
            async with asyncio.timeout(limit):
                sandbox = await connect(
                    sandbox_id,
                    connection_config=self._connection_config(),
                    connect_timeout=timedelta(seconds=limit),
                    health_check_polling_interval=timedelta(seconds=self._create.connect_poll_s),
                    skip_health_check=self._create.skip_health_check,
                )
        except Exception as error:
            what = str(error) or f"more than {limit:g} seconds"
            raise SandboxCreateError(f"opensandbox can't connect to {sandbox_id}: {what}") from error
        return SandboxHandle(
            str(sandbox.id), self.name, (sandbox, SandboxSpec(workdir=descriptor["workdir"]))
        )

    async def close(self, handle: SandboxHandle) -> None:
        """End it.

        Raises:
            TimeoutError: the server does not answer.
        """
        sandbox, _ = _raw(handle)
        try:
            async with asyncio.timeout(self._operations.close_timeout_s):
                await sandbox.kill()
        finally:
            await sandbox.close()

    async def aclose(self) -> None:
        return

    async def _copy(self, work: Callable[[], Awaitable[Any]]) -> Any:
        return await _with_retries(work, self._operations, self._operations.retries)

    def _labels(self) -> dict[str, str]:
        settings = self._attribution
        if not settings.enabled:
            return {}
        labels = attribution_metadata()
        replacements = {"team": settings.team, "user": settings.user, "workload": settings.workload}
        labels |= {name: value for name, value in replacements.items() if value is not None}
        return {f"{settings.key_prefix}{name}": value for name, value in labels.items()}

    def _connection_config(self) -> Any:
        connection = self._connection
        return _sdk("opensandbox.config").ConnectionConfig(
            domain=connection.domain,
            api_key=connection.api_key,
            protocol=connection.protocol,
            request_timeout=timedelta(seconds=connection.request_timeout_s),
            use_server_proxy=connection.use_server_proxy,
        )

    def _arguments(self, spec: SandboxSpec) -> dict[str, Any]:
        create, limits = self._create, spec.limits
        lifetime = create.lifetime_s if spec.ttl_s is None else spec.ttl_s
        resources = {
            "cpu": None if limits.cpu is None else f"{limits.cpu:g}",
            "memory": None if limits.memory_mib is None else f"{limits.memory_mib}Mi",
            "gpu": None if limits.gpu is None else str(limits.gpu),
        }
        pull = create.image_pull_policy
        return {
            "connection_config": self._connection_config(),
            "timeout": None if lifetime is None else timedelta(seconds=lifetime),
            "ready_timeout": timedelta(seconds=spec.ready_timeout_s or create.request_timeout_s),
            "env": dict(spec.env),
            "metadata": {**self._labels(), **spec.metadata},
            "resource": {name: value for name, value in resources.items() if value is not None} or None,
            "entrypoint": spec.entrypoint,
            "skip_health_check": create.skip_health_check,
            "extensions": None if pull is None else dict.fromkeys(_PULL_POLICY, pull),
        }


def _sdk(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SandboxCreateError(
            f"the opensandbox provider needs its SDK: pip install opensandbox ({error})"
        ) from None


def _text(messages: Sequence[Any]) -> str:
    """The output as one text. Some servers send lines without their line ends."""
    text = ""
    for message in messages:
        apart = text and message.text and not text.endswith("\n") and message.text[0] not in "\r\n"
        text += f"\n{message.text}" if apart else message.text
    return text


async def _with_retries(
    work: Callable[[], Awaitable[Any]], delays: CreateConfig | OperationsConfig, retries: int
) -> Any:
    delay = delays.retry_delay_s
    for _ in range(retries):
        try:
            return await work()
        except Exception as error:
            log.info("opensandbox: %s; the next try follows", error)
        await asyncio.sleep(min(delay, delays.retry_max_delay_s))
        delay *= 2
    return await work()


def _raw(handle: SandboxHandle) -> tuple[Any, SandboxSpec]:
    if handle.provider_name != OpenSandboxProvider.name:
        raise InvalidSandbox(f"{handle.sandbox_id} is no sandbox of the opensandbox provider")
    return handle.raw


def _inside(spec: SandboxSpec, path: str) -> str:
    return posixpath.join(spec.workdir or "/", path)


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
