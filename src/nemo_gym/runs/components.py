"""Which environment, model and agent a run uses: plain data that any worker process can build from."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.agents.base import Agent
from nemo_gym.agents.registry import find_agent
from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.registry import build_model
from nemo_gym.wire.errors import UsageError


class EnvironmentSpec(msgspec.Struct, frozen=True):
    """An environment by reference (`mcqa`, `path.py:Class`, ...) and its settings."""

    ref: str
    settings: dict[str, Any] = {}

    def build(self) -> Environment:
        return find_environment(self.ref)(self.settings)


class ModelSpec(msgspec.Struct, frozen=True):
    """A model back end. The key is left out of everything that is written or shown."""

    type: str = "embedded"
    name: str = ""
    url: str = ""
    api_key: str = ""
    timeout: float | None = None
    record: str = ""
    """Path of a file that every call is recorded to."""

    def build(self, link: LocalEnvironment) -> Model:
        return build_model(
            self.type,
            name=self.name,
            url=self.url,
            api_key=self.api_key,
            timeout=self.timeout,
            record=self.record,
            link=link,
        )

    def public(self) -> dict[str, Any]:
        """What may be written down and compared on resume."""
        return {"type": self.type, "name": self.name, "url": self.url}


class AgentSpec(msgspec.Struct, frozen=True):
    """An agent by name and its arguments; an empty name picks the environment's natural one."""

    name: str = ""
    arguments: dict[str, Any] = {}

    def resolved(self, environment: Environment) -> AgentSpec:
        """The same with the name filled in, sure to fit the environment.

        Raises:
            UsageError: it doesn't fit.
        """
        steps = isinstance(environment, StepEnvironment)
        spec = AgentSpec(self.name or ("step_loop" if steps else "tool_loop"), self.arguments)
        if (spec.build().plays == "steps") != steps:
            form, fitting = ("reset and step", "step_loop") if steps else ("tools and verify", "tool_loop")
            name = environment.name()
            raise UsageError(f"agent {spec.name!r} can't play {name}, which has {form}: use {fitting}")
        return spec

    def build(self) -> Agent:
        """The agent.

        Raises:
            UsageError: no such agent, or it takes no such argument.
        """
        kind = find_agent(self.name)
        takes = inspect.signature(kind).parameters
        for name in self.arguments:
            if name not in takes:
                known = ", ".join(takes) or "nothing"
                raise UsageError(f"agent {self.name!r} takes no {name} (it takes: {known})")
        return kind(**self.arguments)


def fingerprint(environment: Environment) -> str:
    """A digest of an environment's code and settings: the same digest means the same verifier."""
    digest = hashlib.sha256(repr(sorted(msgspec.to_builtins(environment.config).items())).encode())
    for path in _sources(environment):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def public_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with secret-looking values masked."""
    words = ("key", "token", "secret", "password", "credential")
    return {name: "***" if any(w in name.lower() for w in words) else v for name, v in settings.items()}


def _sources(environment: Environment) -> list[Path]:
    module = environment.source_file()
    return sorted(module.parent.glob("*.py")) if module.name == "environment.py" else [module]
