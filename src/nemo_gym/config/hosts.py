"""Chooses the host and the port of each instance; a port is free at the time of the choice."""

from __future__ import annotations

import socket
from collections.abc import Collection
from random import SystemRandom
from typing import Final

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.instances import OFFLINE_PORT, Instance
from nemo_gym.config.settings import read_settings
from nemo_gym.config.tree import Tree, get

LOOPBACK: Final = "127.0.0.1"
TRIES: Final = 50

_random = SystemRandom()


def assign_addresses(tree: Tree, instances: dict[str, Instance], *, offline: bool) -> None:
    """Give every instance and the head server of the tree a host and a port, keeping those that are set.

    Another process may take a port between the choice and its use; whoever binds it must be ready for that.

    Raises:
        ConfigError: a setting is of the wrong type, no port is free, or two instances have one address.
    """
    settings = read_settings(tree)
    host = settings.default_host or (_machine_address() if settings.use_absolute_ip else LOOPBACK)
    low, high = settings.port_range_low, settings.port_range_high
    head = settings.head_server
    tree["head_server"] = {**(tree.get("head_server") or {}), "host": head.host or host, "port": head.port}
    fields = [_fields(tree, instance) for instance in instances.values()]
    taken: set[int] = {*settings.disallowed_ports, head.port}
    taken.update(one["port"] for one in fields if one.get("port"))
    for one in fields:
        one["host"] = one.get("host") or host
        if one.get("port") in (None, OFFLINE_PORT):
            one["port"] = OFFLINE_PORT if offline else open_port(one["host"], low, high, taken)
            taken.add(one["port"])
    tree |= {"port_range_low": low, "port_range_high": high}
    tree["disallowed_ports"] = sorted(taken - {OFFLINE_PORT})
    _check_apart(instances, fields)


def open_port(host: str, low: int, high: int, taken: Collection[int] = ()) -> int:
    """A port of low..high that could be bound a moment ago.

    Raises:
        ConfigError: none of 50 tries could be.
    """
    for _ in range(TRIES):
        port = _random.randint(low, high)
        if port not in taken and _binds(host, port):
            return port
    raise ConfigError(
        f"no free port on {host} in {low} to {high} after {TRIES} tries: widen port_range_low and "
        "port_range_high"
    )


def _fields(tree: Tree, instance: Instance) -> Tree:
    return get(tree, (instance.name, instance.kind, instance.implementation))


def _check_apart(instances: dict[str, Instance], fields: list[Tree]) -> None:
    instance_by_address: dict[tuple[str, int], str] = {}
    for name, one in zip(instances, fields, strict=True):
        address = (one["host"], one["port"])
        other = instance_by_address.setdefault(address, name)
        if other != name and one["port"] != OFFLINE_PORT:
            raise ConfigError(f"{other} and {name} have one address, {address[0]}:{address[1]}")


def _binds(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror:
            raise ConfigError(f"host {host!r}: there is no such host") from None
        except OSError:
            return False
    return True


def _machine_address() -> str:
    """The address other machines reach this one at: that of the interface the default route leaves by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostbyname(socket.gethostname())
