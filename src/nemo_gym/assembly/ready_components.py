"""Component objects of the caller, as the specs that a run takes."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from functools import cache

from nemo_gym.agents.base import Agent
from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.models.embedded import EmbeddedModel
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class ReadyEnvironment(EnvironmentSpec, frozen=True, kw_only=True):
    """An environment object. Like the other specs of objects it can't go to a worker process."""

    environment: Environment

    def build(self) -> Environment:
        return self.environment


class ReadyModel(ModelSpec, frozen=True, kw_only=True):
    """A model object, which its owner closes."""

    model: Model

    @property
    def closes(self) -> bool:
        return False

    def build(self, link: object = None) -> Model:
        return self.model


class AroundModel(ModelSpec, frozen=True, kw_only=True):
    """A model of another spec, with something around it."""

    inner: ModelSpec
    around: Callable[[Model], Model]

    @classmethod
    def of(cls, spec: ModelSpec, around: Callable[[Model], Model]) -> ModelSpec:
        """The spec of a model with something around it."""
        if isinstance(spec, ReadyModel):
            return ReadyModel(model=around(spec.model))
        return cls(type=spec.type, name=spec.name, url=spec.url, inner=spec, around=around)

    def build(self, link: LocalEnvironment | None = None) -> Model:
        return self.around(self.inner.build(link))


class ReadyAgent(AgentSpec, frozen=True, kw_only=True):
    """An agent object, which its owner closes."""

    agent: Agent

    def resolve(self, environment: str, *, steps: bool) -> AgentSpec:
        return self

    @property
    def uses_hooks(self) -> bool:
        return False

    @property
    def acts_here(self) -> bool:
        return not isinstance(self.agent, RemoteRun)

    @property
    def label(self) -> str:
        return type(self.agent).__name__

    def build(self) -> Agent:
        return self.agent


class LentModel(WrappedModel):
    """A model that stays open when this one is closed."""

    async def responses(self, params: RequestParams) -> Response:
        return await self.inner.responses(params)

    async def aclose(self) -> None:
        pass


@cache
def embedded_model() -> Model:
    """The embedded model of this process, loaded once and closed when the process ends."""
    model = EmbeddedModel()
    atexit.register(model.close)
    return model
