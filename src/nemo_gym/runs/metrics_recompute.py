"""Computes the metrics of a run from its files again, with the metrics of its environments."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.environments.rewards import reward_scale
from nemo_gym.runs.component_specs import EnvironmentSpec
from nemo_gym.runs.environment_metrics import Additions, OwnMetrics
from nemo_gym.runs.remote_metrics import RemoteMetrics
from nemo_gym.runs.report import RunReader, RunReport
from nemo_gym.runs.scorer_environments import Scorers
from nemo_gym.runs.store import RunStore
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.transport.exchange import Body


async def recompute(
    output: Path, scorer: EnvironmentSpec, *, agents: RemoteRun | None = None
) -> tuple[RunReport, list[str]]:
    """Write the aggregate metrics of the run at `output`; its report, and notes for the user.

    Args:
        scorer: the environment that scored it, or several by agent.
        agents: running agents, for the metrics of rollouts whose environment is not in `scorer`.

    Raises:
        UsageError: there is no run.
        GymError: a hook of an environment raised.
    """
    async with _metrics(scorer, agents) as metrics:
        scale = metrics.scale
        if scale is not None:
            scale = RunStore(output).manifest().terms.scale_of(scale)
        reader = RunReader(output, answer_key=metrics.answer_key, own=metrics, scale=scale)
        await metrics.remote.ask(reader.metrics.columns())
        problems = metrics.remote.problems
        reader.write_metrics()
        return reader.report(), [
            f"warning: no metrics of {name}'s own: {why}" for name, why in problems.items()
        ]


class _Metrics:
    """Passes the rollouts of each agent to the hooks of its environment, or to its server."""

    def __init__(self, scorer: EnvironmentSpec, remote: RemoteMetrics, agents: RemoteRun | None) -> None:
        self.remote = remote
        self._scorer = scorer
        self._agents = agents
        self._of: dict[str, Additions] = {}

    @property
    def answer_key(self) -> str | None:
        """The column with the extracted answer, where it is the same for all environments."""
        specs = self._scorer.agents.values() if isinstance(self._scorer, Scorers) else [self._scorer]
        names = {spec.build().answer_key for spec in specs}
        return names.pop() if len(names) == 1 else None

    @property
    def scale(self) -> RewardScale | None:
        """The range of rewards, where it is the same for all environments in this process."""
        if not isinstance(self._scorer, Scorers):
            return reward_scale(self._scorer.build()) if self._scorer.ref else None
        scales = {reward_scale(spec.build()) for spec in self._scorer.agents.values() if spec.ref}
        return scales.pop() if len(scales) == 1 else None

    def add(self, agent: str, task: int, rollout: int, raws: Mapping[str, msgspec.Raw]) -> None:
        if agent not in self._of:
            self._of[agent] = self._choose(agent)
        self._of[agent].add(agent, task, rollout, raws)

    def compute(self, agent: str) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        return self._of[agent].compute(agent) if agent in self._of else ({}, {})

    def key_metrics(self, agent: str, metrics: dict[str, Any]) -> dict[str, Any]:
        return self._of.get(agent, OwnMetrics(None)).key_metrics(agent, metrics)

    def _choose(self, agent: str) -> Additions:
        spec = scorer_of(self._scorer, agent)
        if spec is None or not (spec.ref or spec.url):
            return OwnMetrics(None) if self._agents is None else self.remote
        return self.remote if spec.url else OwnMetrics(spec.build())


def scorer_of(scorer: EnvironmentSpec, agent: str) -> EnvironmentSpec | None:
    """The environment that scores the rollouts of an agent."""
    return scorer.agents.get(agent) if isinstance(scorer, Scorers) else scorer


@asynccontextmanager
async def _metrics(scorer: EnvironmentSpec, agents: RemoteRun | None) -> AsyncGenerator[_Metrics]:
    async with AsyncExitStack() as stack:
        servers: dict[str, RemoteEnvironment] = {}

        async def ask(agent: str, body: Body) -> bytes:
            spec = scorer_of(scorer, agent)
            if spec is None or not spec.url:
                assert agents is not None
                return await agents.metrics_of(agent, body)
            if spec.url not in servers:
                server = RemoteEnvironment(spec.url, about=spec.about, token=spec.token)
                servers[spec.url] = await stack.enter_async_context(aclosing(server))
            return await servers[spec.url].metrics_of(agent, body)

        yield _Metrics(scorer, stack.enter_context(closing(RemoteMetrics(ask))), agents)
