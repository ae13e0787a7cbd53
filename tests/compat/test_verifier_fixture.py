"""`VERIFIER_FIXTURE` of existing servers: tried from a test of theirs, and by `gym env test`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from nemo_gym.judge import JudgeError
from nemo_gym.verifier_fixture import VerifierFixture, VerifierFixtureError, exercise_verifier_fixture
from pydantic import BaseModel

from nemo_gym.wire.errors import DataError

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

FULL = {"name": "right", "kind": "full_reward", "request": {"said": "yes"}, "expected_reward": 1.0}
ZERO = {"name": "wrong", "kind": "zero_reward", "request": {"said": "no"}}
REFUSED = {
    "name": "refused",
    "kind": "malformed",
    "request": {"said": ""},
    "expected_error": "nothing was said",
    "expected_error_type": "ValueError",
}
SAME = {"name": "same", "kind": "determinism", "request": {"said": "maybe"}, "expected_reward": 0.5}


class Body(BaseModel):
    said: str


class Scored(Body):
    reward: float


class Verifier:
    """The part of a server that a fixture needs."""

    rewards: dict[str, float] = {"yes": 1.0, "no": 0.0, "maybe": 0.5}

    async def verify(self, body: Body) -> Scored:
        if not body.said:
            raise ValueError("nothing was said, so nothing is scored")
        return Scored(**body.model_dump(), reward=self.rewards[body.said])


def fixture_of(folder: Path, *cases: dict[str, Any], **changes: Any) -> VerifierFixture:
    path = folder / "cases.jsonl"
    path.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    return VerifierFixture(
        **{"server_factory": Verifier, "request_model": Body, "cases_path": path, **changes}
    )


async def test_every_case_is_tried_in_the_order_of_the_file(tmp_path: Path) -> None:
    fixture = fixture_of(tmp_path, FULL, ZERO, REFUSED, SAME)
    before = fixture.cases_path.read_bytes()
    results = await exercise_verifier_fixture(fixture, reward_range=(0, 1), determinism="seeded")
    assert [(one.name, one.kind, one.observed_rewards) for one in results] == [
        ("right", "full_reward", (1.0,)),
        ("wrong", "zero_reward", (0.0,)),
        ("refused", "malformed", ()),
        ("same", "determinism", (0.5, 0.5)),
    ]
    assert fixture.cases_path.read_bytes() == before


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({**FULL, "request": {"said": "maybe"}}, "right: expected 1, got 0.5"),
        ({**ZERO, "request": {"said": "yes"}}, "wrong: expected 0, got 1"),
        ({**ZERO, "request": {"said": "what"}}, "wrong: expected 0, got KeyError: 'what'"),
        ({**REFUSED, "request": {"said": "no"}}, "refused: expected ValueError: nothing was said, got 0"),
        (
            {**REFUSED, "expected_error": "other"},
            "refused: expected ValueError: other, got ValueError: nothing",
        ),
        ({**REFUSED, "expected_error_type": "OSError"}, "refused: expected OSError: nothing"),
        ({**SAME, "expected_reward": 0.25}, "same: expected 0.25, got 0.5"),
    ],
)
async def test_a_case_that_ends_otherwise_is_named(
    tmp_path: Path, case: dict[str, Any], message: str
) -> None:
    cases = [case if case["kind"] == one["kind"] else one for one in (FULL, ZERO, REFUSED, SAME)]
    with pytest.raises(VerifierFixtureError) as caught:
        await exercise_verifier_fixture(fixture_of(tmp_path, *cases), reward_range=(0, 1))
    assert message in str(caught.value)


async def test_the_ends_of_the_range_are_those_of_the_manifest(tmp_path: Path) -> None:
    class Loss(Verifier):
        rewards = {"yes": -1.0, "no": 3.0}

    fixture = fixture_of(tmp_path, FULL, ZERO, REFUSED, server_factory=Loss)
    results = await exercise_verifier_fixture(fixture, reward_range=(-1, 3), higher_is_better=False)
    assert [one.observed_rewards for one in results] == [(-1.0,), (3.0,), ()]
    with pytest.raises(VerifierFixtureError, match="right: expected 3"):
        await exercise_verifier_fixture(fixture, reward_range=(-1, 3))


async def test_a_verifier_of_chance_is_fixed_by_a_seed(tmp_path: Path) -> None:
    class Chance(Verifier):
        made = 0

        def __init__(self) -> None:
            Chance.made += 1
            self.rewards = {**Verifier.rewards, "maybe": Chance.made / 10}

    changes = {"server_factory": Chance}
    with pytest.raises(VerifierFixtureError, match=r"same: expected 0\.5, got 0\.\d and then 0\.\d"):
        await exercise_verifier_fixture(
            fixture_of(tmp_path, FULL, ZERO, REFUSED, SAME, **changes), reward_range=(0, 1)
        )

    def reseed(server: Chance, request: Body) -> None:
        server.rewards["maybe"] = 0.5

    seeded = fixture_of(tmp_path, FULL, ZERO, REFUSED, SAME, **changes, reseed=reseed)
    results = await exercise_verifier_fixture(seeded, reward_range=(0, 1))
    assert results[-1].observed_rewards == (0.5, 0.5)


async def test_a_verifier_is_called_as_the_fixture_says(tmp_path: Path) -> None:
    class Judged(Verifier):
        async def verify(self, request: Request, body: Body) -> Scored:
            assert request.session["session_id"]
            return await super().verify(body)

    async def invoke(server: Verifier, body: Body) -> dict[str, float]:
        if not body.said:
            raise JudgeError("no judge")
        return {"reward": server.rewards[body.said]}

    with_session = fixture_of(tmp_path, FULL, ZERO, REFUSED, server_factory=Judged)
    assert len(await exercise_verifier_fixture(with_session, reward_range=(0, 1))) == 3
    refused = {**REFUSED, "expected_error": "no judge", "expected_error_type": "JudgeError"}
    invoked = fixture_of(tmp_path, FULL, ZERO, refused, invoke=invoke)
    assert len(await exercise_verifier_fixture(invoked, reward_range=(0, 1))) == 3


async def test_what_is_expected_is_rewritten_but_for_the_ends(tmp_path: Path) -> None:
    stale = [{**REFUSED, "expected_error": "old"}, {**SAME, "expected_reward": 0.1}]
    fixture = fixture_of(tmp_path, FULL, ZERO, *stale)
    await exercise_verifier_fixture(fixture, reward_range=(0, 1), update_expected=True)
    rows = [json.loads(line) for line in fixture.cases_path.read_text().splitlines()]
    assert rows[:2] == [FULL, ZERO]
    assert rows[2]["expected_error"] == "nothing was said, so nothing is scored"
    assert rows[3] == SAME


async def test_a_fixture_that_lacks_something_says_what(tmp_path: Path) -> None:
    with pytest.raises(VerifierFixtureError, match="has no case of the kind malformed, zero_reward"):
        await exercise_verifier_fixture(fixture_of(tmp_path, FULL), reward_range=(0, 1))
    with pytest.raises(VerifierFixtureError, match="has no case of the kind determinism"):
        await exercise_verifier_fixture(
            fixture_of(tmp_path, FULL, ZERO, REFUSED), reward_range=(0, 1), determinism="seeded"
        )
    with pytest.raises(DataError, match=r"cases\.jsonl:2: "):
        await exercise_verifier_fixture(fixture_of(tmp_path, FULL, {"kind": "odd"}), reward_range=(0, 1))
    missing = VerifierFixture(Verifier, Body, tmp_path / "none.jsonl")
    with pytest.raises(VerifierFixtureError, match="no such file"):
        await exercise_verifier_fixture(missing, reward_range=(0, 1))


def test_the_fixture_of_a_server_is_what_gym_env_test_runs(gym: Gym, tmp_path: Path) -> None:
    assert gym("env", "init", "--environment", "adding", cwd=tmp_path).returncode == 0
    (tmp_path / "environments" / "adding" / "golden.jsonl").unlink()
    server = tmp_path / "resources_servers" / "adding"
    (server / "app.py").write_text(EXPORTING)
    rows = [FULL, ZERO, REFUSED]
    (server / "tests" / "cases.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    done = gym("env", "test", "adding", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 of 3 known answers" in done.stdout

    (server / "app.py").write_text(EXPORTING.replace('float(body.said == "yes")', "0.5"))
    done = gym("env", "test", "adding", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert [case["passed"] for case in json.loads(done.stdout)["cases"]] == [False, False, True]

    (server / "app.py").write_text("raise RuntimeError('not today')\nVERIFIER_FIXTURE = None\n")
    done = gym("env", "test", "adding", cwd=tmp_path)
    assert done.returncode == 1
    assert "RuntimeError: not today" in done.stderr


EXPORTING = """
from pathlib import Path

from nemo_gym.base_resources_server import BaseResourcesServerConfig, SimpleResourcesServer
from nemo_gym.verifier_fixture import VerifierFixture
from pydantic import BaseModel


class Body(BaseModel):
    said: str


class Scored(Body):
    reward: float


class Verifier:
    async def verify(self, body: Body) -> Scored:
        if not body.said:
            raise ValueError("nothing was said")
        return Scored(**body.model_dump(), reward=float(body.said == "yes"))


class Server(Verifier, SimpleResourcesServer):
    config: BaseResourcesServerConfig


VERIFIER_FIXTURE = VerifierFixture(
    server_factory=Verifier,
    request_model=Body,
    cases_path=Path(__file__).parent / "tests" / "cases.jsonl",
)

if __name__ == "__main__":
    Server.run_webserver()
"""
