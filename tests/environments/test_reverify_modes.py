"""Whether stored rollouts can be scored anew: what environments say of themselves, and that it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nemo_gym
from nemo_gym import Environment, Response, Session, StepEnvironment, tool
from nemo_gym.environments.conformance.stand_in import answer_as, stand_ins
from nemo_gym.environments.discovery import find_environment, list_environments
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.reverify_mode import reverify_mode
from nemo_gym.models.scripted import ScriptedModel
from tests.support.sandboxed import runs_programs

STATEFUL = {
    "blackjack",
    "device_settings",
    "example_mcp_weather",
    "example_multi_step",
    "example_repair",
    "example_session_state_mgmt",
    "example_single_tool_call",
    "example_tool_call_multireward",
    "genrm_compare",
    "long_horizon",
    "math_advanced_calculations",
    "multi_agent",
    "sokoban",
    "swe_mini",
    "tau2",
    "terminal",
    "tetris",
    "text_adventure",
    "web_shop",
}
"""Environments whose verdict depends on a state that a stored rollout does not have."""
VERDICTS = {"simpleqa": "B", "abstention": "C", "equivalence_llm_judge": "[[A!=B]]", "rubric": "YES"}
"""What the judges of the environments that need one say."""
EVERY = sorted(info.name for info in list_environments(roots=[]))
STATELESS = [name for name in EVERY if name not in STATEFUL]


class Bare(Environment):
    def verify(self, task: Any, response: Response, session: Session) -> float:
        return 1.0


class Seeded(Bare):
    def seed(self, task: Any, session: Session) -> None:
        """Nobody knows what for."""


class Tooled(Bare):
    @tool
    def look(self, session: Session) -> str:
        """Look."""
        return "there"


class Declared(Tooled):
    stateless = True


class Stepped(StepEnvironment):
    stateless = True


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        (Bare, "stateless"),
        (Seeded, "unknown"),
        (Tooled, "unknown"),
        (Declared, "stateless"),
        (Stepped, "unsupported"),
    ],
)
def test_an_environment_says_it_or_it_is_seen(kind: type[Environment], mode: str) -> None:
    assert reverify_mode(kind()) == mode


@pytest.mark.parametrize("name", EVERY)
def test_every_built_in_environment_has_a_mode(name: str) -> None:
    expected = "unsupported" if name in STATEFUL else "stateless"
    assert reverify_mode(find_environment(name, roots=[])()) == expected


@pytest.mark.parametrize("name", STATELESS)
async def test_what_is_stateless_scores_a_stored_trajectory_as_it_did_live(name: str) -> None:
    kind = find_environment(name, roots=[])
    limit = 1 if runs_programs(name) else 4
    link = LocalEnvironment(kind(), resources=stand_ins(kind.asks if name in VERDICTS else ()))
    answer_as({"judge": VERDICTS.get(name, "")})
    models = {"judge": ScriptedModel(lambda _: VERDICTS[name])} if name in VERDICTS else {}
    made = [
        rollout
        for model in ("oracle", "random")
        async for rollout in nemo_gym.collect(kind, model, limit=limit, seed=1, models=models)
    ]
    assert len(made) == 2 * limit
    for rollout in made:
        assert rollout.response is not None
        stored = Response(dict(rollout.response.data))
        async with link.session(dict(rollout.row)) as session:
            assert (await link.verify(session, stored)).value == rollout.reward
    await link.aclose()


def test_a_compat_server_says_what_its_configuration_says(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    path = tmp_path / "app.py"
    path.write_text(
        "from nemo_gym.base_resources_server import *\n"
        "class Config(BaseResourcesServerConfig):\n"
        "    REVERIFY_MODE = ReverifyMode.STATELESS\n"
        "class Server(SimpleResourcesServer):\n"
        "    config: Config\n"
        "    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:\n"
        "        return BaseVerifyResponse(**body.model_dump(), reward=1.0)\n"
    )
    assert reverify_mode(find_environment(f"{path}:Server")()) == "stateless"
