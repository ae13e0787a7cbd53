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
    """Set the host and the port of every instance and of the head server where they are missing.

    Another process may take a port between the choice and its use, so a caller that binds it must expect
    that.

    Raises:
        ConfigError: a setting is of the wrong type, no port is free, or two instances have one address.
    """
    settings = read_settings(tree)
    host = settings.default_host or (_machine_address() if settings.use_absolute_ip else LOOPBACK)
    low, high = settings.port_range_low, settings.port_range_high
    head = settings.head_server
    tree["head_server"] = {**(tree.get("head_server") or {}), "host": head.host or host, "port": head.port}
    fields = [get(tree, instance.path) for instance in instances.values()]
    occupied: set[int] = {*settings.disallowed_ports, head.port}
    occupied.update(one["port"] for one in fields if one.get("port"))
    for one in fields:
        one["host"] = one.get("host") or host
        if one.get("port") in (None, OFFLINE_PORT):
            one["port"] = OFFLINE_PORT if offline else open_port(one["host"], low, high, occupied)
            occupied.add(one["port"])
    tree |= {"port_range_low": low, "port_range_high": high}
    tree["disallowed_ports"] = sorted(occupied - {OFFLINE_PORT})
    _check_apart(instances, fields)


def open_port(host: str, low: int, high: int, occupied: Collection[int] = ()) -> int:
    """A port from low to high that is free now.

    Raises:
        ConfigError: 50 tries met no free port.
    """
    for _ in range(TRIES):
        port = _random.randint(low, high)
        if port not in occupied and _binds(host, port):
            return port
    raise ConfigError(
        f"no free port on {host} in {low} to {high} after {TRIES} tries: widen port_range_low and "
        "port_range_high"
    )


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
    """The address at which other machines reach this one: that of the interface of the default route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostbyname(socket.gethostname())
