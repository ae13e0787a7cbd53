"""Resolves a configuration whose values refer to hosts and ports that are chosen while it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Final

from nemo_gym.config.hosts import assign_addresses, open_port
from nemo_gym.config.instances import OFFLINE_PORT, Found, find_instances
from nemo_gym.config.interpolation import interpolate
from nemo_gym.config.server_kinds import KINDS
from nemo_gym.config.settings import read_settings
from nemo_gym.config.tree import Tree, as_mapping, get, leaves, parse_path

HEAD: Final = "head_server"


def interpolate_with_addresses(
    tree: Tree, complete: Callable[[Tree], None], *, offline: bool
) -> tuple[Tree, Found]:
    """The tree without interpolations, an address for every instance and for the head server, and the
    instances.

    Args:
        complete: adds to the interpolated tree what goes without saying.
        offline: choose no ports; what refers to one that would be chosen stays as it is written.

    Raises:
        ConfigError: what is wrong with it.
    """
    if not any(_ADDRESS.search(value) for _, value in leaves(tree) if isinstance(value, str)):
        plain = interpolate(tree)
        complete(plain)
        servers = find_instances(plain)
        assign_addresses(plain, servers.instances, offline=offline)
        return plain, servers
    opened = deepcopy(tree)
    for fields in _served(opened):
        fields["host"] = fields.get("host") or ""
        fields["port"] = fields.get("port") or OFFLINE_PORT
    opened[HEAD] = {"host": "", "port": read_settings({}).head_server.port, **(opened.get(HEAD) or {})}
    chosen = interpolate(opened)
    instances = find_instances(chosen).instances
    assign_addresses(chosen, instances, offline=offline)
    head = chosen[HEAD]
    if not head["port"] and not offline:
        low, high = chosen["port_range_low"], chosen["port_range_high"]
        head["port"] = open_port(head["host"], low, high, chosen["disallowed_ports"])
    for one in instances.values():
        path = (one.name, one.kind, one.implementation)
        fields = get(chosen, path)
        get(opened, path).update(host=fields["host"], port=fields["port"])
    settings = ("port_range_low", "port_range_high", "disallowed_ports", HEAD)
    final = interpolate(opened | {key: chosen[key] for key in settings})
    if offline:
        _leave_open(final, tree)
    complete(final)
    return final, find_instances(final)


def _served(tree: Tree) -> Iterator[Tree]:
    """The settings of everything that may be an instance."""
    for value in tree.values():
        for kind in KINDS:
            for fields in as_mapping(as_mapping(value).get(kind)).values():
                if isinstance(fields, dict):
                    yield fields


def _leave_open(final: Tree, original: Tree) -> None:
    """Put back every text that refers to a port that was not chosen."""
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
