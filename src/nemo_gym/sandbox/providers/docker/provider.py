"""The docker provider."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from nemo_gym.sandbox.archive import parent_and_name
from nemo_gym.sandbox.errors import (
    InvalidSandbox,
    SandboxCreateError,
    SandboxFileError,
    SandboxUnsupported,
)
from nemo_gym.sandbox.providers.container import (
    COPY_S,
    Container,
    ContainerExecConfig,
    ContainerProvider,
    ProbeConfig,
    env_words,
    limit_words,
)
from nemo_gym.sandbox.relay import Relays, at_address, http_address
from nemo_gym.sandbox.spec import SandboxEndpoint, SandboxHandle, SandboxSpec, SandboxStatus, settings_of

DockerProbeConfig = ProbeConfig


@dataclass(frozen=True)
class DockerCreateConfig:
    """How a container is started."""

    keepalive_shell: str = "sh"
    keepalive_cmd: str = "while :; do sleep 3600; done"
    """The command of a container without an entrypoint. A container with a time to live sleeps that long."""
    start_timeout_s: float | None = 600
    """Seconds for `docker run`, including the pull of the image."""
    use_init: bool = True
    apply_resource_limits: bool = True
    publish_host: str = "127.0.0.1"
    """The address of this machine at which declared ports can be reached."""
    network: str | None = None
    """`none` for a container without a network."""
    read_only: bool = False
    cap_drop: list[str] = field(default_factory=list[str])
    security_opt: list[str] = field(default_factory=list[str])
    pids_limit: int | None = None
    extra_run_args: list[str] = field(default_factory=list[str])
    """Further arguments of `docker run`."""


@dataclass(frozen=True)
class DockerExecConfig(ContainerExecConfig):
    """How commands run."""

    extra_exec_args: list[str] = field(default_factory=list[str])
    """Further arguments of `docker exec`."""


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
        self._exec_config: DockerExecConfig
        self._create_config = settings_of(DockerCreateConfig, create, "docker.create")
        super().__init__(
            "docker",
            settings_of(DockerExecConfig, exec, "docker.exec"),
            settings_of(DockerProbeConfig, probe, "docker.probe"),
            start_timeout_s=self._create_config.start_timeout_s,
        )
        self._relays: dict[str, Relays] = {}
        """By the name of a container that reaches servers of this machine."""

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """A started container that passed its probe.

        Raises:
            SandboxCreateError: there is no image, or docker can't start it.
        """
        if spec.image is None:
            raise SandboxCreateError("the docker provider needs SandboxSpec.image")
        name = f"gym-{uuid.uuid4().hex}"
        words, variables = self._run_words(name, spec, spec.image)
        await self.start(name, words, variables, f"docker run {spec.image}")
        return await self.settle(name, spec, spec.workdir, {})

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        """The status that docker reports."""
        result = await self._cli.run(
            ["inspect", "--format", "{{.State.Status}}", handle.sandbox_id], seconds=self._probe.timeout_s
        )
        if result.code != 0:
            gone = "no such" in result.stderr.lower()
            return SandboxStatus.STOPPED if gone else SandboxStatus.UNKNOWN
        match result.stdout.strip():
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
        """The address at which docker publishes a port.

        Raises:
            InvalidSandbox: docker does not publish it.
        """
        result = await self._cli.run(
            ["port", handle.sandbox_id, f"{port}/tcp"], seconds=self._probe.timeout_s
        )
        addresses = result.stdout.split()
        if result.code != 0 or not addresses:
            raise InvalidSandbox(f"port {port} is not published: {result.stderr.strip()[-300:]}")
        return SandboxEndpoint(f"http://{addresses[0].replace('0.0.0.0', '127.0.0.1')}")  # noqa: S104

    async def reach(self, handle: SandboxHandle, url: str) -> str:
        """The URL of a server for use inside: at the gateway of the container's network, which is the address
        of this machine there.

        Raises:
            SandboxUnsupported: the container has no network, or one whose gateway is not this machine.
        """
        network = self._create_config.network or "bridge"
        if network == "host":
            return url
        words = ["network", "inspect", "--format", "{{range .IPAM.Config}}{{.Gateway}} {{end}}", network]
        result = await self._cli.run(words, seconds=self._probe.timeout_s)
        gateways = result.stdout.split()
        if result.code != 0 or not gateways:
            raise SandboxUnsupported(
                f"{url} can't be reached from a container in the network {network!r}: set network to host or "
                "to one created by `docker network create --internal NAME`, which leads to this machine only"
            )
        host, port = http_address(url)
        listener = socket.socket(socket.AF_INET6 if ":" in gateways[0] else socket.AF_INET)
        try:
            listener.bind((gateways[0], 0))
        except OSError as error:
            listener.close()
            raise SandboxUnsupported(
                f"{gateways[0]}, the gateway of {network!r}, is not this machine's: {error}"
            ) from None
        relays = self._relays.setdefault(handle.sandbox_id, Relays())
        inner = await relays.listen(listener, lambda: asyncio.open_connection(host, port))
        return at_address(url, gateways[0], inner)

    async def pack_folder(self, handle: SandboxHandle, path: str, target: IO[bytes]) -> None:
        """Kill the container, and write an archive of a folder. Docker reads it without running anything.

        Raises:
            SandboxFileError: it can't be read.
        """
        parent_and_name(path)
        kill = await self._cli.run(["kill", handle.sandbox_id], seconds=60)
        if kill.code != 0 and await self.status(handle) is not SandboxStatus.STOPPED:
            raise SandboxFileError(f"the container can't be killed: {kill.stderr.strip()[-500:]}")
        result = await self._cli.run(
            ["cp", f"{handle.sandbox_id}:{path}", "-"], seconds=COPY_S, stdout=target
        )
        if result.code != 0:
            raise SandboxFileError(f"{path} can't be packed: {result.stderr.strip()[-500:]}")

    async def close(self, handle: SandboxHandle) -> None:
        relays = self._relays.pop(handle.sandbox_id, None)
        if relays is not None:
            await relays.close()
        await super().close(handle)

    def serialize(self, handle: SandboxHandle) -> dict[str, Any]:
        """The data for `connect`."""
        return {"container": asdict(handle.raw)}

    async def connect(self, descriptor: Mapping[str, Any]) -> SandboxHandle:
        """The running container of a descriptor.

        Raises:
            SandboxCreateError: it does not run any more.
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
        flags += self._exec_config.extra_exec_args
        return ["exec", *flags, container.name, *argv], variables

    def _run_words(self, name: str, spec: SandboxSpec, image: str) -> tuple[list[str], dict[str, str]]:
        create = self._create_config
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
            flags += limit_words(spec)
            if spec.limits.gpu:
                flags += ["--gpus", str(spec.limits.gpu)]
        flags += create.extra_run_args
        alive = create.keepalive_cmd if spec.ttl_s is None else f"sleep {spec.ttl_s:g}"
        program, *rest = spec.entrypoint or [create.keepalive_shell, "-c", alive]
        return ["run", "--detach", "--name", name, *flags, "--entrypoint", program, image, *rest], variables
