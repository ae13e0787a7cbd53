"""Maps modules and names of existing NeMo Gym code to their places in this package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.abc import InspectLoader, Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import Any, Final, cast

from nemo_gym.compat.gone import GONE, GONE_MODULES
from nemo_gym.wire.errors import did_you_mean

HOMES: Final = {
    "nemo_gym.base_resources_server": "nemo_gym.compat.base_resources_server",
    "nemo_gym.base_responses_api_agent": "nemo_gym.compat.base_responses_api_agent",
    "nemo_gym.base_responses_api_model": "nemo_gym.compat.base_responses_api_model",
    "nemo_gym.benchmarks": "nemo_gym.compat.benchmarks",
    "nemo_gym.cli.env": "nemo_gym.compat.run_helper",
    "nemo_gym.config_types": "nemo_gym.compat.config_types",
    "nemo_gym.decorators": "nemo_gym.compat.decorators",
    "nemo_gym.global_config": "nemo_gym.compat.global_config",
    "nemo_gym.judge": "nemo_gym.compat.judge",
    "nemo_gym.mcp_auto_exposure": "nemo_gym.compat.mcp_auto_exposure",
    "nemo_gym.openai_utils": "nemo_gym.compat.openai_utils",
    "nemo_gym.package_info": "nemo_gym.compat.package_info",
    "nemo_gym.path_utils": "nemo_gym.compat.path_utils",
    "nemo_gym.profiling": "nemo_gym.compat.cpu_profile",
    "nemo_gym.prompt": "nemo_gym.compat.prompt",
    "nemo_gym.responses_converter": "nemo_gym.compat.responses_converter",
    "nemo_gym.reward_profile": "nemo_gym.compat.reward_profile",
    "nemo_gym.rollout_correlation": "nemo_gym.compat.rollout_correlation",
    "nemo_gym.rollout_collection": "nemo_gym.compat.rollout_collection",
    "nemo_gym.rollout_observability": "nemo_gym.compat.rollout_observability",
    "nemo_gym.sandbox.api": "nemo_gym.sandbox",
    "nemo_gym.secret_utils": "nemo_gym.compat.secret_utils",
    "nemo_gym.server_metadata": "nemo_gym.compat.server_metadata",
    "nemo_gym.server_utils": "nemo_gym.compat.server_utils",
    "nemo_gym.skills": "nemo_gym.compat.skills",
    "nemo_gym.token_id_capture": "nemo_gym.compat.token_id_capture",
    "nemo_gym.verifier_fixture": "nemo_gym.compat.verifier_fixture",
}
"""Module by original name."""

TOP_LEVEL: Final = {
    "AggregateMetrics": "config_types",
    "AggregateMetricsRequest": "config_types",
    "AgentServerRef": "config_types",
    "BaseMultiRewardVerifyResponse": "base_resources_server",
    "BaseResourcesServerConfig": "base_resources_server",
    "BaseResponsesAPIAgentConfig": "base_responses_api_agent",
    "BaseResponsesAPIModelConfig": "base_responses_api_model",
    "BaseRunRequest": "base_resources_server",
    "BaseRunServerConfig": "config_types",
    "BaseRunServerInstanceConfig": "config_types",
    "BaseSeedSessionRequest": "base_resources_server",
    "BaseSeedSessionResponse": "base_resources_server",
    "BaseServerConfig": "config_types",
    "BaseVerifyRequest": "base_resources_server",
    "BaseVerifyResponse": "base_resources_server",
    "CACHE_DIR": "paths",
    "Domain": "config_types",
    "ModelServerRef": "config_types",
    "NeMoGymAsyncOpenAI": "openai_utils",
    "NeMoGymChatCompletion": "openai_utils",
    "NeMoGymChatCompletionCreateParamsNonStreaming": "openai_utils",
    "NeMoGymResponse": "openai_utils",
    "NeMoGymResponseCreateParamsNonStreaming": "openai_utils",
    "PARENT_DIR": "paths",
    "RESULTS_DIR": "paths",
    "ROOT_DIR": "paths",
    "ResourcesServerRef": "config_types",
    "ReverifyMode": "base_resources_server",
    "SESSION_ID_KEY": "server_utils",
    "ServerClient": "server_utils",
    "SimpleResourcesServer": "base_resources_server",
    "SimpleResponsesAPIAgent": "base_responses_api_agent",
    "SimpleResponsesAPIModel": "base_responses_api_model",
    "WORKING_DIR": "paths",
    "get_response_json": "server_utils",
    "raise_for_status": "server_utils",
}
"""Names that `nemo_gym` itself offers, and the module of this folder that has them."""

COLLIDING: Final = {
    "nemo_gym.cli": {"GlobalConfigDictParserConfig": "global_config", "RunHelper": "run_helper"},
}
"""Names of original modules that are called like a room of this package, and the module of this folder."""


def spec_of(name: str) -> ModuleSpec | None:
    """How to import an original module that is not here under its own name; None for any other module."""
    if name not in HOMES and name not in GONE_MODULES:
        return None
    return ModuleSpec(name, _Loader(), origin=HOMES.get(name))


class _Loader(Loader):
    """Puts the module of this package in the place of the original one, so that both names mean one module
    and patches of either reach the code."""

    def create_module(self, spec: ModuleSpec) -> None:
        """The import system's own empty module will do: it is replaced."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        home = _home(name)
        vars(home).setdefault("__getattr__", _explainer(name, home.__name__))
        sys.modules[name] = home

    def get_code(self, name: str) -> CodeType | None:
        """What `python -m` runs."""
        spec = find_spec(_home(name).__name__)
        return cast(InspectLoader, spec.loader).get_code(spec.name) if spec else None


def _home(name: str) -> ModuleType:
    if name in GONE_MODULES:
        raise ModuleNotFoundError(f"{name} is not kept: {GONE_MODULES[name]}", name=name)
    try:
        return importlib.import_module(HOMES[name])
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("nemo_gym"):
            raise
        raise ModuleNotFoundError(
            f"{name} needs {error.name}: pip install 'nemo-gym[compat]'", name=error.name
        ) from None


def top_level(name: str) -> Any:
    """A name of the package itself.

    Raises:
        AttributeError: it is none.
    """
    if name not in TOP_LEVEL:
        raise AttributeError(f"module 'nemo_gym' has no attribute {name!r}{_hint(name)}")
    return getattr(importlib.import_module(f"nemo_gym.compat.{TOP_LEVEL[name]}"), name)


def collided(module: str, name: str) -> Any:
    """A name of an original module that is called like a room of this package.

    Raises:
        AttributeError: it is none.
    """
    home = COLLIDING[module].get(name)
    if home is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}{_hint(name)}")
    return getattr(importlib.import_module(f"nemo_gym.compat.{home}"), name)


def _explainer(name: str, home: str) -> Callable[[str], Any]:
    def explain(wanted: str) -> Any:
        if wanted.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {wanted!r}")
        known = [public for public, value in vars(sys.modules[home]).items() if _is_offered(public, value)]
        raise ImportError(
            f"cannot import name {wanted!r} from {name!r}"
            + (_hint(wanted, list(_every_home())) or f".{did_you_mean(wanted, known)}"),
            name=name,
        )

    return explain


def _every_home() -> Iterator[str]:
    """The original modules, those that others take names from first."""
    for name in sorted(HOMES, key=lambda name: (name not in _FIRST, name)):
        with suppress(ImportError):
            importlib.import_module(HOMES[name])
            yield name


def _is_offered(name: str, value: object) -> bool:
    """Whether a name of a module is more than an import from elsewhere."""
    return not name.startswith("_") and getattr(value, "__module__", "nemo_gym").startswith("nemo_gym")


def _hint(name: str, among: Iterable[str] = ()) -> str:
    if name in GONE:
        return f": {GONE[name]}"
    if name in TOP_LEVEL:
        return ": it is in nemo_gym"
    namespaces = {original: vars(sys.modules[HOMES[original]]) for original in among}
    having = [original for original, names in namespaces.items() if name in names]
    defining = [one for one in having if getattr(namespaces[one][name], "__module__", None) == HOMES[one]]
    return f": it is in {(defining or having)[0]}" if having else ""


_FIRST: Final = ("nemo_gym.openai_utils", "nemo_gym.config_types", "nemo_gym.global_config")
