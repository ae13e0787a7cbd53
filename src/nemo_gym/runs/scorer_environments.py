"""The environments that score stored rollouts, by agent."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final

import msgspec

from nemo_gym.environments.base import Environment, Observation, Step
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.environments.remote_placeholder import RemotePlaceholder
from nemo_gym.environments.reverify_mode import reverify_mode, reverify_mode_at
from nemo_gym.environments.session import Session
from nemo_gym.runs.component_specs import EnvironmentSpec, ModelSpec
from nemo_gym.runs.manifest import load_manifest
from nemo_gym.runs.paths import RunPaths
from nemo_gym.wire.errors import EnvironmentFault, did_you_mean
from nemo_gym.wire.items import FunctionCall
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row, named_agent


class Scorers(EnvironmentSpec, frozen=True):
    """Environments by the name of the agent whose rollouts they score. They work in this process only: worker
    processes get a plain `EnvironmentSpec`."""

    agents: dict[str, EnvironmentSpec] = {}

    def build(self) -> Environment:
        return RemotePlaceholder()

    async def with_description(self) -> Scorers:
        specs = await asyncio.gather(*(spec.with_description() for spec in self.agents.values()))
        return msgspec.structs.replace(self, agents=dict(zip(self.agents, specs, strict=True)))

    def link(self, local: LocalEnvironment) -> EnvironmentLink:
        sandboxes = local.environment.resources.sandboxes
        links: dict[str, EnvironmentLink] = {}
        for name, spec in self.agents.items():
            resources = dataclasses.replace(spec.resources(), sandboxes=sandboxes)
            links[name] = spec.link(LocalEnvironment(spec.build(), resources=resources))
        return _ByAgent(links)

    def public(self, environment: Environment) -> dict[str, Any]:
        agents = {name: spec.public(spec.build()) for name, spec in self.agents.items()}
        return {"ref": "", "agents": agents}


def recorded_scorer(paths: RunPaths) -> EnvironmentSpec:
    """The environment that the manifest of a run names; an empty one where it names none.

    Raises:
        UsageError: there is no manifest.
    """
    fields = load_manifest(paths.manifest).identity.environment
    models = msgspec.convert(fields.get("models") or {}, dict[str, ModelSpec])
    return EnvironmentSpec(str(fields.get("ref") or ""), fields.get("settings") or {}, models=models)


async def check_modes(scorer: EnvironmentSpec) -> list[str]:
    """A line for each environment whose verifier may not score a stored trajectory as it would a new one.

    Raises:
        GymError: no server answers at a URL.
    """
    agents = scorer.agents if isinstance(scorer, Scorers) else {"": scorer}
    problems: dict[str, str] = {}
    for agent, spec in agents.items():
        if spec.url:
            mode = await reverify_mode_at(spec.url, token=spec.token)
        else:
            mode = reverify_mode(spec.build())
        if mode != "stateless":
            name = spec.ref or spec.url or agent
            problems[name] = f"{name}: its reverify mode is {mode!r}, {_MEANING[mode]}"
    return list(problems.values())


_MEANING: Final = {
    "unsupported": "its verifier needs the state that the tools left",
    "unknown": "so its verifier may need more than the row and the response",
}


class _ByAgent:
    """A link that takes each row to the environment of its agent."""

    steps = False
    max_steps = 1

    def __init__(self, links: Mapping[str, EnvironmentLink]) -> None:
        self._links = links
        self._open: dict[int, EnvironmentLink] = {}

    def session(self, row: Row) -> AbstractAsyncContextManager[Session]:
        name = named_agent(row)
        if name not in self._links:
            hint = did_you_mean(name, self._links)
            raise EnvironmentFault(f"no environment is known for agent {name!r}.{hint}")
        return self._session(self._links[name], row)

    @asynccontextmanager
    async def _session(self, link: EnvironmentLink, row: Row) -> AsyncGenerator[Session]:
        async with link.session(row) as session:
            self._open[id(session)] = link
            try:
                yield session
            finally:
                del self._open[id(session)]

    async def call(self, session: Session, call: FunctionCall) -> str:
        return await self._open[id(session)].call(session, call)

    async def reset(self, session: Session) -> Observation:
        return await self._open[id(session)].reset(session)

    async def step(self, session: Session, action: Response) -> Step:
        return await self._open[id(session)].step(session, action)

    async def verify(self, session: Session, response: Response) -> Reward:
        return await self._open[id(session)].verify(session, response)

    async def aclose(self) -> None:
        async with AsyncExitStack() as stack:
            for link in self._links.values():
                stack.push_async_callback(link.aclose)
