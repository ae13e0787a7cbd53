"""The short way to write a configuration: `environment`, `agent` and `model` at the top.

    environment: mcqa
    agent: {name: tool_loop, max_steps: 8}
    model: {type: chat, url: "http://localhost:8000/v1", name: my-model}

It means the same instances as the long form. Values in the long form beside it replace its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, cast

from nemo_gym.agents.registry import unknown_agent
from nemo_gym.config.builtins import POLICY, environment_tree, model_tree
from nemo_gym.config.errors import ConfigError, nearest
from nemo_gym.config.server_kinds import (
    ENTRYPOINT,
    EXPOSE,
    KINDS,
    ServerKind,
    builtin_names,
    builtin_settings,
)
from nemo_gym.config.sources import INSTALLED
from nemo_gym.config.tree import Tree, merge
from nemo_gym.environments.discovery import EnvironmentInfo, list_environments, unknown_environment
from nemo_gym.environments.environment_info import read_info
from nemo_gym.models.registry import check_model, unknown_type
from nemo_gym.wire.errors import UsageError

_NAMED_BY: Final = {"environment": "name", "agent": "name", "model": "type"}


def expand_flat(tree: Tree, roots: Sequence[Path]) -> Tree:
    """The tree with the short form as instances; unchanged when it has no `environment`.

    Raises:
        ConfigError: a part has no name, or no such setting, or there is no such component.
    """
    if not _is_flat(tree.get("environment")):
        return tree
    parts = {key: _part(key, tree[key]) for key in _NAMED_BY if key in tree}
    rest = {key: value for key, value in tree.items() if key not in _NAMED_BY}
    name, settings = parts["environment"]
    implementation, entrypoint, info = _environment(name, roots)
    _check_settings(f"environment {implementation}", "resources_servers", implementation, settings)
    agent, agent_settings = parts.get("agent", ("", {}))
    if agent:
        _check_name("responses_api_agents", agent, unknown_agent)
        _check_settings(f"agent {agent!r}", "responses_api_agents", agent, agent_settings)
    long = environment_tree(
        implementation,
        info,
        settings=settings,
        entrypoint=entrypoint,
        agent=agent,
        agent_settings=agent_settings,
    )
    if "model" in parts:
        type, model_settings = parts["model"]
        _check_name("responses_api_models", type, unknown_type)
        _check_model(type, model_settings)
        _check_settings(f"model type {type!r}", "responses_api_models", type, model_settings)
        long[POLICY] = model_tree(type, model_settings)
    return merge(long, rest)


def _is_flat(value: Any) -> bool:
    return value is not None and not (isinstance(value, dict) and any(kind in value for kind in KINDS))


def _part(key: str, value: Any) -> tuple[str, Tree]:
    word = _NAMED_BY[key]
    if isinstance(value, str) and value:
        return value, {}
    if isinstance(value, dict):
        settings = dict(cast("Tree", value))
        name = settings.pop(word, None)
        if isinstance(name, str) and name:
            return name, settings
    near = nearest(word, map(str, cast("Tree", value))) if isinstance(value, dict) else ""
    hint = near.replace("Did you mean", "It has").replace("?", "") if near else ""
    raise ConfigError(f"{key}: expected a name, or a mapping with a {word!r}.{hint}".removesuffix("."))


def implementation_name(ref: str) -> str:
    """The name of the instance of an environment with this name or file."""
    file = ref.rpartition(":")[0] if ".py:" in ref else ref
    if not (file.endswith(".py") or "/" in file):
        return ref
    module = _module(file)
    return module.resolve().parent.name if module.name == "environment.py" else module.stem


def _module(file: str) -> Path:
    return Path(file) if file.endswith(".py") else Path(file) / "environment.py"


def _environment(ref: str, roots: Sequence[Path]) -> tuple[str, str, EnvironmentInfo | None]:
    """The implementation's name, its entry point, and the facts that need no run of its code."""
    file, _, _ = ref.rpartition(":") if ".py:" in ref else (ref, "", "")
    if file.endswith(".py") or "/" in file:
        name = implementation_name(ref)
        return name, ref, read_info(name, _module(file), ref)
    infos = {info.name: info for info in list_environments(roots=roots)}
    if ref not in infos:
        raise ConfigError(unknown_environment(ref, [root for root in roots if root != INSTALLED]))
    return ref, ENTRYPOINT, infos[ref]


def _check_name(kind: ServerKind, name: str, unknown: Callable[[str], str]) -> None:
    if name not in builtin_names(kind):
        raise ConfigError(unknown(name))


def _check_model(type: str, settings: Tree) -> None:
    try:
        check_model(type, name=settings.get("name", ""), url=settings.get("url", ""))
    except UsageError as error:
        raise ConfigError(str(error)) from None


def _check_settings(owner: str, kind: ServerKind, implementation: str, settings: Tree) -> None:
    valid = builtin_settings(kind, implementation)
    for name in settings:
        if valid is not None and name not in valid:
            listed = ", ".join(name for name in valid if name != EXPOSE) or "none"
            near = get_close_matches(name, valid, n=1)
            hint = f". Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{owner} has no setting {name!r} (settings: {listed}){hint}")
