"""The apptainer provider."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_gym.sandbox.errors import SandboxCreateError, SandboxUnsupported
from nemo_gym.sandbox.providers.container import (
    Container,
    ContainerExecConfig,
    ContainerProvider,
    ProbeConfig,
    limit_words,
)
from nemo_gym.sandbox.spec import SandboxHandle, SandboxSpec, SandboxStatus, settings_of
from nemo_gym.support.finishing import finish
from nemo_gym.support.removal import remove_tree

ApptainerProbeConfig = ProbeConfig


@dataclass(frozen=True)
class ApptainerCreateConfig:
    """How an instance is started."""

    mount_point: str = "/sandbox"
    """The path inside of a new folder of this machine: the working directory, unless the spec has one."""
    start_timeout_s: float | None = 600
    """Seconds, including the conversion of the image."""
    extra_start_args: list[str] = field(default_factory=list[str])
    apply_resource_limits: bool = True
    network: str | None = None
    """Kind of network as `--network` takes it, such as `none`; by default, and for `host`, this machine's."""


@dataclass(frozen=True)
class ApptainerExecConfig(ContainerExecConfig):
    """How commands run."""

    fakeroot_for_root: bool = True
    """Use `--fakeroot` for a command that runs as root."""
    default_binds: list[str] = field(default_factory=list[str])
    """Values of `--bind` for every instance."""
    extra_exec_args: list[str] = field(default_factory=list[str])


class ApptainerProvider(ContainerProvider):
    """Instances of the `apptainer` command. They have no files of this machine but those that are bound.

    Args:
        create, exec, probe: settings, as such or as mappings.

    Raises:
        InvalidSandbox: a setting is unknown.
    """

    name = "apptainer"
    runtime_failures = ("FATAL:",)

    def __init__(
        self,
        *,
        create: ApptainerCreateConfig | Mapping[str, Any] | None = None,
        exec: ApptainerExecConfig | Mapping[str, Any] | None = None,
        probe: ApptainerProbeConfig | Mapping[str, Any] | None = None,
    ) -> None:
        self._exec_config: ApptainerExecConfig
        self._create_config = settings_of(ApptainerCreateConfig, create, "apptainer.create")
        super().__init__(
            "apptainer",
            settings_of(ApptainerExecConfig, exec, "apptainer.exec"),
            settings_of(ApptainerProbeConfig, probe, "apptainer.probe"),
            start_timeout_s=self._create_config.start_timeout_s,
        )
        self._folders: dict[str, str] = {}
        """The folder of this machine at each instance's mount point."""

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """A started instance that passed its probe.

        Raises:
            SandboxCreateError: there is no image or no apptainer, the spec has a field that instances don't
                support, or the instance can't be started.
        """
        _require_apptainer()
        if spec.image is None:
            raise SandboxCreateError("the apptainer provider needs SandboxSpec.image")
        for value, what in ((spec.ports, "ports"), (spec.ttl_s, "ttl_s"), (spec.entrypoint, "entrypoint")):
            if value:
                raise SandboxCreateError(f"SandboxSpec.{what}: the apptainer provider has no such thing")
        name = f"gym-{uuid.uuid4().hex}"
        folder = self._folders[name] = tempfile.mkdtemp(prefix="gym-sandbox-")
        words = self._start_words(name, spec, spec.image, folder)
        await self.start(name, words, {}, f"apptainer instance start {spec.image}")
        return await self.settle(name, spec, spec.workdir or self._create_config.mount_point, spec.env)

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        """Running, or stopped."""
        result = await self._cli.run(
            ["instance", "list", "--json", handle.sandbox_id], seconds=self._probe.timeout_s
        )
        try:
            instances = json.loads(result.stdout)["instances"]
        except (ValueError, KeyError, TypeError):
            return SandboxStatus.UNKNOWN
        return SandboxStatus.RUNNING if instances else SandboxStatus.STOPPED

    async def reach(self, handle: SandboxHandle, url: str) -> str:
        """The URL of a server for use inside: the same as outside, because the network is this machine's.

        Raises:
            SandboxUnsupported: the instance has another network.
        """
        if not self._shares_network:
            raise SandboxUnsupported(
                f"{url} can't be reached from an instance in the network {self._create_config.network!r}: "
                "set network to host, which is this machine's"
            )
        return url

    async def remove(self, name: str) -> None:
        try:
            await self._cli.run(["instance", "stop", "--force", name], seconds=60)
        finally:
            folder = self._folders.pop(name, None)
            if folder is not None:
                await finish(asyncio.to_thread(remove_tree, Path(folder)))

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
        flags = list(self._exec_config.extra_exec_args)
        if cwd is not None:
            flags += ["--pwd", cwd]
        if user in ("root", 0) and self._exec_config.fakeroot_for_root:
            flags.append("--fakeroot")
        variables = {f"APPTAINERENV_{name}": value for name, value in env.items()}
        return ["exec", *flags, f"instance://{container.name}", *argv], variables

    @property
    def _shares_network(self) -> bool:
        return self._create_config.network in (None, "host")

    def _start_words(self, name: str, spec: SandboxSpec, image: str, folder: str) -> list[str]:
        flags = ["--containall", "--writable-tmpfs", "--bind", f"{folder}:{self._create_config.mount_point}"]
        for bind in self._exec_config.default_binds:
            flags += ["--bind", bind]
        if self._create_config.apply_resource_limits:
            flags += limit_words(spec)
        if not self._shares_network:
            flags += ["--net", "--network", str(self._create_config.network)]
        if spec.limits.gpu:
            flags.append("--nv")
        return ["instance", "start", *flags, *self._create_config.extra_start_args, _image(image), name]


def _require_apptainer() -> str:
    """The path of the program. Tests of existing NeMo Gym code replace this function.

    Raises:
        SandboxCreateError: there is none.
    """
    path = shutil.which("apptainer")
    if path is None:
        raise SandboxCreateError(
            "no program 'apptainer' on PATH: install Apptainer, or use another sandbox provider"
        )
    return path


def _image(image: str) -> str:
    """A file or a reference with its transport, unchanged. Anything else is an image of a registry."""
    return image if "://" in image or Path(image).exists() else f"docker://{image}"
