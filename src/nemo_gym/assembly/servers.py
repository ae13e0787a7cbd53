"""The servers of one run, in this process and in child processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import monotonic

from nemo_gym.assembly.endpoint_wait import READINESS, wait_for_endpoints
from nemo_gym.assembly.messages import Messages, Write
from nemo_gym.config.resolve import Config
from nemo_gym.serving.launch import Launch, bind_addresses, needs_token, prepare
from nemo_gym.serving.port_owner import who_frees
from nemo_gym.serving.redaction import Redactor, log_redacted
from nemo_gym.serving.running_gyms import runtime_folder
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.server_process import ServerProcess
from nemo_gym.serving.servers import Servers
from nemo_gym.serving.sockets import AddressInUse
from nemo_gym.wire.errors import GymError


def launch_for_run(resolve: Callable[[], Config], roots: Sequence[Path], logs: Path) -> Launch:
    """The launch of the servers of a configuration, with their addresses bound.

    Args:
        resolve: gives the configuration; called again if an address is taken.
        logs: folder for the output of child processes, unless the configuration has another.

    Raises:
        GymError: an address can't be bound.
    """

    def prepare_launch(config: Config) -> Launch:
        return prepare(
            config,
            roots=roots,
            logs=Path(config.tree.get("nemo_gym_log_dir") or logs).absolute(),
            token=Secret.random() if needs_token(config) else None,
        )

    try:
        _, launch = bind_addresses(resolve, prepare_launch)
    except AddressInUse as error:
        raise GymError(f"{error}: {who_frees(error.port, runtime_folder())}") from None
    return launch


@asynccontextmanager
async def open_servers(launch: Launch, messages: Messages) -> AsyncGenerator[None, None]:
    """Start the servers, and stop them at the end of the block.

    Raises:
        GymError: a server did not start, or the endpoint of a model can't be reached.
    """
    log_redacted(Redactor(launch.secrets), verbose=bool(launch.tree.get("verbose")))
    began = monotonic()
    servers = Servers(launch, on_end=partial(report_lost, messages.warn))
    await servers.start()
    try:
        seconds = float(launch.tree.get(READINESS) or 0.0)
        if problems := await wait_for_endpoints(servers.unreachable, seconds, messages.warn):
            raise GymError("; ".join(problems))
        messages.progress(f"{len(servers.running)} servers started in {monotonic() - began:.1f} s")
        yield
    finally:
        await servers.stop()


def report_lost(warn: Write, server: ServerProcess, code: int) -> None:
    """Report that a server has ended, with its last output."""
    warn(f"{server.name} ended with exit code {code}. Its last output:{server.last_lines}")
