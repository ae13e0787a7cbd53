"""Ready configuration files for the components that come with this package.

They are built in memory under the paths of such files, for example
`resources_servers/mcqa/configs/mcqa.yaml`. A file in a search root comes first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from nemo_gym.config.model_flavors import Flavor, flavors
from nemo_gym.config.server_kinds import ENTRYPOINT, PLACEHOLDER, ServerKind, as_kind, builtin_names
from nemo_gym.config.tree import Tree
from nemo_gym.environments.discovery import EnvironmentInfo, list_environments
from nemo_gym.environments.environment_info import library
from nemo_gym.models.presets import PROVIDERS
from nemo_gym.models.registry import TYPES

POLICY: Final = "policy_model"
POLICY_SETTINGS: Final = ("policy_base_url", "policy_api_key", "policy_model_name")

_PREFIXED: Final = ("openai_model", "azure_openai_model", "litellm_model")
"""Implementations whose settings are called `openai_base_url` and so on."""


def builtin_config(path: str, roots: Sequence[Path] = ()) -> Tree | None:
    """The configuration at `<kind>/<name>/configs/<flavor>.yaml`; None when there is none. The flavor of a
    model may be in a folder. Environments in search roots and installed packages have one too.
    """
    parts = PurePosixPath(path).parts
    if len(parts) < 4 or parts[2] != "configs" or not parts[-1].endswith(".yaml"):
        return None
    kind, name, flavor = as_kind(parts[0]), parts[1], "/".join(parts[3:]).removesuffix(".yaml")
    if kind == "resources_servers":
        infos = list_environments(roots=roots) if flavor == name else []
        info = next((info for info in infos if info.name == name), None)
        return environment_tree(name, info, datasets=_datasets(info)) if info else None
    if kind is None or name not in builtin_names(kind):
        return None
    match kind:
        case "responses_api_agents" if flavor == name:
            return {name: agent_tree(name, environment="???")}
        case "responses_api_models":
            return _model_config(name, flavor)
        case _:
            return None


def _model_config(name: str, flavor: str) -> Tree | None:
    facts = flavors(name).get(flavor, Flavor({}) if flavor == name else None)
    if facts is None:
        return None
    settings = {} if facts.instance else policy_settings(name)
    return {facts.instance or POLICY: model_tree(name, {**settings, **facts.settings})}


def environment_tree(
    implementation: str,
    info: EnvironmentInfo | None,
    *,
    settings: Tree | None = None,
    entrypoint: str = ENTRYPOINT,
    agent: str = "",
    agent_settings: Tree | None = None,
    datasets: list[Tree] | None = None,
) -> Tree:
    """An environment with an agent that acts in it, and a placeholder for the model.

    Args:
        implementation: the environment's name, which is the instance's too.
        info: facts about it; None where only running it would give them.
        agent: the agent's name; empty for the one that fits.
    """
    agent = agent or ("gymnasium_agent" if info and info.kind == "steps" else "simple_agent")
    facts = {"domain": info.domain, "description": info.description} if info else {"domain": "other"}
    return {
        implementation: {
            "resources_servers": {implementation: {"entrypoint": entrypoint, **facts, **(settings or {})}}
        },
        f"{implementation}_{agent}": agent_tree(
            agent, environment=implementation, settings=agent_settings, datasets=datasets
        ),
        POLICY: model_tree(PLACEHOLDER, {}),
    }


def agent_tree(
    agent: str, *, environment: str, settings: Tree | None = None, datasets: list[Tree] | None = None
) -> Tree:
    """An instance of an agent that uses the policy model."""
    tree: Tree = {
        "entrypoint": ENTRYPOINT,
        "resources_server": _reference("resources_servers", environment),
        "model_server": _reference("responses_api_models", POLICY),
        **(settings or {}),
    }
    if datasets:
        tree["datasets"] = datasets
    return {"responses_api_agents": {agent: tree}}


def model_tree(implementation: str, settings: Tree) -> Tree:
    """An instance of a model."""
    return {"responses_api_models": {implementation: {"entrypoint": ENTRYPOINT, **settings}}}


def policy_settings(implementation: str) -> Tree:
    """References to the `policy_*` values (endpoint, key, name), under the implementation's names."""
    url, key, name = "${policy_base_url}", "${oc.select:policy_api_key,''}", "${policy_model_name}"
    match implementation:
        case "embedded" | "random" | "oracle":
            return {}
        case "hf" | "scripted" | "replay" | "local_vllm":
            return {"name": name}
        case "local_vllm_model":
            return {"model": name}
        case _ if implementation in PROVIDERS:
            return {"api_key": key, "name": name}
        case _ if implementation in TYPES:
            return {"url": url, "api_key": key, "name": name}
        case _:
            prefix = "openai_" if implementation in _PREFIXED else ""
            return {f"{prefix}base_url": url, f"{prefix}api_key": key, f"{prefix}model": name}


def _datasets(info: EnvironmentInfo) -> list[Tree]:
    built_in = info.source == "built-in"
    folder = library()[info.name] if built_in else Path(info.source).parent
    license = "Apache 2.0" if built_in else "TBD"
    return [
        {"name": split, "type": split, "jsonl_fpath": str(path), "license": license}
        for split in ("train", "validation", "example")
        if (path := folder / "data" / f"{split}.jsonl").is_file()
    ]


def _reference(kind: ServerKind, name: str) -> Tree:
    return {"type": kind, "name": name}
