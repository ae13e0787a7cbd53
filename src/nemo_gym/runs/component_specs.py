"""The environment, the model and the agent of a run as plain data, from which every process builds them."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from nemo_gym.agents.base import Agent
from nemo_gym.agents.registry import find_agent
from nemo_gym.capture.recorder import Recorder
from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.environments.build import build_environment, check_hooks
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.environments.openapi_description import Description, fetch_description
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.environments.remote_placeholder import RemotePlaceholder
from nemo_gym.environments.resources import AskedModel, Resources, check_supply
from nemo_gym.environments.rewards import reward_scale
from nemo_gym.models.asked_model import CountedModel
from nemo_gym.models.base import Model
from nemo_gym.models.registry import build_model
from nemo_gym.models.type_table import ALIAS_SETTINGS, ALIASES, ENGINE_TYPES
from nemo_gym.sandbox.pool import shared_limit
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.masking import mask


class EnvironmentSpec(msgspec.Struct, frozen=True):
    """An environment by reference (`mcqa`, `path.py:Class`, ...) and its settings, or at a URL. With a URL, a
    reference only supplies tasks. The token is written nowhere."""

    ref: str = ""
    settings: dict[str, Any] = {}
    url: str = ""
    token: str = ""
    about: Description | None = None
    """What the server at the URL reports about itself; None until it was asked."""
    models: dict[str, ModelSpec] = {}
    """The models that an environment in this process asks, by the names that it declares."""

    def build(self) -> Environment:
        """The environment in this process: the tasks' own, and without a URL the one to act in."""
        if not self.ref:
            return RemotePlaceholder()
        return build_environment(find_environment(self.ref), self.settings)

    def resources(self, recorder: Recorder | None = None) -> Resources:
        """The models that the environment asks; the caller closes them.

        Args:
            recorder: takes the calls of the models that it asks.

        Raises:
            UsageError: a setting of a model is wrong.
        """
        models: dict[str, AskedModel] = {}
        for name, spec in self.models.items():
            try:
                model = spec.build(None)
            except UsageError as error:
                raise UsageError(f"{name}: {error}") from None
            models[name] = CountedModel(name, model, recorder=recorder, owned=spec.closes)
        return Resources(models=models)

    def shared_by(self, processes: int) -> EnvironmentSpec:
        """The same for one of several processes: each has its part of the limits of the models."""
        models = {name: spec.shared_by(processes) for name, spec in self.models.items()}
        return msgspec.structs.replace(self, models=models)

    async def with_description(self) -> EnvironmentSpec:
        """The same with what its server, if there is one, reports about itself.

        Raises:
            GymError: no server answers at the URL.
        """
        if not self.url:
            return self
        return msgspec.structs.replace(self, about=await fetch_description(self.url, token=self.token))

    def scale(self, environment: Environment) -> RewardScale:
        """The scale of the rewards: of the server at the URL if it reports one, else of the environment."""
        rewards = self.about.rewards if self.about else None
        return rewards.scale if rewards else reward_scale(environment)

    def link(self, local: LocalEnvironment) -> EnvironmentLink:
        """What an agent acts in."""
        return RemoteEnvironment(self.url, about=self.about, token=self.token) if self.url else local

    def public(self, environment: Environment) -> dict[str, Any]:
        """What the manifest holds of it; compared on resume."""
        fields: dict[str, Any] = {"ref": self.ref, "settings": mask(self.settings)}
        if self.ref:
            fields["fingerprint"] = fingerprint(environment)
        if self.models:
            fields["models"] = {name: spec.public() for name, spec in self.models.items()}
        return {**fields, "url": self.url} if self.url else fields


class ModelSpec(msgspec.Struct, frozen=True):
    """A model back end. Its key and headers are written and shown nowhere."""

    type: str = "embedded"
    name: str = ""
    url: str | tuple[str, ...] = ""
    """Base URL; several are copies of one model."""
    api_key: str = ""
    timeout: float | None = None
    record: str = ""
    """The path of a file that every call is written to."""
    settings: dict[str, Any] = {}
    """The settings that only models of this type have."""

    @classmethod
    def of_instance(cls, implementation: str, settings: Mapping[str, Any]) -> ModelSpec:
        """The model of an instance. The names that the original package has for settings work too."""
        fields: dict[str, Any] = {}
        for key, value in settings.items():
            plain = key.removeprefix("openai_")
            if value is not None and plain not in _NOT_OF_CALLS:
                fields[_MODEL_FIELDS.get(plain, plain)] = value
        if implementation in ALIAS_SETTINGS:
            fields = ALIAS_SETTINGS[implementation] | fields
        own = {key: fields.pop(key) for key in _OWN_FIELDS if key in fields}
        if isinstance(own.get("url"), list):
            own["url"] = tuple(own["url"])
        more = {**fields.pop("settings", {}), **fields}
        return cls(type=ALIASES.get(implementation, implementation), **own, settings=more)

    def shared_by(self, processes: int) -> ModelSpec:
        """The same for one of several processes: each has its part of the limit of calls at once."""
        limit = self.settings.get(CALL_LIMIT)
        if type(limit) is not int or limit < 1:
            return self
        settings = {**self.settings, CALL_LIMIT: shared_limit(limit, processes)}
        return msgspec.structs.replace(self, settings=settings)

    @property
    def closes(self) -> bool:
        """Whether whoever builds a model from this closes it."""
        return True

    @property
    def starts_engine(self) -> bool:
        """Whether an engine is started for it."""
        return not self.url and self.type in ENGINE_TYPES

    def build(self, link: LocalEnvironment | None = None) -> Model:
        """The model; `link` is the environment, for the baselines that look into it."""
        return build_model(
            self.type,
            name=self.name,
            url=self.url,
            api_key=self.api_key,
            timeout=self.timeout,
            record=self.record,
            settings=self.settings,
            link=link,
        )

    def public(self) -> dict[str, Any]:
        """What the manifest holds of it; compared on resume."""
        url = self.url if isinstance(self.url, str) else list(self.url)
        settings = {key: value for key, value in self.settings.items() if key not in _PRIVATE}
        public = {"type": self.type, "name": self.name, "url": url}
        return mask({**public, "settings": settings} if settings else public)


class AgentSpec(msgspec.Struct, frozen=True):
    """An agent by name and its arguments; an empty name is the default agent of the environment."""

    name: str = ""
    arguments: dict[str, Any] = {}
    transient: dict[str, Any] = {}
    """Further arguments, which no file holds and which may differ on resume, such as an address."""

    def resolve(self, environment: str, *, steps: bool) -> AgentSpec:
        """The same with a name, after a check that the agent fits the environment.

        Args:
            environment: its name, for the message.
            steps: whether it has the reset/step form.

        Raises:
            UsageError: the agent doesn't fit.
        """
        name = self.name or ("step_loop" if steps else "tool_loop")
        spec = AgentSpec(name, self.arguments, self.transient)
        if (spec.build().plays == "steps") != steps:
            form, agent = ("reset and step", "step_loop") if steps else ("tools and verify", "tool_loop")
            raise UsageError(f"agent {spec.name!r} can't play {environment}, which has {form}: use {agent}")
        return spec

    @property
    def uses_hooks(self) -> bool:
        """Whether the agent needs the hooks of the environment in this process."""
        return self.name != "remote_run"

    @property
    def acts_here(self) -> bool:
        """Whether the agent acts in the environment of this process."""
        return self.name != "remote_run"

    @property
    def label(self) -> str:
        """The stamp of rows that name no agent."""
        return self.arguments.get("agent") or self.name

    def public(self) -> dict[str, Any]:
        """What the manifest holds of it; compared on resume."""
        return {"name": self.name, "arguments": mask(self.arguments)}

    def build(self) -> Agent:
        """The agent.

        Raises:
            UsageError: no such agent, or it takes no such argument.
        """
        kind = find_agent(self.name)
        takes = inspect.signature(kind).parameters
        arguments = self.arguments | self.transient
        for name in arguments:
            if name not in takes:
                listed = ", ".join(takes) or "nothing"
                near = get_close_matches(name, takes, n=1)
                hint = f". Did you mean {near[0]!r}?" if near else ""
                raise UsageError(f"agent {self.name!r} takes no {name} (it takes: {listed}){hint}")
        required = [name for name, parameter in takes.items() if parameter.default is parameter.empty]
        if missing := [repr(name) for name in required if name not in arguments]:
            problem = f"agent {self.name!r} needs the setting {' and '.join(missing)}"
            raise UsageError(problem).about("agent_settings")
        _check_types(self.name, kind, self.arguments)
        return kind(**arguments)


async def resolve_specs(
    environment: EnvironmentSpec, agent: AgentSpec
) -> tuple[Environment, EnvironmentSpec, AgentSpec]:
    """The environment of a run, and both specifications complete: with the description of a server and the
    name of the agent.

    Raises:
        GymError: no server answers at the URL.
        UsageError: there is no such environment or agent, or they don't fit together.
    """
    local = environment.build()
    spec = await environment.with_description()
    steps = isinstance(local, StepEnvironment) if spec.about is None else spec.about.steps
    agent = agent.resolve(spec.url or local.name(), steps=steps)
    if not spec.url and not isinstance(local, RemotePlaceholder):
        if agent.uses_hooks:
            check_hooks(local)
        if agent.acts_here:
            models = spec.models or local.resources.models
            check_supply(local.name(), local.asks, local.needed_models(), models)
    return local, spec, agent


def _check_types(agent: str, kind: Callable[..., Agent], arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of another type than the signature has; a number may be given for a text."""
    try:
        hints = get_type_hints(kind.__init__ if inspect.isclass(kind) else kind)
    except NameError:
        return  # an author's agent may import the types of its annotations for type checkers alone
    for name, value in arguments.items():
        try:
            msgspec.convert(value, hints.get(name, Any), strict=False)
        except msgspec.ValidationError as error:
            problem = str(error).partition(", got")[0].partition(" - at")[0]
            if not (problem.startswith("Expected `str") and isinstance(value, (int, float))):
                raise UsageError(f"agent {agent!r}: {name}: {problem}, got {value!r:.80}") from None
        except TypeError:
            continue  # a type that no configuration can hold, such as a callable


CALL_LIMIT: Final = "max_concurrent_requests"
"""The setting of a model for how many calls may be under way at once."""
_MODEL_FIELDS: Final = {
    "base_url": "url",
    "model": "name",
    "num_concurrent_requests": CALL_LIMIT,
}
_OWN_FIELDS: Final = ("url", "name", "api_key", "timeout", "record")
_NOT_OF_CALLS: Final = frozenset({"num_workers"})
"""Settings of the model servers of the original package that have no meaning for a call."""
_PRIVATE: Final = frozenset({"default_headers", "vllm_serve_env_vars"})
"""Settings that may hold keys."""


def fingerprint(environment: Environment) -> str:
    """A digest of an environment's code and settings: the same digest means the same verifier."""
    digest = hashlib.sha256(repr(sorted(msgspec.to_builtins(environment.config).items())).encode())
    for path in _sources(environment):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(environment: Environment) -> list[Path]:
    module = environment.source_file()
    return sorted(module.parent.glob("*.py")) if module.name == "environment.py" else [module]
