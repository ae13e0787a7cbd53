"""Which environments score the rollouts of a file, as the words and flags of a command say."""

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
    """What the caller names: environments, and perhaps a configuration."""

    @property
    def names(self) -> list[str]:
        """Of environments."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """Of the environment, where there is no configuration."""
        ...

    @property
    def is_configured(self) -> bool:
        """Whether a configuration is named, or changes to one."""
        ...

    def resolve(self, *more: str, offline: bool) -> Config:
        """The configuration, with `more` changes."""
        ...

    def roots(self) -> list[Path]:
        """Where names and relative paths are looked up."""
        ...


@dataclass(frozen=True, slots=True)
class Scoring:
    """Who scores, and what has to be there meanwhile."""

    scorer: EnvironmentSpec
    around: AbstractAsyncContextManager[None]


def scoring(
    selected: Selection,
    rollouts: Path,
    *,
    url: str,
    token: str,
    logs: Path,
    asks: AskSettings,
    messages: Messages,
) -> Scoring:
    """The environment at a URL, the one named, those of a configuration, or else the one that the manifest of
    the rollouts names.

    Environments of this package and files of the user's are there in this process; a server of the user's own
    is started, with what it refers to.

    Args:
        logs: folder for what servers print.
        asks: settings of the models that the environment asks.

    Raises:
        UsageError: nothing says which environment, or what is said can't be found.
        ConfigError: what is wrong with the configuration.
    """
    names = selected.names
    if url:
        scorer = EnvironmentSpec("".join(names[:1]), url=url, token=token)
        return Scoring(with_asked(scorer, asks), nullcontext())
    if selected.is_configured:
        return _configured(selected, logs, asks, messages)
    if names:
        return Scoring(with_asked(EnvironmentSpec(names[0], selected.settings), asks), nullcontext())
    run = RunPaths.of(rollouts)
    recorded = recorded_scorer(run) if run.manifest.exists() else EnvironmentSpec()
    if not recorded.ref:
        raise UsageError(
            f"which environment? {run.manifest} names none: name one, or say where its server is"
        ).about("environment_url", "config")
    return Scoring(with_asked(recorded, asks), nullcontext())


def scorers_known(selected: Selection, head_url: str) -> tuple[EnvironmentSpec | None, str]:
    """The environments that the words and flags name, as far as they are there in this process, and the URL
    of the head server whose agents know more.

    Raises:
        ConfigError: what is wrong with the configuration.
    """
    if not selected.is_configured:
        names = selected.names
        return (EnvironmentSpec(names[0], selected.settings) if names else None), head_url
    config = selected.resolve(offline=True)
    roots = selected.roots()
    environments = config.of("resources_servers")
    here = {
        one.name: environment_spec(one, config.instances)
        for one in environments
        if not implementation_folder(one, roots)
    }
    if len(here) == len(environments):
        return _by_agent(config, here), head_url
    head = config.tree["head_server"]
    return _by_agent(config, here, only=False), head_url or http_url(reachable(head["host"]), head["port"])


def _configured(selected: Selection, logs: Path, asks: AskSettings, messages: Messages) -> Scoring:
    config = selected.resolve(offline=True)
    roots = selected.roots()
    changes = ask_changes(asks, config, roots)
    if changes:
        config = selected.resolve(*changes, offline=True)
    environments = config.of("resources_servers")
    if not environments:
        raise UsageError("the configuration has no environment: name one").about("environment")
    if any(implementation_folder(one, roots) for one in environments):
        return _started(selected, config, changes, logs, messages)
    specs = {one.name: environment_spec(one, config.instances) for one in environments}
    return Scoring(_by_agent(config, specs), nullcontext())


def _by_agent(config: Config, specs: dict[str, EnvironmentSpec], *, only: bool = True) -> EnvironmentSpec:
    """An environment that is the only one scores everything; others what the agents that use them did."""
    if only and len(specs) == 1:
        return next(iter(specs.values()))
    agents = {
        agent.name: specs[agent.references["resources_server"].name]
        for agent in config.of("responses_api_agents")
        if agent.references.get("resources_server") and agent.references["resources_server"].name in specs
    }
    return Scorers(agents=agents)


def _started(
    selected: Selection, config: Config, changes: Sequence[str], logs: Path, messages: Messages
) -> Scoring:
    try:
        from nemo_gym.assembly.servers import launch_for_run, served
    except ImportError:
        raise UsageError("this configuration needs servers: pip install 'nemo-gym[serve]'") from None
    open_ones = [f"++{key}=''" for key in POLICY_SETTINGS if not config.tree.get(key)]

    def resolved() -> Config:
        return _scoring_part(selected.resolve(*changes, *open_ones, "++head_server.port=0", offline=False))

    launch = launch_for_run(resolved, selected.roots(), logs)
    specs = {
        one.name: EnvironmentSpec(url=http_url(reachable(one.host), one.port), token=launch.token)
        for one in launch.instances.values()
        if one.kind == "resources_servers"
    }
    return Scoring(_by_agent(config, specs), served(launch, messages))


def _scoring_part(config: Config) -> Config:
    """The environments, and what they refer to."""
    kept = {one.name: one for one in config.of("resources_servers")}
    used = [reference.name for one in kept.values() for reference in one.references.values()]
    kept |= {name: config.instances[name] for name in used}
    tree = {key: value for key, value in config.tree.items() if key in kept or key not in config.instances}
    return replace(config, tree=tree, instances=kept)
