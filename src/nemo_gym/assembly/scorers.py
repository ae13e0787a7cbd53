"""The environments that score the rollouts of a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from nemo_gym.assembly.asks import ask_changes
from nemo_gym.assembly.messages import Messages
from nemo_gym.config.builtins import POLICY_SETTINGS
from nemo_gym.config.implementations import implementation_folder
from nemo_gym.config.resolve import Config
from nemo_gym.runs.asked_specs import AskSettings, with_asked
from nemo_gym.runs.component_specs import EnvironmentSpec
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.scorer_environments import Scorers, recorded_scorer
from nemo_gym.serving.instance_specs import environment_spec
from nemo_gym.serving.sockets import http_url, reachable
from nemo_gym.wire.errors import UsageError


class Selection(Protocol):
    """The caller's choice of environments, and of a configuration if there is one."""

    @property
    def names(self) -> list[str]:
        """The names of environments."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the environment, if there is no configuration."""
        ...

    @property
    def is_configured(self) -> bool:
        """Whether the caller names or changes a configuration."""
        ...

    def resolve(self, *more: str, offline: bool) -> Config:
        """The configuration, with `more` changes."""
        ...

    def roots(self) -> list[Path]:
        """The folders in which names and relative paths are looked up."""
        ...


@dataclass(frozen=True, slots=True)
class Scoring:
    """The environments that score, and what must be open while they do."""

    scorer: EnvironmentSpec
    around: AbstractAsyncContextManager[None]


def scoring(
    selection: Selection,
    rollouts: Path,
    *,
    url: str,
    token: str,
    logs: Path,
    asks: AskSettings,
    messages: Messages,
) -> Scoring:
    """The environment at the URL, those of the configuration, the one by name, or the one in the manifest of
    the rollouts: the first of these that there is.

    Environments of this package and environment files run in this process. Other server programs are started,
    with the servers that they refer to.

    Args:
        logs: folder for the output of servers.
        asks: settings of the models that the environment asks.

    Raises:
        UsageError: no environment is named, or it can't be found.
        ConfigError: the configuration is wrong.
    """
    names = selection.names
    if url:
        scorer = EnvironmentSpec("".join(names[:1]), url=url, token=token)
        return Scoring(with_asked(scorer, asks), nullcontext())
    if selection.is_configured:
        return _scoring_of_configuration(selection, logs, asks, messages)
    if names:
        return Scoring(with_asked(EnvironmentSpec(names[0], selection.settings), asks), nullcontext())
    run = RunPaths.of(rollouts)
    recorded = recorded_scorer(run) if run.manifest.exists() else EnvironmentSpec()
    if not recorded.ref:
        raise UsageError(
            f"which environment? {run.manifest} names none: name one, or give the URL of its server"
        ).about("environment_url", "config")
    return Scoring(with_asked(recorded, asks), nullcontext())


def local_scorers(selection: Selection, head_url: str) -> tuple[EnvironmentSpec | None, str]:
    """The environments that can run in this process, and the URL of the head server for the metrics of the
    others.

    Raises:
        ConfigError: the configuration is wrong.
    """
    if not selection.is_configured:
        names = selection.names
        return (EnvironmentSpec(names[0], selection.settings) if names else None), head_url
    config = selection.resolve(offline=True)
    roots = selection.roots()
    environments = config.of("resources_servers")
    local = {
        one.name: environment_spec(one, config.instances)
        for one in environments
        if not implementation_folder(one, roots)
    }
    if len(local) == len(environments):
        return _by_agent(config, local), head_url
    head = config.tree["head_server"]
    return _by_agent(config, local, only=False), head_url or http_url(reachable(head["host"]), head["port"])


def _scoring_of_configuration(
    selection: Selection, logs: Path, asks: AskSettings, messages: Messages
) -> Scoring:
    config = selection.resolve(offline=True)
    roots = selection.roots()
    changes = ask_changes(asks, config, roots)
    if changes:
        config = selection.resolve(*changes, offline=True)
    environments = config.of("resources_servers")
    if not environments:
        raise UsageError("the configuration has no environment: name one").about("environment")
    if any(implementation_folder(one, roots) for one in environments):
        return _scoring_through_servers(selection, config, changes, logs, messages)
    specs = {one.name: environment_spec(one, config.instances) for one in environments}
    return Scoring(_by_agent(config, specs), nullcontext())


def _by_agent(config: Config, specs: dict[str, EnvironmentSpec], *, only: bool = True) -> EnvironmentSpec:
    """Several environments score the rollouts of the agents that use them. A single one scores everything if
    `only` is true."""
    if only and len(specs) == 1:
        return next(iter(specs.values()))
    agents = {
        agent.name: specs[agent.references["resources_server"].name]
        for agent in config.of("responses_api_agents")
        if agent.references.get("resources_server") and agent.references["resources_server"].name in specs
    }
    return Scorers(agents=agents)


def _scoring_through_servers(
    selection: Selection, config: Config, changes: Sequence[str], logs: Path, messages: Messages
) -> Scoring:
    try:
        from nemo_gym.assembly.servers import launch_for_run, open_servers
    except ImportError:
        raise UsageError("this configuration needs servers: pip install 'nemo-gym[serve]'") from None
    open_ones = [f"++{key}=''" for key in POLICY_SETTINGS if not config.tree.get(key)]

    def resolve() -> Config:
        return _scoring_part(selection.resolve(*changes, *open_ones, "++head_server.port=0", offline=False))

    launch = launch_for_run(resolve, selection.roots(), logs)
    specs = {
        one.name: EnvironmentSpec(url=http_url(reachable(one.host), one.port), token=launch.token)
        for one in launch.instances.values()
        if one.kind == "resources_servers"
    }
    return Scoring(_by_agent(config, specs), open_servers(launch, messages))


def _scoring_part(config: Config) -> Config:
    """The configuration with the environments and the instances that they refer to, and no others."""
    instances = {one.name: one for one in config.of("resources_servers")}
    names = [reference.name for one in instances.values() for reference in one.references.values()]
    instances |= {name: config.instances[name] for name in names}
    tree = {
        key: value for key, value in config.tree.items() if key in instances or key not in config.instances
    }
    return replace(config, tree=tree, instances=instances)
