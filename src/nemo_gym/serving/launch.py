"""`Launch`: the message to a process about the servers that it runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import time
from typing import Any, Final

import msgspec

from nemo_gym.capture.settings import call_store, settle_folders, token_settings
from nemo_gym.capture.tokens import TokenRecorder
from nemo_gym.config.implementations import implementation_folder
from nemo_gym.config.instances import Instance, find_instances
from nemo_gym.config.resolve import Config
from nemo_gym.config.tree import Tree
from nemo_gym.sandbox.config import provider_setting
from nemo_gym.serving.browsers import allowed_hosts
from nemo_gym.serving.head import HEAD
from nemo_gym.serving.limits import Limits
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.profiling import profile_of
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import AddressInUse, bind, is_loopback
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.masking import remember_secrets, remembered_secrets, secrets_of

GRACE_S: Final = 5.0
"""Seconds that requests in flight have to finish when servers stop, unless somebody chooses another time."""


class Launch(msgspec.Struct, kw_only=True):
    """It holds secrets as plain text: it is passed through a pipe or an unlinked file, never in arguments,
    environment variables or a log."""

    tree: dict[str, Any]
    """The merged configuration, with all addresses."""
    roots: list[str]
    """Folders with implementations."""
    sockets: dict[str, int]
    """File descriptors of the bound sockets, by the name of the instance, the head server's too."""
    cookie_secret: str
    token: str = ""
    """The token that callers must send; empty for none."""
    isolate: bool = False
    """Whether each instance has its own process, with the packages in its `requirements.txt`."""
    grace_s: float = GRACE_S
    """Seconds that requests in flight have to finish once stopping begins."""
    ready_s: float = 300.0
    """Seconds from the start of a server to its first answer, at most."""
    logs: str
    """Folder for the output of child processes."""
    started_at: float = msgspec.field(default_factory=time)
    """Unix time, seconds."""
    remembered: list[str] = []
    """Secrets that the process that sends this remembers."""

    def __repr__(self) -> str:
        return f"Launch({', '.join(self.sockets)})"

    @property
    def instances(self) -> dict[str, Instance]:
        """All instances of the configuration, also those of other processes."""
        return find_instances(self.tree).instances

    def app_options(self, process: str = "servers") -> AppOptions:
        """The options of the apps of one process.

        Args:
            process: the name of the process, for the files of its profile.
        """
        tokens = token_settings(self.tree)
        return AppOptions(
            cookie_secret=Secret(self.cookie_secret),
            token=Secret(self.token) if self.token else None,
            limits=Limits.of(self.tree),
            max_sandboxes=self.tree.get("max_sandboxes"),
            sandbox_provider=provider_setting(self.tree.get("sandbox_provider"), self.tree),
            host_names=self.host_names,
            profile=profile_of(self.tree, process),
            capture=call_store(self.tree),
            tokens=TokenRecorder(tokens.store()) if tokens else None,
            tokens_of_all=tokens is not None and tokens.all_agents,
        )

    @property
    def host_names(self) -> frozenset[str]:
        """The host names of the servers in the configuration.

        Raises:
            UsageError: the setting is not a list of names.
        """
        own = {self.tree[HEAD]["host"], *(one.host for one in self.instances.values())}
        return frozenset({*own, *allowed_hosts(self.tree)})

    def program(self, name: str) -> Path | None:
        """The program of an instance; None for a component of this package."""
        return program_of(self.instances[name], [Path(root) for root in self.roots])

    def listener(self, name: str) -> socket.socket:
        """Take over the bound socket of an instance or of the head server."""
        return socket.socket(fileno=self.sockets.pop(name))

    def release(self) -> None:
        """Close the sockets that no server has taken over."""
        for name in list(self.sockets):
            self.listener(name).close()

    def only(self, name: str) -> Launch:
        """The part for a child process that serves one instance."""
        own = {key: fd for key, fd in self.sockets.items() if key == name}
        return msgspec.structs.replace(self, sockets=own, isolate=False)

    @property
    def secrets(self) -> set[str]:
        """The texts that must not appear anywhere."""
        return secrets_of(self.tree) | {self.cookie_secret} | ({self.token} if self.token else set())

    def pack(self) -> bytes:
        """The bytes for `read_launch`."""
        content = msgspec.json.encode(msgspec.structs.replace(self, remembered=remembered_secrets()))
        return len(content).to_bytes(8, "big") + content


def read_launch(fd: int) -> Launch:
    """The launch from `Launch.pack`; bytes after it stay unread."""
    launch = msgspec.json.decode(_exactly(fd, int.from_bytes(_exactly(fd, 8), "big")), type=Launch)
    remember_secrets(launch.remembered)
    for fd in launch.sockets.values():
        os.set_inheritable(fd, False)
    return launch


def prepare(
    config: Config,
    *,
    roots: Sequence[Path],
    logs: Path,
    token: Secret | None = None,
    isolate: bool = False,
    grace_s: float = GRACE_S,
    ready_s: float = 300.0,
) -> Launch:
    """Bind every address of a configuration, so that no other program can take it.

    The tree of `config` gets the port of the head server if that was 0, and the folders of captures.

    Raises:
        AddressInUse: a port is in use. A port chosen at random will be another the next time.
        UsageError: other machines could reach servers without a token.
        GymError: an address can't be bound.
    """
    config.require_instances()
    settle_folders(config.tree, Path(config.tree["results_dir"]))
    head: Tree = config.tree[HEAD]
    if token is None:
        _refuse_strangers(head["host"], config.instances)
    with ExitStack() as undo:
        sockets: dict[str, socket.socket] = {}
        sockets[HEAD] = undo.enter_context(bind(head["host"], head["port"], HEAD))
        for instance in config.instances.values():
            is_program = program_of(instance, roots) is not None
            sockets[instance.name] = undo.enter_context(
                bind(instance.host, instance.port, instance.name, listen=not is_program)
            )
        undo.pop_all()
    head["port"] = sockets[HEAD].getsockname()[1]
    return Launch(
        tree=config.tree,
        roots=[str(root) for root in roots],
        sockets={name: bound.detach() for name, bound in sockets.items()},
        cookie_secret=Secret.random().reveal(),
        token=token.reveal() if token else "",
        isolate=isolate or bool(config.tree.get("isolate")),
        grace_s=grace_s,
        ready_s=ready_s,
        logs=str(logs),
    )


def bind_addresses(
    resolve: Callable[[], Config], prepare: Callable[[Config], Launch]
) -> tuple[Config, Launch]:
    """A configuration with bound addresses. When a random port is no longer free, another is chosen.

    Raises:
        AddressInUse: the head server's address is in use, or three random ports were.
    """
    tries = 3
    while True:
        config = resolve()
        try:
            return config, prepare(config)
        except AddressInUse as error:
            tries -= 1
            if error.owner == HEAD or not tries:
                raise


def program_of(instance: Instance, roots: Sequence[Path]) -> Path | None:
    """The program of a user's server; None for a component of this package."""
    folder = implementation_folder(instance, roots)
    return None if folder is None else (folder / instance.entrypoint).resolve()


def needs_token(config: Config) -> bool:
    """Whether another machine could reach one of the servers."""
    return any(_open_to_strangers(config.tree[HEAD]["host"], config.instances))


def _refuse_strangers(head_host: str, instances: Mapping[str, Instance]) -> None:
    for name, host in _open_to_strangers(head_host, instances):
        raise UsageError(f"{name} is bound to {host}, where other machines can reach it: it needs a token")


def _open_to_strangers(head_host: str, instances: Mapping[str, Instance]) -> Iterator[tuple[str, str]]:
    hosts = {HEAD: head_host, **{instance.name: instance.host for instance in instances.values()}}
    return ((name, host) for name, host in hosts.items() if not is_loopback(host))


def _exactly(fd: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = os.read(fd, min(count, 1 << 16))
        if not part:
            raise EOFError("the other end closed before everything was read")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
