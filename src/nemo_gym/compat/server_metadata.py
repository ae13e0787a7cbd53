"""Reads the facts about a server in a YAML file: domain, description, value and verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast


@dataclass(slots=True)
class ServerMetadata:
    domain: str | None = None
    description: str | None = None
    verified: bool = False
    verified_url: str | None = None
    value: str | None = None

    def to_dict(self) -> dict[str, str | bool | None]:
        return asdict(self)


def visit_resources_server(data: Mapping[str, Any], level: int = 1) -> ServerMetadata:
    """The facts about the first resources server in a configuration."""
    return _visit(data, "resources_servers", level)


def visit_agent_server(data: Mapping[str, Any], level: int = 1) -> ServerMetadata:
    """The facts about the first agent in a configuration."""
    return _visit(data, "responses_api_agents", level)


def _visit(data: Mapping[str, Any], kind: str, level: int) -> ServerMetadata:
    """`level` is the depth of the instances: 0 for the settings of one instance, 1 for a configuration."""
    for value in (data,) if level == 0 else data.values():
        if isinstance(value, Mapping) and isinstance(
            block := cast("Mapping[str, Any]", value).get(kind), Mapping
        ):
            fields: Any = next(iter(cast("Mapping[str, Any]", block).values()), None) or {}
            facts = {name: fields[name] for name in ServerMetadata.__slots__ if fields.get(name) is not None}
            return ServerMetadata(**facts)
    return ServerMetadata()
