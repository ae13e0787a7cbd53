"""The three kinds of server, and which implementations of each come with this package."""

from __future__ import annotations

import inspect
from typing import Final, Literal, TypeAlias, get_args

from nemo_gym.agents import registry as agents
from nemo_gym.environments.discovery import find_environment, list_environments
from nemo_gym.models import registry as models

Kind: TypeAlias = Literal["resources_servers", "responses_api_agents", "responses_api_models"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PLACEHOLDER: Final = "dummy_model"
"""The placeholder for the model that the user chooses."""
EXPOSE: Final = "expose_tools_over_mcp"
"""Setting of any environment: whether its server offers the tools over MCP too."""
ENTRYPOINT: Final = "app.py"
"""The entry point of built-in implementations, which have no file to start."""


def builtin_names(kind: Kind) -> list[str]:
    """Implementations that need no folder, the names of the original package included."""
    match kind:
        case "resources_servers":
            return [info.name for info in list_environments(roots=[])]
        case "responses_api_agents":
            return sorted({*agents.AGENTS, *agents.ALIASES})
        case "responses_api_models":
            return sorted({*models.TYPES, *models.ALIASES, *models.PROVIDERS})


def builtin_settings(kind: Kind, implementation: str) -> list[str] | None:
    """The settings a built-in implementation has; None when it is not one, or a model that checks its own."""
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


def as_kind(name: object) -> Kind | None:
    """The kind of that name."""
    return next((kind for kind in KINDS if kind == name), None)
