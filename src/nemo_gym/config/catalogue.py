"""The catalogue of components by type: benchmarks, environments, agents, models and resources servers.

Files are read; no code of the user is run.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from nemo_gym.config.integration_profile import takes_any_server
from nemo_gym.config.manifest import Kind
from nemo_gym.config.manifest_composition import main_agent, main_server
from nemo_gym.config.manifest_file import read_manifest
from nemo_gym.config.server_kinds import ENTRYPOINT, ServerKind, builtin_names
from nemo_gym.config.sources import read_yaml
from nemo_gym.config.tree import Tree, as_mapping
from nemo_gym.config.workloads import Workload, find_workloads
from nemo_gym.environments.discovery import list_environments
from nemo_gym.environments.environment_info import library
from nemo_gym.wire.errors import GymError, UsageError, did_you_mean

Status: TypeAlias = Literal["experimental", "no-manifest", "broken"]
BUILT_IN: Final = "built-in"


class Entry(msgspec.Struct, kw_only=True):
    """One component."""

    name: str
    domain: str = ""
    description: str = ""
    source: str = ""
    """`built-in`, an installed package's module, a file or a folder."""


class BenchmarkEntry(Entry, kw_only=True):
    """A repeatable evaluation."""

    agent: str = ""
    num_repeats: int | None = None
    config: str = ""
    dataset: str = ""
    prepare_script: str = ""
    problem: str = ""
    """Why its configuration can't be read; empty when it can."""


class EnvironmentEntry(Entry, kw_only=True):
    """An environment, with or without a manifest; benchmarks are among them."""

    kind: Kind = "environment"
    status: Status = "no-manifest"
    modality: list[str] = []
    licensing: str = ""
    lifecycle: str = ""
    config: str = ""
    manifest: str = ""
    problem: str = ""


class ServerEntry(Entry, kw_only=True):
    """An implementation of one of the three kinds of server."""

    variants: list[str] = []
    """Its configuration files."""
    pattern: Literal["composable", "self-contained", ""] = ""
    """For an agent: whether it acts in any resources server, or brings its own environment."""


def list_benchmarks(roots: Sequence[Path]) -> list[BenchmarkEntry]:
    """Every folder `benchmarks/NAME` with a configuration."""
    return [_benchmark(one, roots) for one in find_workloads(roots) if one.kind == "benchmark" and one.config]


def list_all_environments(roots: Sequence[Path]) -> list[EnvironmentEntry]:
    """Folders with a manifest or a configuration, and every environment with a name."""
    entries = {(one.name, one.kind): _environment(one) for one in find_workloads(roots)}
    for info in list_environments(roots=roots):
        if info.source == BUILT_IN:
            entry = _environment(Workload(info.name, "environment", library()[info.name], None))
        else:
            entry = EnvironmentEntry(
                name=info.name, domain=info.domain, description=info.description, source=info.source
            )
        entries.setdefault((info.name, "environment"), entry)
    return [entries[key] for key in sorted(entries)]


def list_servers(kind: ServerKind, roots: Sequence[Path]) -> list[ServerEntry]:
    """Implementations of a kind: folders of the roots, then those of this package."""
    entries = {one.name: one for one in _builtin_servers(kind, roots)}
    for root in reversed(roots):
        for folder in (root / kind).glob("*/"):
            if any(folder.glob("*.py")):
                entries[folder.name] = _server(kind, folder)
    return [entries[name] for name in sorted(entries)]


TYPES: Final[dict[str, Callable[[Sequence[Path]], Sequence[Entry]]]] = {
    "benchmarks": list_benchmarks,
    "environments": list_all_environments,
    "agents": lambda roots: list_servers("responses_api_agents", roots),
    "models": lambda roots: list_servers("responses_api_models", roots),
    "resources-servers": lambda roots: list_servers("resources_servers", roots),
}
"""What can be listed and searched."""


def pick(entries: Sequence[Entry], name: str, what: str) -> Entry:
    """The entry of that name.

    Raises:
        UsageError: there is none, with the nearest.
    """
    for entry in entries:
        if entry.name == name:
            return entry
    raise UsageError(f"{what} has no {name!r}.{did_you_mean(name, [entry.name for entry in entries])}")


def search(query: str, types: Sequence[str], roots: Sequence[Path]) -> list[tuple[str, Entry]]:
    """Components that contain the query, each with its type; those with it in their name come first. Without
    any, the components with a similar name."""
    every = [(kind, entry) for kind in types for entry in TYPES[kind](roots)]
    text = query.casefold()
    by_name = [one for one in every if text in one[1].name.casefold()]
    by_text = [one for one in every if one not in by_name and text in _text(one[1]).casefold()]
    if by_name or by_text:
        return [*sorted(by_name, key=lambda one: len(one[1].name)), *by_text]
    return [one for one in every if _is_near(text, one[1])]


def _is_near(query: str, entry: Entry) -> bool:
    words = [entry.name.casefold(), *entry.name.casefold().replace("-", "_").split("_")]
    return bool(difflib.get_close_matches(query, words, n=1, cutoff=0.75))


def _text(entry: Entry) -> str:
    """The text that a search looks in: all fields except paths of files."""
    fields: Tree = msgspec.to_builtins(entry)
    paths = {"source", "config", "manifest", "variants", "problem"}
    return " ".join(str(value) for key, value in fields.items() if key not in paths)


def _benchmark(workload: Workload, roots: Sequence[Path]) -> BenchmarkEntry:
    entry = BenchmarkEntry(name=workload.name, source=workload.source, config=str(workload.config))
    try:
        config = workload.resolve(search_dirs=roots)
        agent = main_agent(config)
    except GymError as error:
        entry.problem = str(error)
        return entry
    datasets = [one for one in (agent.datasets if agent else ()) if one.type == "benchmark"]
    server = main_server(config, agent)
    if server:
        about = as_mapping(config.tree[server.name][server.kind][server.implementation])
        entry.domain, entry.description = about.get("domain") or "", about.get("description") or ""
    if agent:
        entry.agent = agent.implementation
    if datasets:
        entry.dataset, entry.num_repeats = datasets[0].jsonl_fpath, datasets[0].num_repeats
        entry.prepare_script = datasets[0].prepare_script or ""
    return entry


def _environment(workload: Workload) -> EnvironmentEntry:
    entry = EnvironmentEntry(
        name=workload.name,
        kind=workload.kind,
        source=workload.source,
        config=str(workload.config or ""),
    )
    if not workload.manifest.exists():
        facts = _facts(workload.config, "resources_servers") if workload.config else {}
        entry.domain, entry.description = facts.get("domain") or "", facts.get("description") or ""
        return entry
    entry.manifest = str(workload.manifest)
    try:
        manifest = read_manifest(workload.manifest)
    except GymError as error:
        entry.status, entry.problem = "broken", str(error)
        return entry
    entry.status = "experimental"
    entry.domain, entry.description = manifest.domain, manifest.description
    entry.modality, entry.licensing = list(manifest.modality), manifest.licensing
    entry.lifecycle = manifest.lifecycle
    return entry


def _builtin_servers(kind: ServerKind, roots: Sequence[Path]) -> Iterator[ServerEntry]:
    if kind == "resources_servers":
        for info in list_environments(roots=roots):
            yield ServerEntry(
                name=info.name, domain=info.domain, description=info.description, source=info.source
            )
        return
    pattern = "composable" if kind == "responses_api_agents" else ""
    for name in builtin_names(kind):
        yield ServerEntry(name=name, source=BUILT_IN, pattern=pattern)


def _server(kind: ServerKind, folder: Path) -> ServerEntry:
    variants = sorted([*folder.glob("configs/*.yaml"), *folder.glob("*.yaml")])
    facts = next((facts for path in variants if (facts := _facts(path, kind))), Tree())
    pattern = ""
    if kind == "responses_api_agents":
        composable = "resources_server" in facts or takes_any_server(folder / ENTRYPOINT)
        pattern = "composable" if composable else "self-contained"
    return ServerEntry(
        name=folder.name,
        domain=facts.get("domain") or "",
        description=facts.get("description") or "",
        source=str(folder),
        variants=[str(path) for path in variants],
        pattern=pattern,
    )


def _facts(path: Path, kind: ServerKind) -> Tree:
    """The fields of the first instance of a kind in a file, as written; none when it can't be read."""
    try:
        tree = read_yaml(path)
    except GymError:
        return {}
    blocks = (block for value in tree.values() for block in as_mapping(as_mapping(value).get(kind)).values())
    return next((as_mapping(block) for block in blocks), Tree())
