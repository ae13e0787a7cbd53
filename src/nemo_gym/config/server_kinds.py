"""The three kinds of server, and the implementations of each in this package."""

from __future__ import annotations

import inspect
from typing import Final, Literal, TypeAlias, get_args

from nemo_gym.agents import registry as agents
from nemo_gym.environments.discovery import find_environment, installed_names
from nemo_gym.models import registry as models

ServerKind: TypeAlias = Literal["resources_servers", "responses_api_agents", "responses_api_models"]

KINDS: Final[tuple[ServerKind, ...]] = get_args(ServerKind)
PLACEHOLDER: Final = "dummy_model"
"""The placeholder for the model that the user chooses."""
EXPOSE: Final = "expose_tools_over_mcp"
"""The setting of an environment for whether its server also offers the tools over MCP."""
ENTRYPOINT: Final = "app.py"
"""The entry point of built-in implementations, which have no file to start."""


def builtin_names(kind: ServerKind) -> list[str]:
    """Implementations that need no folder, the names of the original package included."""
    match kind:
        case "resources_servers":
            return installed_names()
        case "responses_api_agents":
            return sorted({*agents.AGENTS, *agents.ALIASES})
        case "responses_api_models":
            return sorted({*models.TYPES, *models.ALIASES, *models.PROVIDERS})


def builtin_settings(kind: ServerKind, implementation: str) -> list[str] | None:
    """The settings of a built-in implementation; None for others, and for models, which check their own."""
    if implementation not in builtin_names(kind):
        return None
    match kind:
        case "resources_servers":
            environment = find_environment(implementation, roots=[])
            asks = environment.asks
            return [*environment.Config.__struct_fields__, EXPOSE, *asks, *map(asked_reference, asks)]
        case "responses_api_agents":
            return list(inspect.signature(agents.find_agent(implementation)).parameters)
        case "responses_api_models":
            return ["name", "record"] if implementation in ("scripted", "replay") else None


def asked_reference(name: str) -> str:
    """The setting of an environment that refers to the instance of a model which it asks."""
    return f"{name}_model_server"


def as_kind(name: object) -> ServerKind | None:
    """The kind of that name."""
    return next((kind for kind in KINDS if kind == name), None)
