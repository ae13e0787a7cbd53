"""Which environment, model and agent a run uses: plain data that any worker process can build from."""

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
from nemo_gym.models.asked_model import CountedModel
from nemo_gym.models.base import Model
from nemo_gym.models.registry import build_model
from nemo_gym.models.type_table import ALIAS_SETTINGS, ALIASES, ENGINE_TYPES
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.masking import mask


class EnvironmentSpec(msgspec.Struct, frozen=True):
    """An environment by reference (`mcqa`, `path.py:Class`, ...) and its settings; or at a URL, where the
    reference may be missing and gives nothing but tasks. The token is left out of everything written."""

    ref: str = ""
    settings: dict[str, Any] = {}
    url: str = ""
    token: str = ""
    about: Description | None = None
    """What the server at the URL says of itself, once it has been asked."""
    models: dict[str, ModelSpec] = {}
    """The models that the environment here asks, by the names that it declares."""

    def build(self) -> Environment:
        """The environment here: the one acted in when there is no URL, and the one the tasks are of."""
        return (
            build_environment(find_environment(self.ref), self.settings) if self.ref else RemotePlaceholder()
        )

    def resources(self, recorder: Recorder | None = None) -> Resources:
        """What the environment is supplied with; whoever uses it closes it.

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

    async def described(self) -> EnvironmentSpec:
        """The same, after asking the server, if there is one, what it is.

        Raises:
            GymError: nobody answers at the URL.
        """
        if not self.url:
            return self
        return msgspec.structs.replace(self, about=await fetch_description(self.url, token=self.token))

    def link(self, local: LocalEnvironment) -> EnvironmentLink:
        """What an agent acts in."""
        return RemoteEnvironment(self.url, about=self.about, token=self.token) if self.url else local

    def public(self, environment: Environment) -> dict[str, Any]:
        """What may be written down and compared on resume."""
        known: dict[str, Any] = {"ref": self.ref, "settings": mask(self.settings)}
        if self.ref:
            known["fingerprint"] = fingerprint(environment)
        if self.models:
            known["models"] = {name: spec.public() for name, spec in self.models.items()}
        return {**known, "url": self.url} if self.url else known


class ModelSpec(msgspec.Struct, frozen=True):
    """A model back end. The key and headers are left out of everything that is written or shown."""

    type: str = "embedded"
    name: str = ""
    url: str | tuple[str, ...] = ""
    """Base URL; several are copies of one model."""
    api_key: str = ""
    timeout: float | None = None
    record: str = ""
    """Path of a file that every call is recorded to."""
    settings: dict[str, Any] = {}
    """What only models of this type have."""

    @classmethod
    def of_instance(cls, implementation: str, settings: Mapping[str, Any]) -> ModelSpec:
        """The model of an instance; the original package's names for its settings are understood."""
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

    @property
    def closes(self) -> bool:
        """Whether a model that is built from this is closed by whoever built it."""
        return True

    @property
    def starts_engine(self) -> bool:
        """Whether an engine is started for it."""
        return not self.url and self.type in ENGINE_TYPES

    def build(self, link: LocalEnvironment | None = None) -> Model:
        """The model; `link` is the environment acted in, for the baselines that look at it."""
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
        """What may be written down and compared on resume."""
        url = self.url if isinstance(self.url, str) else list(self.url)
        settings = {key: value for key, value in self.settings.items() if key not in _PRIVATE}
        public = {"type": self.type, "name": self.name, "url": url}
        return mask({**public, "settings": settings} if settings else public)


class AgentSpec(msgspec.Struct, frozen=True):
    """An agent by name and its arguments; an empty name picks the environment's natural one."""

    name: str = ""
    arguments: dict[str, Any] = {}
    passing: dict[str, Any] = {}
    """Further arguments that are written nowhere and may be others on resume, such as the address of a server
    that was started for this run."""

    def resolved(self, environment: str, *, steps: bool) -> AgentSpec:
        """The same with the name filled in, sure to fit the environment.

        Args:
            environment: its name, for the message.
            steps: whether it has the reset/step form.

        Raises:
            UsageError: it doesn't fit.
        """
        name = self.name or ("step_loop" if steps else "tool_loop")
        spec = AgentSpec(name, self.arguments, self.passing)
        if (spec.build().plays == "steps") != steps:
            form, fitting = ("reset and step", "step_loop") if steps else ("tools and verify", "tool_loop")
            raise UsageError(f"agent {spec.name!r} can't play {environment}, which has {form}: use {fitting}")
        return spec

    @property
    def uses_hooks(self) -> bool:
        """Whether the agent calls the environment's methods in this process."""
        return self.name != "remote_run"

    @property
    def acts_here(self) -> bool:
        """Whether the agent acts in the environment of this process."""
        return self.name != "remote_run"

    @property
    def label(self) -> str:
        """What rows that name no agent are stamped with."""
        return self.arguments.get("agent") or self.name

    def public(self) -> dict[str, Any]:
        """What may be written down and compared on resume."""
        return {"name": self.name, "arguments": mask(self.arguments)}

    def build(self) -> Agent:
        """The agent.

        Raises:
            UsageError: no such agent, or it takes no such argument.
        """
        kind = find_agent(self.name)
        takes = inspect.signature(kind).parameters
        arguments = self.arguments | self.passing
        for name in arguments:
            if name not in takes:
                known = ", ".join(takes) or "nothing"
                near = get_close_matches(name, takes, n=1)
                hint = f". Did you mean {near[0]!r}?" if near else ""
                raise UsageError(f"agent {self.name!r} takes no {name} (it takes: {known}){hint}")
        needed = [name for name, parameter in takes.items() if parameter.default is parameter.empty]
        if missing := [name for name in needed if name not in arguments]:
            needed = " and ".join(map(repr, missing))
            raise UsageError(f"agent {self.name!r} needs the setting {needed}").about("agent_settings")
        _check_types(self.name, kind, self.arguments)
        return kind(**arguments)


async def fitted(
    environment: EnvironmentSpec, agent: AgentSpec
) -> tuple[Environment, EnvironmentSpec, AgentSpec]:
    """The environment of a run, and the parts as they are once its server, if there is one, has been asked.

    Raises:
        GymError: nobody answers at the URL.
        UsageError: there is no such environment or agent, or they don't fit together.
    """
    built = environment.build()
    spec = await environment.described()
    steps = isinstance(built, StepEnvironment) if spec.about is None else spec.about.steps
    agent = agent.resolved(spec.url or built.name(), steps=steps)
    if not spec.url and not isinstance(built, RemotePlaceholder):
        if agent.uses_hooks:
            check_hooks(built)
        if agent.acts_here:
            supplied = spec.models or built.resources.models
            check_supply(built.name(), built.asks, built.needed_models(), supplied)
    return built, spec, agent


def _check_types(agent: str, kind: Callable[..., Agent], arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of the wrong type, where the signature says the type; a text may be any scalar."""
    try:
        hints = get_type_hints(kind.__init__ if inspect.isclass(kind) else kind)
    except NameError:
        return  # of an author's own agent: its annotations are known to type checkers alone
    for name, value in arguments.items():
        try:
            msgspec.convert(value, hints.get(name, Any), strict=False)
        except msgspec.ValidationError as error:
            expected = str(error).partition(", got")[0].partition(" - at")[0]
            if not (expected.startswith("Expected `str") and isinstance(value, (int, float))):
                raise UsageError(f"agent {agent!r}: {name}: {expected}, got {value!r:.80}") from None
        except TypeError:
            continue  # a type that only a program can give, such as a callable


_MODEL_FIELDS: Final = {
    "base_url": "url",
    "model": "name",
    "num_concurrent_requests": "max_concurrent_requests",
}
_OWN_FIELDS: Final = ("url", "name", "api_key", "timeout", "record")
_NOT_OF_CALLS: Final = frozenset({"num_workers"})
"""Settings of the original's model servers that say nothing about a call."""
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
