"""The docker provider (CONTRACT 10.3)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nemo_gym.sandbox.errors import InvalidSandbox, SandboxCreateError
from nemo_gym.sandbox.providers.container import (
    Container,
    ContainerExecConfig,
    ContainerProvider,
    ProbeConfig,
    env_words,
)
from nemo_gym.sandbox.spec import SandboxEndpoint, SandboxHandle, SandboxSpec, SandboxStatus, settings_of

DockerExecConfig = ContainerExecConfig
DockerProbeConfig = ProbeConfig


@dataclass(frozen=True)
class DockerCreateConfig:
    """How a container is started."""

    keepalive_shell: str = "sh"
    keepalive_cmd: str = "while :; do sleep 3600; done"
    """What a container without an entrypoint of its own does; one with a time to live sleeps that long."""
    start_timeout_s: float | None = 600
    """For `docker run`, with the pull of the image."""
    use_init: bool = True
    apply_resource_limits: bool = True
    publish_host: str = "127.0.0.1"
    """Address on which declared ports can be reached."""
    network: str | None = None
    """`none` for a container without a network."""
    read_only: bool = False
    cap_drop: list[str] = field(default_factory=list[str])
    security_opt: list[str] = field(default_factory=list[str])
    pids_limit: int | None = None


class DockerProvider(ContainerProvider):
    """Containers of the `docker` command's daemon.

    Args:
        create, exec, probe: settings, as such or as mappings.

    Raises:
        InvalidSandbox: a setting is unknown.
    """

    name = "docker"
    runtime_failures = ("Error response from daemon", "Cannot connect to the Docker daemon", "Error: No such")

    def __init__(
        self,
        *,
        create: DockerCreateConfig | Mapping[str, Any] | None = None,
        exec: DockerExecConfig | Mapping[str, Any] | None = None,
        probe: DockerProbeConfig | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            "docker",
            settings_of(DockerExecConfig, exec, "docker.exec"),
            settings_of(DockerProbeConfig, probe, "docker.probe"),
        )
        self._create: DockerCreateConfig = settings_of(DockerCreateConfig, create, "docker.create")

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """A started container that passed its probe.

        Raises:
            SandboxCreateError: there is no image, or docker can't start it.
        """
        if spec.image is None:
            raise SandboxCreateError("the docker provider needs SandboxSpec.image")
        name = f"gym-{uuid.uuid4().hex}"
        words, variables = self._run_words(name, spec, spec.image)
        try:
            told = await self._cli.run(words, seconds=self._create.start_timeout_s, env=variables)
        except BaseException as error:
            await self.remove(name)
            if isinstance(error, TimeoutError):
                raise SandboxCreateError(
                    f"docker run {spec.image} took more than {self._create.start_timeout_s:g} seconds"
                ) from None
            raise
        if told.code != 0:
            await self.remove(name)
            raise SandboxCreateError(f"docker run {spec.image}: {told.stderr.strip()[-1000:]}")
        return await self.settle(name, spec, spec.workdir, {})

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        """As docker says."""
        told = await self._cli.run(
            ["inspect", "--format", "{{.State.Status}}", handle.sandbox_id], seconds=self._probe.timeout_s
        )
        if told.code != 0:
            gone = "no such" in told.stderr.lower()
            return SandboxStatus.STOPPED if gone else SandboxStatus.UNKNOWN
        match told.stdout.strip():
            case "running":
                return SandboxStatus.RUNNING
            case "created" | "restarting":
                return SandboxStatus.STARTING
            case "dead":
                return SandboxStatus.ERROR
            case "exited" | "removing" | "paused":
                return SandboxStatus.STOPPED
            case _:
                return SandboxStatus.UNKNOWN

    async def endpoint(self, handle: SandboxHandle, port: int) -> SandboxEndpoint:
        """Where docker published a port.

        Raises:
            InvalidSandbox: it did not.
        """
        told = await self._cli.run(["port", handle.sandbox_id, f"{port}/tcp"], seconds=self._probe.timeout_s)
        published = told.stdout.split()
        if told.code != 0 or not published:
            raise InvalidSandbox(f"port {port} is not published: {told.stderr.strip()[-300:]}")
        return SandboxEndpoint(f"http://{published[0].replace('0.0.0.0', '127.0.0.1')}")  # noqa: S104

    def serialize(self, handle: SandboxHandle) -> dict[str, Any]:
        """What `connect` needs."""
        return {"container": asdict(handle.raw)}

    async def connect(self, descriptor: Mapping[str, Any]) -> SandboxHandle:
        """The running container of a descriptor.

        Raises:
            SandboxCreateError: it runs no more.
        """
        container = Container(**descriptor["container"])
        handle = SandboxHandle(container.name, self.name, container)
        if await self.status(handle) is not SandboxStatus.RUNNING:
            raise SandboxCreateError(f"container {container.name} is not running")
        return handle

    async def remove(self, name: str) -> None:
        await self._cli.run(["rm", "--force", "--volumes", name], seconds=60)

    def exec_words(
        self,
        container: Container,
        argv: Sequence[str],
        *,
        cwd: str | None,
        env: Mapping[str, str],
        user: str | int | None,
        stdin: bool,
    ) -> tuple[list[str], dict[str, str]]:
        flags, variables = env_words(env)
        if stdin:
            flags.append("--interactive")
        if cwd is not None:
            flags += ["--workdir", cwd]
        if user is not None:
            flags += ["--user", str(user)]
        return ["exec", *flags, container.name, *argv], variables

    def _run_words(self, name: str, spec: SandboxSpec, image: str) -> tuple[list[str], dict[str, str]]:
        create = self._create
        flags, variables = env_words(spec.env)
        flags += [word for key, value in spec.metadata.items() for word in ("--label", f"{key}={value}")]
        flags += [word for port in spec.ports for word in ("--publish", f"{create.publish_host}::{port}")]
        if create.use_init:
            flags.append("--init")
        if spec.workdir is not None:
            flags += ["--workdir", spec.workdir]
        if create.network is not None:
            flags += ["--network", create.network]
        if create.read_only:
            flags.append("--read-only")
        flags += [word for value in create.cap_drop for word in ("--cap-drop", value)]
        flags += [word for value in create.security_opt for word in ("--security-opt", value)]
        if create.pids_limit is not None:
            flags += ["--pids-limit", str(create.pids_limit)]
        if create.apply_resource_limits:
            flags += _limit_words(spec)
        alive = create.keepalive_cmd if spec.ttl_s is None else f"sleep {spec.ttl_s:g}"
        program, *rest = spec.entrypoint or [create.keepalive_shell, "-c", alive]
        return ["run", "--detach", "--name", name, *flags, "--entrypoint", program, image, *rest], variables


def _limit_words(spec: SandboxSpec) -> list[str]:
    limits = spec.limits
    words: list[str] = []
    if limits.cpu is not None:
        words += ["--cpus", f"{limits.cpu:g}"]
    if limits.memory_mib is not None:
        words += ["--memory", f"{limits.memory_mib}m"]
    if limits.gpu:
        words += ["--gpus", str(limits.gpu)]
    return words
