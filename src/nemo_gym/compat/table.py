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

_SAME_NAME: Final = """
base_resources_server base_responses_api_agent base_responses_api_model benchmarks config_types decorators
global_config judge mcp_auto_exposure openai_utils package_info path_utils profiling prompt
responses_converter reward_profile rollout_collection rollout_correlation rollout_observability secret_utils
server_metadata server_utils skills token_id_capture verifier_fixture
"""
HOMES: Final = {f"nemo_gym.{name}": f"nemo_gym.compat.{name}" for name in _SAME_NAME.split()} | {
    "nemo_gym.cli.env": "nemo_gym.compat.run_helper",
    "nemo_gym.sandbox.api": "nemo_gym.sandbox",
}
"""The module of this package by the name of the original module."""

_NAMES: Final = {
    "base_resources_server": "BaseMultiRewardVerifyResponse BaseResourcesServerConfig BaseRunRequest "
    "BaseSeedSessionRequest BaseSeedSessionResponse BaseVerifyRequest BaseVerifyResponse ReverifyMode "
    "SimpleResourcesServer",
    "base_responses_api_agent": "BaseResponsesAPIAgentConfig SimpleResponsesAPIAgent",
    "base_responses_api_model": "BaseResponsesAPIModelConfig SimpleResponsesAPIModel",
    "config_types": "AggregateMetrics AggregateMetricsRequest AgentServerRef BaseRunServerConfig "
    "BaseRunServerInstanceConfig BaseServerConfig Domain ModelServerRef ResourcesServerRef",
    "openai_utils": "NeMoGymAsyncOpenAI NeMoGymChatCompletion NeMoGymChatCompletionCreateParamsNonStreaming "
    "NeMoGymResponse NeMoGymResponseCreateParamsNonStreaming",
    "paths": "CACHE_DIR PARENT_DIR RESULTS_DIR ROOT_DIR WORKING_DIR",
    "server_utils": "SESSION_ID_KEY ServerClient get_response_json raise_for_status",
}
TOP_LEVEL: Final = {name: module for module, names in _NAMES.items() for name in names.split()}
"""The names that `nemo_gym` itself offers, each with the module of this folder that has it."""

_OFFERS: Final = {
    "nemo_gym": TOP_LEVEL,
    "nemo_gym.cli": {"GlobalConfigDictParserConfig": "global_config", "RunHelper": "run_helper"},
}
"""The same for every package of this name that the original has too."""


def spec_of(name: str) -> ModuleSpec | None:
    """The spec of an original module that has no file under its own name; None for any other module."""
    if name not in HOMES and name not in GONE_MODULES:
        return None
    return ModuleSpec(name, _Loader(), origin=HOMES.get(name))


class _Loader(Loader):
    """Puts the module of this package in the place of the original one. Both names then mean one module, and
    a patch of either reaches the code."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system to make an empty module, which `exec_module` replaces."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        home = _home(name)
        vars(home).setdefault("__getattr__", _explainer(name, home.__name__))
        sys.modules[name] = home

    def get_code(self, name: str) -> CodeType | None:
        """The code that `python -m` runs."""
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


def original_name(package: str, name: str) -> Any:
    """A name that existing code imports from a package.

    Raises:
        AttributeError: the package does not offer it.
    """
    home = _OFFERS[package].get(name)
    if home is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}{_hint(name)}")
    return getattr(importlib.import_module(f"nemo_gym.compat.{home}"), name)


def _explainer(name: str, home: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module: an error that says where a missing name is."""

    def explain(missing: str) -> Any:
        if missing.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {missing!r}")
        offers = [public for public, value in vars(sys.modules[home]).items() if _is_offer(public, value)]
        raise ImportError(
            f"cannot import name {missing!r} from {name!r}"
            + (_hint(missing, list(_every_home())) or f".{did_you_mean(missing, offers)}"),
            name=name,
        )

    return explain


def _every_home() -> Iterator[str]:
    """The original modules; those from which other modules import names come first."""
    for name in sorted(HOMES, key=lambda name: (name not in _FIRST, name)):
        with suppress(ImportError):
            importlib.import_module(HOMES[name])
            yield name


def _is_offer(name: str, value: object) -> bool:
    """Whether a name of a module is public and comes from this package."""
    return not name.startswith("_") and getattr(value, "__module__", "nemo_gym").startswith("nemo_gym")


def _hint(name: str, originals: Iterable[str] = ()) -> str:
    if name in GONE:
        return f": {GONE[name]}"
    if name in TOP_LEVEL:
        return ": it is in nemo_gym"
    namespaces = {original: vars(sys.modules[HOMES[original]]) for original in originals}
    holders = [original for original, names in namespaces.items() if name in names]
    definers = [one for one in holders if getattr(namespaces[one][name], "__module__", None) == HOMES[one]]
    return f": it is in {(definers or holders)[0]}" if holders else ""


_FIRST: Final = ("nemo_gym.openai_utils", "nemo_gym.config_types", "nemo_gym.global_config")
