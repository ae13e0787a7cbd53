"""What a YAML file says about a server: its domain, description, value and whether it was verified."""

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
    """What the first resources server in a configuration says."""
    return _visit(data, "resources_servers", level)


def visit_agent_server(data: Mapping[str, Any], level: int = 1) -> ServerMetadata:
    """What the first agent in a configuration says."""
    return _visit(data, "responses_api_agents", level)


def _visit(data: Mapping[str, Any], kind: str, level: int) -> ServerMetadata:
    """`level` counts down to where the server's type is looked for: 1 for an instance's parent."""
    for value in (data,) if level == 0 else data.values():
        if isinstance(value, Mapping) and isinstance(
            block := cast("Mapping[str, Any]", value).get(kind), Mapping
        ):
            fields: Any = next(iter(cast("Mapping[str, Any]", block).values()), None) or {}
            known = {name: fields[name] for name in ServerMetadata.__slots__ if fields.get(name) is not None}
            return ServerMetadata(**known)
    return ServerMetadata()
