"""The parts of a run from a configuration: in this process where that will do, else through servers."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from nemo_gym.agents.registry import ALIASES, find_agent
from nemo_gym.assembly.parts import ComponentFlags, Parts, output_path, parts_of_flags
from nemo_gym.capture.settings import CaptureSettings, capture_settings, settle_folders
from nemo_gym.cli.texts import print_note
from nemo_gym.config.implementations import implementation_folder
from nemo_gym.config.instances import Instance
from nemo_gym.config.resolve import Config
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.config.skills import load_skills
from nemo_gym.config.sources import search_roots
from nemo_gym.config.tree import Tree
from nemo_gym.datasets.tasks import FoundTasks, find_tasks
from nemo_gym.environments.base import Environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.task_sources import Source
from nemo_gym.serving.sockets import http_url, reachable
from nemo_gym.serving.specs import Single, described, environment_spec, single
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError, did_you_mean

_SET_THERE: Final = (
    "this run starts servers; set it in the configuration, for instance "
    "++my_agent.responses_api_agents.simple_agent.max_steps=8"
)


class Resolved(Protocol):
    """Resolves the configuration that the command's words and flags select."""

    def __call__(self, *more: str, offline: bool = False) -> Config:
        """With `more` changes, which the user's own win over."""
        ...


def parts_of_configuration(
    flags: ComponentFlags, asked: RunSettings, resolved: Resolved, search_dirs: Sequence[Path]
) -> Parts:
    """The parts of a run over a configuration.

    Raises:
        ConfigError: what is wrong with the configuration.
        UsageError: something is missing, or a flag asks for what can't be honoured.
    """
    roots = search_roots(search_dirs)
    found = resolved(offline=flags.no_serve)
    for notice in found.notices:
        print_note(notice)
    asked = asked.over(found.tree)
    columns = _columns(asked, roots)
    if flags.no_serve:
        elsewhere = replace(flags, words=[], head_url=flags.head_url or _head_url(found.tree))
        capture = _capture(found.tree, found, Path(found.tree["results_dir"]))
        at = urlsplit(elsewhere.head_url)
        tree = {**found.tree, "head_server": {"host": at.hostname, "port": at.port or 80}}
        made = parts_of_flags(elsewhere, asked, search_dirs)
        return replace(made, columns=columns, capture=capture, tree=tree)
    flags.refuse("environment_url", "agent_url", why="the configuration says where everything is")
    agents = found.of("responses_api_agents")
    if not agents:
        raise UsageError("no agent in the configuration: name one with --environment NAME or --config PATH")
    if asked.agent_name not in (None, *(agent.name for agent in agents)):
        hint = did_you_mean(asked.agent_name or "", [agent.name for agent in agents])
        raise UsageError(f"--agent: the configuration has no agent {asked.agent_name!r}.{hint}")
    alone = None if asked.rollout_collection_driver else single(found, roots)
    if alone is None:
        return replace(_through_servers(found, flags, asked, resolved, roots), columns=columns)
    parts = _in_this_process(alone, flags, asked, roots)
    return replace(parts, columns=columns, capture=_capture(found.tree, found, _captures(parts.output)))


def _in_this_process(
    alone: Single, flags: ComponentFlags, asked: RunSettings, roots: Sequence[Path]
) -> Parts:
    environment = environment_spec(alone.environment)

    def own(_: Instance, split: str) -> Source | None:
        return Source() if _has_own(find_environment(environment.ref), split) else None

    tasks = _told(find_tasks([alone.agent], asked, roots, own))
    return Parts(
        environment=environment,
        model=_model_spec(alone.model, flags),
        agent=_agent_spec(alone.agent, flags),
        agent_name=alone.agent.name,
        asked=msgspec.structs.replace(asked, split=tasks.split),
        input=None if tasks.sources == (Source(),) else tasks.sources,
        output=output_path(asked, alone.environment.name),
    )


def _through_servers(
    found: Config, flags: ComponentFlags, asked: RunSettings, resolved: Resolved, roots: Sequence[Path]
) -> Parts:
    settings = ("model_timeout", "model_settings", "record", "agent_arguments")
    flags.refuse(*settings, why=_SET_THERE)
    try:
        from nemo_gym.assembly.servers import launch_for_run, served
    except ImportError:
        raise UsageError("this configuration needs servers: pip install 'nemo-gym[serve]'") from None

    def own(agent: Instance, split: str) -> Source | None:
        played = agent.references.get("resources_server")
        environment = found.instances[played.name] if played else None
        if environment is None or implementation_folder(environment, roots):
            return None
        made = environment_spec(environment).build()
        return Source(environment=made, agent=agent.name) if _has_own(type(made), split) else None

    agents = found.of("responses_api_agents")
    tasks = _told(find_tasks(agents, asked, roots, own))
    default = asked.agent_name or (agents[0].name if len(agents) == 1 else "")
    output = output_path(asked, "servers")
    logs = output.with_name(f"{output.stem}_server_logs")
    made = Parts(
        environment=EnvironmentSpec(settings=described(found, roots)),
        model=ModelSpec("none"),
        agent=AgentSpec("remote_run", {"agent": default}),
        asked=msgspec.structs.replace(asked, split=tasks.split),
        input=tasks.sources,
        output=output,
    )
    if asked.dry_run:
        return made

    def settled() -> Config:
        config = resolved("++head_server.port=0")
        settle_folders(config.tree, _captures(output))
        return config

    launch = launch_for_run(settled, roots, logs)
    reached = {"head_url": _head_url(launch.tree), "token": launch.token}
    return replace(
        made,
        agent=msgspec.structs.replace(made.agent, passing=reached),
        capture=_capture(launch.tree, found, _captures(output)),
        around=served(launch),
        tree=launch.tree,
    )


def _capture(tree: Tree, config: Config, folder: Path) -> CaptureSettings | None:
    """What of the model calls a configuration wants kept; `folder` is for what it names no folder for."""
    settle_folders(tree, folder)
    agents = {agent.name: agent.settings for agent in config.of("responses_api_agents")}
    return capture_settings(tree, agents)


def _captures(output: Path) -> Path:
    return output.with_name(f"{output.stem}_captures")


def _told(tasks: FoundTasks) -> FoundTasks:
    for path in tasks.fetched:
        sys.stderr.write(f"downloaded {path}\n")
    for name in tasks.without:
        print_note(f"{name} has no data set of type {tasks.split!r}")
    return tasks


def _head_url(tree: Tree) -> str:
    head = tree["head_server"]
    return http_url(reachable(head["host"]), head["port"])


def _has_own(kind: type[Environment], split: str) -> bool:
    """Whether an environment makes tasks, or has a file of that split."""
    made = kind.tasks is not Environment.tasks
    return made or (kind.folder() / "data" / f"{split}.jsonl").exists()


def _columns(asked: RunSettings, roots: Sequence[Path]) -> dict[str, Any]:
    if asked.skills is None:
        return {}
    return {keys.SKILLS_REF: msgspec.to_builtins(load_skills(asked.skills.path, roots))}


def _model_spec(instance: Instance, flags: ComponentFlags) -> ModelSpec:
    """The model; the flags win over the configuration."""
    given: dict[str, Any] = {"timeout": flags.model_timeout, "record": flags.record or None}
    fields = {key: value for key, value in given.items() if value is not None} | flags.model_settings
    return ModelSpec.of_instance(instance.implementation, instance.settings | fields)


def _agent_spec(instance: Instance, flags: ComponentFlags) -> AgentSpec:
    """The agent; the flags win over the configuration."""
    name, settings = instance.implementation, instance.settings
    takes = inspect.signature(find_agent(name)).parameters
    own = {key: settings[key] for key in settings if key in takes and settings[key] is not None}
    arguments = {key: value for key, value in own.items() if key not in instance.references}
    return AgentSpec(ALIASES.get(name, name), arguments | flags.agent_arguments)
