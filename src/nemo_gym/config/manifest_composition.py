"""The fields that a manifest shares with its configuration, so that the catalogue need not resolve that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec
import yaml

from nemo_gym.config.datasets import Dataset
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.instances import Instance
from nemo_gym.config.manifest import Manifest, ManifestDataset
from nemo_gym.config.manifest_file import nodes_of
from nemo_gym.config.resolve import Config
from nemo_gym.config.tree import to_yaml

SHARED_FIELDS: Final = ("resources_server", "agent_server", "datasets")


def main_agent(config: Config) -> Instance | None:
    """The agent of a workload; None without one. Of several agents it is the one with data sets, or with a
    benchmark.

    Raises:
        ConfigError: there are several such agents, or none.
    """
    agents = config.of("responses_api_agents")
    with_data = [agent for agent in agents if agent.datasets]
    with_benchmark = [agent for agent in agents if any(one.type == "benchmark" for one in agent.datasets)]
    for choice in (agents, with_data, with_benchmark):
        if len(choice) == 1:
            return choice[0]
    if not agents:
        return None
    names = ", ".join(agent.name for agent in agents)
    raise ConfigError(f"a workload has one agent with data sets, the configuration has {names}")


def main_server(config: Config, agent: Instance | None) -> Instance | None:
    """The resources server in which the agent acts, or the only one."""
    reference = agent.references.get("resources_server") if agent else None
    servers = config.of("resources_servers")
    if reference:
        return config.instances[reference.name]
    return servers[0] if len(servers) == 1 else None


def shared_fields(config: Config) -> dict[str, Any]:
    """The values of the shared fields in the configuration, without fields that it doesn't have.

    Raises:
        ConfigError: the configuration has several workloads.
    """
    agent = main_agent(config)
    server = main_server(config, agent)
    fields: dict[str, Any] = {
        "resources_server": server.implementation if server else None,
        "agent_server": agent.implementation if agent else None,
        "datasets": [_as_declared(dataset) for dataset in (agent.datasets if agent else ())],
    }
    return {key: value for key, value in fields.items() if value is not None}


def differences(manifest: Manifest, expected: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The differences from the configuration: the path of a field, and the problem there."""
    fields = msgspec.to_builtins(manifest)
    for key in SHARED_FIELDS:
        if fields.get(key) != expected.get(key):
            yield (key,), _difference(fields.get(key), expected.get(key))


def sync_fields(text: str, expected: dict[str, Any]) -> str:
    """The text of a manifest with the expected shared fields; the rest of the text stays.

    Raises:
        ConfigError: its fields are not on separate lines.
    """
    places = {key: place for key, place in nodes_of(text).items() if key in SHARED_FIELDS}
    after = text
    for key, (start, end) in sorted(places.items(), key=lambda entry: -entry[1][0]):
        end -= _trailing(text[start:end])
        rest = after[end:] if text[:end].endswith("\n") else after[end:].removeprefix("\n")
        after = after[:start] + _entry(expected, key) + rest
    after = after.rstrip("\n") + "\n"
    after += "".join(_entry(expected, key) for key in SHARED_FIELDS if key not in places)
    if not _has(after, expected):
        raise ConfigError("the manifest can't be synced: write each of its fields on separate lines")
    return after


def _trailing(value: str) -> int:
    """How many characters of blank lines and comments end a block; they belong to the next one."""
    count = 0
    for line in reversed(value.splitlines(keepends=True)):
        if line.strip() and not line.startswith("#"):
            break
        count += len(line)
    return count


def _has(text: str, expected: dict[str, Any]) -> bool:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return {key: document[key] for key in SHARED_FIELDS if key in document} == expected


def _entry(expected: dict[str, Any], key: str) -> str:
    return to_yaml({key: expected[key]}) if key in expected else ""


def _as_declared(dataset: Dataset) -> dict[str, Any]:
    fields = {name: getattr(dataset, name) for name in ManifestDataset.__struct_fields__}
    return msgspec.to_builtins(ManifestDataset(**fields))


def _difference(actual: Any, expected: Any) -> str:
    if not isinstance(actual, list) or not isinstance(expected, list):
        return f"says {actual!r}, the configuration has {expected!r}"
    ours = {each["name"]: each for each in cast("list[dict[str, Any]]", actual)}
    theirs = {each["name"]: each for each in cast("list[dict[str, Any]]", expected)}
    changes = [
        f"{name}.{field}: says {ours[name].get(field)!r}, the configuration has {theirs[name].get(field)!r}"
        for name in ours
        if name in theirs
        for field in sorted({*ours[name], *theirs[name]})
        if ours[name].get(field) != theirs[name].get(field)
    ]
    more = [f"{name}: not in the configuration" for name in ours if name not in theirs]
    less = [f"{name}: missing" for name in theirs if name not in ours]
    return "; ".join([*more, *less, *changes]) or "in another order than in the configuration"
