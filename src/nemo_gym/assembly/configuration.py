"""A run from a configuration: in this process if its components can run here, else through servers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from nemo_gym.agents.registry import ALIASES, find_agent
from nemo_gym.assembly.arguments import Arguments
from nemo_gym.assembly.asks import ask_changes
from nemo_gym.assembly.job import Assembly, assembly_of_arguments, job_of, output_path
from nemo_gym.assembly.messages import SILENT, Messages
from nemo_gym.capture.settings import CaptureSettings, capture_settings, settle_folders
from nemo_gym.config.implementations import implementation_folder
from nemo_gym.config.instances import Instance
from nemo_gym.config.resolve import Config
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.config.skills import load_skills
from nemo_gym.config.sources import search_roots
from nemo_gym.config.tree import Tree
from nemo_gym.config.values import format_value
from nemo_gym.datasets.tasks import RunTasks, find_tasks
from nemo_gym.environments.base import Environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.task_sources import Source
from nemo_gym.serving.instance_specs import Single, environment_spec, server_sources, single
from nemo_gym.serving.sockets import http_url, reachable
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError, did_you_mean

_SET_THERE: Final = (
    "this run starts servers; set it in the configuration, for instance "
    "++my_agent.responses_api_agents.simple_agent.max_steps=8"
)


class Resolve(Protocol):
    """Resolves the configuration that the caller selects."""

    def __call__(self, *more: str, offline: bool = False) -> Config:
        """The configuration with `more` changes; the caller's own changes win over them."""
        ...


def assembly_of_configuration(
    arguments: Arguments,
    settings: RunSettings,
    resolve: Resolve,
    search_dirs: Sequence[Path] = (),
    messages: Messages = SILENT,
) -> Assembly:
    """The run of a configuration; the arguments and settings win over it.

    Raises:
        ConfigError: the configuration is wrong.
        UsageError: a component is missing, or an argument can't be honoured.
    """

    def with_captures(*more: str, offline: bool = False) -> Config:
        return resolve(*more, *_capture_changes(arguments.capture_dir), offline=offline)

    roots = search_roots(search_dirs)
    config = with_captures(offline=arguments.no_serve)
    if changes := ask_changes(arguments.asks, config, roots):
        resolve = partial(resolve, *changes)
        config = with_captures(offline=arguments.no_serve)
    for notice in config.notices:
        messages.note(notice)
    settings = settings.over(config.tree)
    columns = _columns(settings, roots)
    if arguments.no_serve:
        assembly = _of_running_servers(config, arguments, settings, search_dirs)
    else:
        arguments.refuse("environment_url", "agent_url", why="the configuration names every server")
        agents = config.of("responses_api_agents")
        if not agents:
            raise UsageError("no agent in the configuration: name an environment, or give a file").about(
                "environment", "config"
            )
        names = [agent.name for agent in agents]
        if settings.agent not in (None, *names):
            hint = did_you_mean(settings.agent or "", names)
            raise UsageError(f"the configuration has no agent {settings.agent!r}.{hint}").about("agent")
        local = None if settings.rollout_collection_driver else single(config, roots)
        assembly = (
            _through_servers(config, arguments, settings, with_captures, roots, messages)
            if local is None
            else _in_this_process(config, local, arguments, settings, roots, messages)
        )
    return replace(assembly, job=replace(assembly.job, columns=columns))


def _of_running_servers(
    config: Config, arguments: Arguments, settings: RunSettings, search_dirs: Sequence[Path]
) -> Assembly:
    head_url = arguments.head_url or _head_url(config.tree)
    elsewhere = replace(arguments, environment="", settings={}, head_url=head_url)
    capture = _capture(config.tree, config, Path(config.tree["results_dir"]))
    head = urlsplit(head_url)
    tree = {**config.tree, "head_server": {"host": head.hostname, "port": head.port or 80}}
    assembly = assembly_of_arguments(elsewhere, settings, search_dirs)
    return replace(assembly, job=replace(assembly.job, capture=capture), tree=tree)


def _in_this_process(
    config: Config,
    local: Single,
    arguments: Arguments,
    settings: RunSettings,
    roots: Sequence[Path],
    messages: Messages,
) -> Assembly:
    environment = environment_spec(local.environment, config.instances)

    def own_tasks(_: Instance, split: str) -> Source | None:
        return Source() if _has_own(find_environment(environment.ref), split) else None

    tasks = _report_tasks(find_tasks([local.agent], settings, roots, own_tasks), messages)
    settings = msgspec.structs.replace(settings, split=tasks.split)
    output = output_path(settings, local.environment.name)
    job = job_of(
        settings,
        environment=environment,
        model=_model_spec(local.model, arguments),
        agent=_agent_spec(local.agent, arguments),
        agent_name=local.agent.name,
        input=None if tasks.sources == (Source(),) else tasks.sources,
        output=output,
        capture=_capture(config.tree, config, _capture_folder(output)),
    )
    return Assembly(job=job, settings=settings)


def _through_servers(
    config: Config,
    arguments: Arguments,
    settings: RunSettings,
    resolve: Resolve,
    roots: Sequence[Path],
    messages: Messages,
) -> Assembly:
    arguments.refuse("model_timeout", "model_settings", "record", "agent_settings", why=_SET_THERE)
    try:
        from nemo_gym.assembly.servers import launch_for_run, open_servers
    except ImportError:
        raise UsageError("this configuration needs servers: pip install 'nemo-gym[serve]'") from None

    def own_tasks(agent: Instance, split: str) -> Source | None:
        reference = agent.references.get("resources_server")
        instance = config.instances[reference.name] if reference else None
        if instance is None or implementation_folder(instance, roots):
            return None
        environment = environment_spec(instance, config.instances).build()
        has_own = _has_own(type(environment), split)
        return Source(environment=environment, agent=agent.name) if has_own else None

    agents = config.of("responses_api_agents")
    tasks = _report_tasks(find_tasks(agents, settings, roots, own_tasks), messages)
    settings = msgspec.structs.replace(settings, split=tasks.split)
    default = settings.agent or (agents[0].name if len(agents) == 1 else "")
    output = output_path(settings, "servers")
    job = job_of(
        settings,
        environment=EnvironmentSpec(settings=server_sources(config, roots)),
        model=ModelSpec("none"),
        agent=AgentSpec("remote_run", {"agent": default}),
        input=tasks.sources,
        output=output,
    )
    if settings.dry_run:
        return Assembly(job=job, settings=settings)

    def resolve_run() -> Config:
        run_config = resolve("++head_server.port=0")
        settle_folders(run_config.tree, _capture_folder(output))
        return run_config

    launch = launch_for_run(resolve_run, roots, output.with_name(f"{output.stem}_server_logs"))
    transient = {"head_url": _head_url(launch.tree), "token": launch.token}
    job = replace(
        job,
        agent=msgspec.structs.replace(job.agent, transient=transient),
        capture=_capture(launch.tree, config, _capture_folder(output)),
    )
    return Assembly(job=job, settings=settings, around=open_servers(launch, messages), tree=launch.tree)


def _capture_changes(folder: str) -> list[str]:
    """The changes to a configuration that record every model call in this folder."""
    if not folder:
        return []
    return ["++observability_enabled=true", f"++model_call_capture_dir={format_value(folder)}"]


def _capture(tree: Tree, config: Config, folder: Path) -> CaptureSettings | None:
    """Which model calls a configuration records; `folder` is the default folder."""
    settle_folders(tree, folder)
    agents = {agent.name: agent.settings for agent in config.of("responses_api_agents")}
    return capture_settings(tree, agents)


def _capture_folder(output: Path) -> Path:
    return output.with_name(f"{output.stem}_captures")


def _report_tasks(tasks: RunTasks, messages: Messages) -> RunTasks:
    for path in tasks.downloads:
        messages.progress(f"downloaded {path}")
    for name in tasks.idle_agents:
        messages.note(f"{name} has no data set of type {tasks.split!r}")
    return tasks


def _head_url(tree: Tree) -> str:
    head = tree["head_server"]
    return http_url(reachable(head["host"]), head["port"])


def _has_own(kind: type[Environment], split: str) -> bool:
    """Whether an environment makes tasks, or has a file of tasks for the split."""
    return kind.tasks is not Environment.tasks or (kind.folder() / "data" / f"{split}.jsonl").exists()


def _columns(settings: RunSettings, roots: Sequence[Path]) -> dict[str, Any]:
    if settings.skills is None:
        return {}
    return {keys.SKILLS_REF: msgspec.to_builtins(load_skills(settings.skills.path, roots))}


def _model_spec(instance: Instance, arguments: Arguments) -> ModelSpec:
    """The model; the arguments win over the configuration."""
    own = {"timeout": arguments.model_timeout, "record": arguments.record or None}
    fields = {key: value for key, value in own.items() if value is not None} | arguments.model_settings
    return ModelSpec.of_instance(instance.implementation, instance.settings | fields)


def _agent_spec(instance: Instance, arguments: Arguments) -> AgentSpec:
    """The agent; the arguments win over the configuration."""
    name, settings = instance.implementation, instance.settings
    takes = inspect.signature(find_agent(name)).parameters
    own = {key: settings[key] for key in settings if key in takes and settings[key] is not None}
    configured = {key: value for key, value in own.items() if key not in instance.references}
    return AgentSpec(ALIASES.get(name, name), configured | arguments.agent_settings)
