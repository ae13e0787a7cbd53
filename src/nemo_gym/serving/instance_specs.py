"""Turns instances of a configuration into specs of a run's parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.config.implementations import environment_of, environment_reference, implementation_folder
from nemo_gym.config.instances import Instance, Reference
from nemo_gym.config.resolve import Config
from nemo_gym.config.server_kinds import asked_reference
from nemo_gym.environments.base import Environment
from nemo_gym.runs.asked_specs import asked_spec
from nemo_gym.runs.component_specs import EnvironmentSpec, ModelSpec


@dataclass(frozen=True, slots=True)
class Single:
    """One environment, one agent and its model, which run without servers."""

    environment: Instance
    agent: Instance
    model: Instance


def single(config: Config, roots: Sequence[Path]) -> Single | None:
    """The parts of a configuration that runs in this process without servers: one agent, its environment and
    its model, all components with a name. None for other configurations."""
    agents = config.of("responses_api_agents")
    if len(agents) != 1:
        return None
    (agent,) = agents
    parts = {field: config.instances[reference.name] for field, reference in agent.references.items()}
    if parts.keys() != {"resources_server", "model_server"} or agent.settings.get("skip_verification"):
        return None
    environment, model = parts["resources_server"], parts["model_server"]
    if model.references or any(implementation_folder(one, roots) for one in (agent, *parts.values())):
        return None
    instances = _asked_instances(environment, config.instances)
    if len(instances) < len(environment.references):
        return None
    if any(
        implementation_folder(one, roots) or one.references or _model_of(one).starts_engine
        for one in instances
    ):
        return None
    return Single(environment, agent, model)


def environment_spec(instance: Instance, instances: Mapping[str, Instance]) -> EnvironmentSpec:
    """The spec of an environment with a name, with its settings and the models that it asks.

    Args:
        instances: all instances of the configuration.

    Raises:
        UsageError: there is no such environment, or a setting of a model is wrong.
    """
    kind, settings = environment_of(instance)
    models = {
        name: _model_of(instances[source.name]) if isinstance(source, Reference) else asked_spec(name, source)
        for name, source in asked_sources(kind, instance).items()
    }
    return EnvironmentSpec(environment_reference(instance), settings, models=models)


def asked_sources(kind: type[Environment], instance: Instance) -> dict[str, Reference | Mapping[str, Any]]:
    """The sources of the models that an environment asks, by name: settings, or a reference to the instance
    of a model in `<name>` or `<name>_model_server`."""
    references = instance.references
    sources: dict[str, Reference | Mapping[str, Any]] = {}
    for name in kind.asks:
        settings = instance.settings.get(name)
        if name in references:
            sources[name] = references[name]
        elif isinstance(settings, Mapping):
            sources[name] = settings
        elif (server := asked_reference(name)) in references:
            sources[name] = references[server]
    return sources


def _asked_instances(environment: Instance, instances: Mapping[str, Instance]) -> list[Instance]:
    """The instances of models that an environment asks."""
    if not environment.references:
        return []
    kind, _ = environment_of(environment)
    sources = asked_sources(kind, environment).values()
    return [instances[source.name] for source in sources if isinstance(source, Reference)]


def _model_of(instance: Instance) -> ModelSpec:
    return ModelSpec.of_instance(instance.implementation, instance.settings)


def server_sources(config: Config, roots: Sequence[Path]) -> dict[str, Any]:
    """The settings and a hash of the code of all servers, without addresses, to compare on resume."""
    return {
        instance.name: {
            "kind": instance.kind,
            "implementation": instance.implementation,
            "settings": instance.settings,
            "code": _code(instance, config.instances, roots),
        }
        for instance in config.instances.values()
    }


def _code(instance: Instance, instances: Mapping[str, Instance], roots: Sequence[Path]) -> str:
    folder = implementation_folder(instance, roots)
    if folder is not None:
        digest = hashlib.sha256()
        for file in sorted(folder.glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:16]
    if instance.kind == "resources_servers":
        spec = environment_spec(instance, instances)
        return spec.public(spec.build())["fingerprint"]
    return ""
