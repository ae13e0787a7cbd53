"""Server instances: the named top-level keys that describe a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, cast

from nemo_gym.config.datasets import Dataset, read_datasets
from nemo_gym.config.errors import AlmostServerError, ServerRefNotFoundError, nearest
from nemo_gym.config.server_kinds import KINDS, ServerKind, as_kind
from nemo_gym.config.tree import Path, Tree, as_mapping, mappings
from nemo_gym.wire.errors import did_you_mean

OFFLINE_PORT: Final = -1
"""The port of an instance that is not served."""
DOMAINS: Final = (
    "math",
    "coding",
    "agent",
    "knowledge",
    "instruction_following",
    "long_context",
    "safety",
    "games",
    "translation",
    "e2e",
    "rlhf",
    "reasoning",
    "other",
)
CATALOGUE_FIELDS: Final = ("domain", "description", "value", "verified", "verified_url")
"""Fields for the catalogue; the component itself does not read them."""
SERVER_FIELDS: Final = ("entrypoint", "host", "port", "datasets", "share")


@dataclass(frozen=True, slots=True)
class Instance:
    """One named component. The name is unique, and the address that other components use."""

    name: str
    kind: ServerKind
    implementation: str
    """Name of the folder, or of the built-in component."""
    settings: Tree
    """The settings of the component itself, with its references to other instances."""
    entrypoint: str
    """File inside the implementation's folder, or `path.py:Class` of an environment."""
    host: str = ""
    port: int = OFFLINE_PORT
    datasets: tuple[Dataset, ...] = ()
    share: bool = False
    """Whether a server program runs in the process of the other servers, as components of this package do."""

    @property
    def path(self) -> Path:
        """Where its settings are in the tree."""
        return (self.name, self.kind, self.implementation)

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def references(self) -> dict[str, Reference]:
        """The instances that this one uses, by field (`model_server`, `judges.0`)."""
        return dict(_references(self.settings))


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to another instance, written `{type: ..., name: ...}`."""

    kind: ServerKind
    name: str


@dataclass(frozen=True, slots=True)
class InstanceTable:
    """The instances of a tree, and notices for the user."""

    instances: dict[str, Instance]
    notices: tuple[str, ...]


def find_instances(tree: Tree) -> InstanceTable:
    """Every instance by name, in the order of the tree, after a check.

    Raises:
        AlmostServerError: something has a server type and an entry point and is not a valid instance. With
            `error_on_almost_servers: false` in the tree it is a notice.
        ServerRefNotFoundError: a field of an instance refers to one that does not exist. A reference inside a
            field is a notice.
    """
    instances: dict[str, Instance] = {}
    notices: list[str] = []
    broken: list[str] = []
    for name, value in tree.items():
        mapping = as_mapping(value)
        if not any(kind in mapping for kind in KINDS):
            broken += _misspelt_kinds(name, mapping)
            continue
        problems: list[str] = []
        instance = _instance(name, mapping, problems, notices)
        if not problems and instance:
            instances[name] = instance
        elif any("entrypoint" in node for _, node in mappings(mapping)):
            broken += problems
        else:
            notices.append(f"{name} has no entrypoint, so it is not a server ({problems[0]})")
    if broken:
        listed = f" {broken[0]}" if len(broken) == 1 else "".join(f"\n  {problem}" for problem in broken)
        text = f"almost a server, but not a valid one:{listed}"
        if tree.get("error_on_almost_servers", True):
            end = "(error_on_almost_servers=false starts the others without it)"
            raise AlmostServerError(f"{text}{' ' if len(broken) == 1 else chr(10)}{end}")
        notices.append(text)
    _check_references(instances, notices)
    return InstanceTable(instances, tuple(notices))


def _misspelt_kinds(name: str, value: Tree) -> Iterator[str]:
    """A line for each key that is nearly a kind and holds something with an entry point."""
    for key, content in value.items():
        near = get_close_matches(str(key), KINDS, n=1, cutoff=_MISSPELT)
        if near and any("entrypoint" in node for _, node in mappings(as_mapping(content))):
            yield f"{name}.{key}: there is no such kind. Did you mean {near[0]!r}?"


def _instance(name: str, value: Tree, problems: list[str], notices: list[str]) -> Instance | None:
    kinds: list[ServerKind] = [kind for kind in KINDS if kind in value]
    if len(kinds) > 1:
        problems.append(f"{name}: has {' and '.join(kinds)}, an instance has one of them")
        return None
    kind = kinds[0]
    beside = [str(key) for key in value if key != kind]
    notices += [f"{name}.{key}: nothing reads this.{nearest(key, [kind])}" for key in beside]
    here = f"{name}.{kind}"
    implementations = as_mapping(value[kind])
    if len(implementations) != 1:
        names = ", ".join(map(str, implementations)) or "none"
        problems.append(f"{here}: needs exactly one implementation, found {names}")
        return None
    [(implementation, fields)] = implementations.items()
    here = f"{here}.{implementation}"
    if not isinstance(fields, dict):
        problems.append(f"{here}: expected a mapping of settings, got a {type(fields).__name__}")
        return None
    fields = cast("Tree", fields)
    problems += [f"{here}.{problem}" for problem in _problems(kind, fields)]
    datasets: list[Dataset] = []
    if fields.get("datasets") is not None:
        datasets, dataset_problems, dataset_notices = read_datasets(fields["datasets"])
        problems += [f"{here}.{problem}" for problem in dataset_problems]
        notices += [f"{here}.{notice}" for notice in dataset_notices]
    for key in fields.keys() - {"share"}:
        if isinstance(fields[key], bool) and get_close_matches(key, ["share"], n=1, cutoff=_NEARLY_SHARE):
            notices.append(f"{here}.{key}: this does not share a process. Did you mean 'share'?")
    if problems:
        return None
    return Instance(
        name=name,
        kind=kind,
        implementation=str(implementation),
        settings={
            key: item for key, item in fields.items() if key not in (*CATALOGUE_FIELDS, *SERVER_FIELDS)
        },
        entrypoint=fields["entrypoint"],
        host=fields.get("host") or "",
        port=fields.get("port") or OFFLINE_PORT,
        datasets=tuple(datasets),
        share=bool(fields.get("share")),
    )


def _problems(kind: ServerKind, fields: Tree) -> Iterator[str]:
    entrypoint = fields.get("entrypoint")
    if not isinstance(entrypoint, str) or not entrypoint:
        yield (
            f"entrypoint: expected a file, got {entrypoint!r}"
            if "entrypoint" in fields
            else "entrypoint: required"
        )
    if kind == "resources_servers":
        domain = fields.get("domain")
        if domain is None:
            near = get_close_matches("domain", list(map(str, fields)), n=1)
            beside = f"; {near[0]!r} is nearly its name" if near and near != ["domain"] else ""
            yield f"domain: required, one of {', '.join(DOMAINS)}{beside}"
        elif domain not in DOMAINS:
            yield f"domain: there is none named {domain!r}.{did_you_mean(str(domain), DOMAINS)}"
    host, port = fields.get("host"), fields.get("port")
    if host is not None and not isinstance(host, str):
        yield f"host: expected a name or an address, got {host!r}"
    share = fields.get("share")
    if share is not None and not isinstance(share, bool):
        yield f"share: expected true or false, got {share!r}"
    if port is not None and (type(port) is not int or not (port == OFFLINE_PORT or 0 < port < 65536)):
        yield f"port: expected 1 to 65535, got {port!r}"


def _check_references(instances: Mapping[str, Instance], notices: list[str]) -> None:
    problems: list[str] = []
    for instance in instances.values():
        problems += _misspelt_references(instance)
        for field, reference in instance.references.items():
            target = instances.get(reference.name)
            if target and target.kind == reference.kind:
                continue
            names = [other.name for other in instances.values() if other.kind == reference.kind]
            hint = did_you_mean(reference.name, names) or f" There are no {reference.kind}."
            what = f"{target.kind}, not {reference.kind}" if target else "not defined"
            problem = f"{instance.name}: {field} refers to {reference.name!r}, which is {what}.{hint}"
            (notices if "." in field else problems).append(problem)
    if problems:
        raise ServerRefNotFoundError("\n".join(problems))


def _misspelt_references(instance: Instance) -> Iterator[str]:
    """A line for each field that is nearly a reference: its type is nearly a kind, or its name is wrong."""
    for key, value in instance.settings.items():
        node = as_mapping(value)
        if node.keys() != {"type", "name"} or not isinstance(node["type"], str):
            continue
        near = get_close_matches(node["type"], KINDS, n=1, cutoff=_MISSPELT)
        if near and near[0] != node["type"]:
            yield f"{instance.name}: {key}.type: there is no kind {node['type']!r}. Did you mean {near[0]!r}?"
        near = get_close_matches(str(key), _AGENT_REFERENCES, n=1, cutoff=_MISSPELT)
        if instance.kind == "responses_api_agents" and near and near[0] not in instance.settings:
            yield f"{instance.name}: {key}: there is no such setting. Did you mean {near[0]!r}?"


_AGENT_REFERENCES: Final = ("resources_server", "model_server")
_NEARLY_SHARE: Final = 0.8
_MISSPELT: Final = 0.85
"""From this likeness on, a word counts as a misspelt form of another one."""


def _references(settings: Tree) -> Iterator[tuple[str, Reference]]:
    for path, node in mappings(settings):
        kind, name = as_kind(node.get("type")), node.get("name")
        if kind and isinstance(name, str) and len(node) == 2:
            yield ".".join(path), Reference(kind, name)
