"""The fields that a manifest copies from the configuration, so that a catalogue needn't resolve it."""

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

MIRRORED: Final = ("resources_server", "agent_server", "datasets")


def acting(config: Config) -> Instance | None:
    """The agent of a workload; None without one. Of several it is the one with data sets, or with a
    benchmark.

    Raises:
        ConfigError: that leaves more than one, or none.
    """
    agents = config.of("responses_api_agents")
    with_data = [agent for agent in agents if agent.datasets]
    measured = [agent for agent in agents if any(one.type == "benchmark" for one in agent.datasets)]
    for chosen in (agents, with_data, measured):
        if len(chosen) == 1:
            return chosen[0]
    if not agents:
        return None
    names = ", ".join(agent.name for agent in agents)
    raise ConfigError(f"a workload has one agent with data sets, the configuration has {names}")


def world(config: Config, agent: Instance | None) -> Instance | None:
    """The resources server that the agent acts in, or the only one."""
    played = agent.references.get("resources_server") if agent else None
    servers = config.of("resources_servers")
    if played:
        return config.instances[played.name]
    return servers[0] if len(servers) == 1 else None


def mirrored(config: Config) -> dict[str, Any]:
    """The values that the mirrored fields of a manifest must have; without those that must be absent.

    Raises:
        ConfigError: it is no single workload.
    """
    agent = acting(config)
    server = world(config, agent)
    fields: dict[str, Any] = {
        "resources_server": server.implementation if server else None,
        "agent_server": agent.implementation if agent else None,
        "datasets": [_as_declared(dataset) for dataset in (agent.datasets if agent else ())],
    }
    return {key: value for key, value in fields.items() if value is not None}


def differences(manifest: Manifest, expected: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where a manifest differs from its configuration: the path of a field, and what is wrong there."""
    fields = msgspec.to_builtins(manifest)
    for key in MIRRORED:
        if fields.get(key) != expected.get(key):
            yield (key,), _difference(fields.get(key), expected.get(key))


def synced(text: str, expected: dict[str, Any]) -> str:
    """The text of a manifest in which the mirrored fields are as expected and all else is left as it is.

    Raises:
        ConfigError: its fields are not on lines of their own.
    """
    places = {key: place for key, place in nodes_of(text).items() if key in MIRRORED}
    after = text
    for key, (start, end) in sorted(places.items(), key=lambda entry: -entry[1][0]):
        end -= _trailing(text[start:end])
        rest = after[end:] if text[:end].endswith("\n") else after[end:].removeprefix("\n")
        after = after[:start] + _entry(expected, key) + rest
    after = after.rstrip("\n") + "\n"
    after += "".join(_entry(expected, key) for key in MIRRORED if key not in places)
    if not _says(after, expected):
        raise ConfigError("the manifest can't be synced: write each of its fields on lines of its own")
    return after


def _trailing(value: str) -> int:
    """How many characters at the end of a block are blank lines and comments that belong to what follows."""
    count = 0
    for line in reversed(value.splitlines(keepends=True)):
        if line.strip() and not line.startswith("#"):
            break
        count += len(line)
    return count


def _says(text: str, expected: dict[str, Any]) -> bool:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return {key: document[key] for key in MIRRORED if key in document} == expected


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
    changed = [
        f"{name}.{field}: says {ours[name].get(field)!r}, the configuration has {theirs[name].get(field)!r}"
        for name in ours
        if name in theirs
        for field in sorted({*ours[name], *theirs[name]})
        if ours[name].get(field) != theirs[name].get(field)
    ]
    more = [f"{name}: not in the configuration" for name in ours if name not in theirs]
    less = [f"{name}: missing" for name in theirs if name not in ours]
    return "; ".join([*more, *less, *changed]) or "in another order than in the configuration"
