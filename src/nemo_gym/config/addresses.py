"""Resolves interpolations that refer to hosts and ports which are chosen at the same time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Final

from nemo_gym.config.hosts import assign_addresses, open_port
from nemo_gym.config.instances import OFFLINE_PORT, InstanceTable, find_instances
from nemo_gym.config.interpolation import interpolate
from nemo_gym.config.server_kinds import KINDS
from nemo_gym.config.settings import read_settings
from nemo_gym.config.tree import Tree, as_mapping, get, leaves, parse_path

HEAD: Final = "head_server"


def interpolate_with_addresses(
    tree: Tree, complete: Callable[[Tree], None], *, offline: bool
) -> tuple[Tree, InstanceTable]:
    """The tree without interpolations and with an address for every server, and its instances.

    Args:
        complete: adds the defaults to the interpolated tree.
        offline: choose no ports; a reference to such a port stays as it is.

    Raises:
        ConfigError: something is wrong with the tree.
    """
    if not any(_ADDRESS.search(value) for _, value in leaves(tree) if isinstance(value, str)):
        plain = interpolate(tree)
        complete(plain)
        servers = find_instances(plain)
        assign_addresses(plain, servers.instances, offline=offline)
        return plain, servers
    draft = deepcopy(tree)
    for fields in _server_settings(draft):
        fields["host"] = fields.get("host") or ""
        fields["port"] = fields.get("port") or OFFLINE_PORT
    draft[HEAD] = {"host": "", "port": read_settings({}).head_server.port, **(draft.get(HEAD) or {})}
    addresses = interpolate(draft)
    instances = find_instances(addresses).instances
    assign_addresses(addresses, instances, offline=offline)
    head = addresses[HEAD]
    if not head["port"] and not offline:
        low, high = addresses["port_range_low"], addresses["port_range_high"]
        head["port"] = open_port(head["host"], low, high, addresses["disallowed_ports"])
    for one in instances.values():
        fields = get(addresses, one.path)
        get(draft, one.path).update(host=fields["host"], port=fields["port"])
    settings = ("port_range_low", "port_range_high", "disallowed_ports", HEAD)
    final = interpolate(draft | {key: addresses[key] for key in settings})
    if offline:
        _leave_open(final, tree)
    complete(final)
    return final, find_instances(final)


def _server_settings(tree: Tree) -> Iterator[Tree]:
    """The settings of every possible instance."""
    for value in tree.values():
        for kind in KINDS:
            for fields in as_mapping(as_mapping(value).get(kind)).values():
                if isinstance(fields, dict):
                    yield fields


def _leave_open(final: Tree, original: Tree) -> None:
    """Restore every text that refers to a port which was not chosen."""
    for path, text in leaves(original):
        if isinstance(text, str) and any(_is_open(final, name) for name in _ADDRESS.findall(text)):
            parent = get(final, path[:-1])
            parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = text


def _is_open(tree: Tree, name: str) -> bool:
    try:
        return get(tree, parse_path(name)) == OFFLINE_PORT
    except KeyError:
        return False


_ADDRESS: Final = re.compile(r"\$\{\s*([^\s{}]*\.(?:host|port))\s*\}")
