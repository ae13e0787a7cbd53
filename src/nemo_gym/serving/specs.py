"""What instances of a configuration are to a run: parts that are found by name, or programs with code of
their own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.config.implementations import environment_of, environment_reference, implementation_folder
from nemo_gym.config.instances import Instance
from nemo_gym.config.resolve import Config
from nemo_gym.runs.component_specs import EnvironmentSpec


@dataclass(frozen=True, slots=True)
class Single:
    """One environment, one agent and its model, which need no servers."""

    environment: Instance
    agent: Instance
    model: Instance


def single(config: Config, roots: Sequence[Path]) -> Single | None:
    """The parts of a configuration that can be run in this process: one agent, the environment and the model
    that it refers to, all of them components that are found by name; None for any other."""
    agents = config.of("responses_api_agents")
    if len(agents) != 1:
        return None
    (agent,) = agents
    used = {field: config.instances[reference.name] for field, reference in agent.references.items()}
    if used.keys() != {"resources_server", "model_server"} or agent.settings.get("skip_verification"):
        return None
    environment, model = used["resources_server"], used["model_server"]
    if (
        environment.references
        or model.references
        or any(implementation_folder(one, roots) for one in (agent, *used.values()))
    ):
        return None
    return Single(environment, agent, model)


def environment_spec(instance: Instance) -> EnvironmentSpec:
    """An environment that is found by name, with those settings that it has."""
    _, settings = environment_of(instance)
    return EnvironmentSpec(environment_reference(instance), settings)


def described(config: Config, roots: Sequence[Path]) -> dict[str, Any]:
    """What servers are started from, to be written down and compared on resume: settings and code, and no
    addresses."""
    return {
        instance.name: {
            "kind": instance.kind,
            "implementation": instance.implementation,
            "settings": instance.settings,
            "code": _code(instance, roots),
        }
        for instance in config.instances.values()
    }


def _code(instance: Instance, roots: Sequence[Path]) -> str:
    folder = implementation_folder(instance, roots)
    if folder is not None:
        digest = hashlib.sha256()
        for file in sorted(folder.glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:16]
    if instance.kind == "resources_servers":
        spec = environment_spec(instance)
        return spec.public(spec.build())["fingerprint"]
    return ""
