"""Computes the metrics of a run again from its files, with those that only its environments know."""

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
from nemo_gym.runs.report import Reading, RunReport
from nemo_gym.runs.scorer_environments import Scorers
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.transport.exchange import Body


async def recompute(
    output: Path, scorer: EnvironmentSpec, *, agents: RemoteRun | None = None
) -> tuple[RunReport, list[str]]:
    """Write the aggregate metrics of the run at `output`; its report, and what the user should know.

    Args:
        scorer: the environment that scored it, or several by agent.
        agents: running agents, which are asked about rollouts whose environment isn't known here.

    Raises:
        UsageError: there is no run.
        GymError: a hook of an environment raised.
    """
    async with _metrics(scorer, agents) as metrics:
        reading = Reading(output, answer_key=metrics.answer_key, own=metrics, scale=metrics.scale)
        await metrics.asked.ask(reading.metrics.columns())
        notes = [
            f"warning: no metrics of {name}'s own: {why}" for name, why in metrics.asked.problems.items()
        ]
        return reading.report(write_metrics=True), notes


class _Metrics:
    """Each agent's rollouts go to who knows more of them."""

    def __init__(self, scorer: EnvironmentSpec, asked: RemoteMetrics, agents: RemoteRun | None) -> None:
        self.asked = asked
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
        """What rewards can be, where it is the same for all environments and known here."""
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
            return OwnMetrics(None) if self._agents is None else self.asked
        return self.asked if spec.url else OwnMetrics(spec.build())


def scorer_of(scorer: EnvironmentSpec, agent: str) -> EnvironmentSpec | None:
    """The environment that scores the rollouts of an agent."""
    return scorer.agents.get(agent) if isinstance(scorer, Scorers) else scorer


@asynccontextmanager
async def _metrics(scorer: EnvironmentSpec, agents: RemoteRun | None) -> AsyncGenerator[_Metrics]:
    async with AsyncExitStack() as opened:
        servers: dict[str, RemoteEnvironment] = {}

        async def ask(agent: str, body: Body) -> bytes:
            spec = scorer_of(scorer, agent)
            if spec is None or not spec.url:
                assert agents is not None
                return await agents.metrics_of(agent, body)
            if spec.url not in servers:
                server = RemoteEnvironment(spec.url, about=spec.about, token=spec.token)
                servers[spec.url] = await opened.enter_async_context(aclosing(server))
            return await servers[spec.url].metrics_of(agent, body)

        yield _Metrics(scorer, opened.enter_context(closing(RemoteMetrics(ask))), agents)
