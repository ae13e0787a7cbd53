"""An environment as a server: sessions, tools, verdicts, episodes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from starlette.testclient import TestClient

from nemo_gym import (
    Environment,
    Observation,
    Response,
    Reward,
    Session,
    Step,
    StepEnvironment,
    Task,
    ToolError,
    tool,
)
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import ModelTimeout, UsageError
from nemo_gym.wire.items import assistant, function_call

PARAMS = {"input": [{"role": "user", "content": "count"}]}
ROW = {"responses_create_params": PARAMS, "goal": 3, "_ng_task_index": 7, "note": {"kept": [1, None]}}


def said(text: str) -> dict[str, Any]:
    return {"output": [assistant(text)]}


class Counting(Environment):
    """Count to the goal."""

    class Task(Task):
        goal: int

    closed: ClassVar[list[int]] = []

    def seed(self, task: Any, session: Session) -> None:
        session.state["count"] = 0

    @tool
    async def add(self, session: Session, by: int = 1) -> dict[str, int]:
        """Add to the count."""
        if by > 100:
            raise ToolError("too much at once")
        session.state["count"] += by
        return {"count": session.state["count"]}

    @tool
    def greet(self, name: str) -> str:
        """Say hello."""
        return f"Hello {name}"

    def verify(self, task: Any, response: Response, session: Session) -> Reward:
        match response.final_text:
            case "crash":
                raise LookupError("no such thing")
            case "judge":
                raise ModelTimeout("the judge is asleep")
        parts = {
            "count": float(session.state["count"] == task.goal),
            "text": float(response.final_text == "done"),
        }
        details = {"count": session.state["count"], "reward": "never", "note": "replaced"}
        return Reward(sum(parts.values()) / 2, components=parts, details=details)

    def close(self, session: Session) -> None:
        self.closed.append(session.state["count"])


@pytest.fixture
def link() -> LocalEnvironment:
    Counting.closed.clear()
    return LocalEnvironment(Counting())


@pytest.fixture
def caller(link):
    with TestClient(environment_app(link, "c", AppOptions())) as client:
        yield client


def test_a_rollout_keeps_its_state_from_seed_to_verdict(caller, link):
    assert caller.post("/seed_session", json=ROW).status_code == 200
    assert caller.post("/add", json={"by": 2}).json() == {"count": 2}
    assert caller.post("/add", json={}).json() == {"count": 3}

    verdict = caller.post("/verify", json={**ROW, "response": said("done")})

    assert verdict.json() == {
        **ROW,
        "response": said("done"),
        "reward": 1.0,
        "reward_components": {"count": 1.0, "text": 1.0},
        "count": 3,
        "note": "replaced",
    }
    assert link.open_sessions == 0
    assert Counting.closed == [3]


def test_an_echo_adds_to_the_bytes_that_came(caller):
    body = (
        b' {"responses_create_params": {"input": "x"}, "goal": 0,\n"odd": 1.50, "response": {"output": []}} '
    )

    content = caller.post("/verify", content=body).content

    assert content.startswith(body.rstrip()[:-1])
    assert content.endswith(b'"reward":0.5,"reward_components":{"count":1.0,"text":0.0}}')


def test_the_tools_are_told_to_who_has_none(caller):
    tools = caller.post("/seed_session", json=ROW).json()["tools"]
    assert [one["name"] for one in tools] == ["add", "greet"]

    own = {**ROW, "responses_create_params": {**PARAMS, "tools": []}}
    assert caller.post("/seed_session", json=own).json() == {}


def test_every_problem_of_a_tool_is_text_for_the_model(caller):
    caller.post("/seed_session", json=ROW)

    assert caller.post("/greet", json={"name": "Ada"}).text == "Hello Ada"
    assert (
        caller.post("/greet", json={"nam": "Ada"}).json()["error"].startswith("Invalid arguments for greet")
    )
    assert caller.post("/add", json={"by": 101}).json() == {"error": "too much at once"}
    missing = caller.post("/ad", json={})
    assert missing.status_code == 404
    assert missing.json() == {"error": "There is no tool 'ad'. Did you mean 'add'?"}


def test_two_rollouts_share_nothing(link):
    app = environment_app(link, "c", AppOptions())
    one, two = TestClient(app), TestClient(app)
    for client in (one, two):
        client.post("/seed_session", json=ROW)

    one.post("/add", json={"by": 5})

    assert two.post("/add", json={"by": 1}).json() == {"count": 1}


def test_a_row_can_be_scored_without_a_session(caller, link):
    for _ in range(2):
        assert caller.post("/verify", json={**ROW, "response": said("done")}).json()["reward"] == 0.5
    assert link.open_sessions == 0
    assert Counting.closed == [0, 0]


def test_what_comes_with_the_response_is_what_is_scored(caller):
    caller.post("/seed_session", json=ROW)
    caller.post("/add", json={"by": 9})

    assert caller.post("/verify", json={"goal": 9, "response": said("done")}).json()["reward"] == 1.0


@pytest.mark.parametrize("path", ["/verify", "/add"])
def test_a_session_that_is_over_is_never_replaced_by_a_fresh_one(caller, path):
    caller.post("/seed_session", json=ROW)
    caller.post("/verify", json={**ROW, "response": said("done")})

    for _ in range(2):
        assert caller.post(path, json={**ROW, "response": said("done")}).status_code == 410
    caller.post("/seed_session", json=ROW)
    assert caller.post("/add", json={}).json() == {"count": 1}


@pytest.mark.parametrize("path", ["/verify", "/add"])
def test_nor_is_one_that_a_restart_lost(caller, path):
    caller.post("/seed_session", json=ROW)
    restarted = TestClient(environment_app(LocalEnvironment(Counting()), "c", AppOptions()))
    restarted.cookies.update(caller.cookies)

    for _ in range(2):
        assert restarted.post(path, json={**ROW, "response": said("done")}).status_code == 410


def test_a_tool_without_a_session_says_what_to_do_first(caller):
    answer = caller.post("/add", json={})

    assert answer.status_code == 409
    assert "POST the task row first" in answer.json()["detail"]


def test_a_tool_of_an_environment_that_needs_no_columns_works_on_its_own():
    class Free(Counting):
        Task = Task

    caller = TestClient(environment_app(LocalEnvironment(Free()), "f", AppOptions()))

    assert [caller.post("/add", json={}).json()["count"] for _ in range(2)] == [1, 2]


def test_a_verifier_that_raises_is_500_and_closes_the_session(caller, link):
    caller.post("/seed_session", json=ROW)

    answer = caller.post("/verify", json={**ROW, "response": said("crash")})

    assert answer.status_code == 500
    assert "verify raised LookupError: no such thing" in answer.json()
    assert link.open_sessions == 0
    assert caller.post("/verify", json={**ROW, "response": said("done")}).status_code == 410


def test_a_judge_that_fails_is_a_failure_and_no_error(caller):
    answer = caller.post("/verify", json={**ROW, "response": said("judge")})

    assert answer.status_code == 200
    assert answer.json()["_ng_failure_class"] == "judge_failed"
    assert answer.json()["_ng_failure_judge_error"] == "ModelTimeout: the judge is asleep"
    assert answer.json()["reward"] == 0.0


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"responses_create_params": PARAMS, "response": {"output": []}}, ["body", "goal"]),
        ({**ROW, "goal": "three", "response": {"output": []}}, ["body", "goal"]),
        (ROW, ["body", "response"]),
        ({**ROW, "response": {}}, ["body", "response", "output"]),
        (
            {**ROW, "response": {"output": [{"role": "user", "content": ""}]}},
            ["body", "response", "output", 0, "type"],
        ),
        ({**ROW, "response": {"output": [{"type": "odd"}]}}, ["body", "response", "output", 0, "type"]),
        (
            {**ROW, "response": {"output": [], "incomplete_details": "x"}},
            ["body", "response", "incomplete_details"],
        ),
    ],
)
def test_a_body_that_can_not_be_scored_is_422_and_names_the_place(caller, body, loc):
    answer = caller.post("/verify", json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == loc


def test_seeding_again_closes_what_was_open(caller, link):
    caller.post("/seed_session", json=ROW)
    caller.post("/add", json={"by": 4})
    caller.post("/seed_session", json=ROW)

    assert link.open_sessions == 1
    assert Counting.closed == [4]


def test_sessions_are_closed_when_the_server_stops(link):
    with TestClient(environment_app(link, "c", AppOptions())) as client:
        client.post("/seed_session", json=ROW)
        assert link.open_sessions == 1

    assert Counting.closed == [0]


def test_a_session_that_lies_unused_is_closed_without_another_request():
    class Brief(Counting):
        session_ttl = 0.05

    link = LocalEnvironment(Brief())
    with TestClient(environment_app(link, "b", AppOptions())) as client:
        client.post("/seed_session", json=ROW)
        while link.open_sessions:
            client.get("/")
        assert client.post("/add", json={}).status_code == 410


def test_a_close_that_fails_is_noted_beside_the_reward():
    class Clumsy(Counting):
        def close(self, session: Session) -> None:
            raise OSError("stuck")

    caller = TestClient(environment_app(LocalEnvironment(Clumsy()), "c", AppOptions()))
    caller.post("/seed_session", json=ROW)

    verdict = caller.post("/verify", json={**ROW, "response": said("done")}).json()

    assert verdict["reward"] == 0.5
    assert verdict["cleanup_warning"]["error_type"] == "OSError"


def test_a_tool_with_the_name_of_a_route_is_refused():
    class Odd(Counting):
        @tool
        def verify(self, word: str) -> str:
            """Not the verifier."""
            return word

    with pytest.raises(UsageError, match="tool 'verify' can't be served"):
        environment_app(LocalEnvironment(Odd()), "o", AppOptions())


class Climbing(StepEnvironment):
    """Say `up` until the top."""

    max_steps = 5

    def reset(self, task: Any, session: Session) -> Observation:
        session.state["height"] = 0
        return Observation("At the foot.", {"seen": 1})

    def step(self, action: Response, session: Session) -> Step:
        if action.final_text == "fall":
            raise LookupError("no ground")
        session.state["height"] += action.final_text == "up"
        height = session.state["height"]
        return Step(f"At {height}.", 0.5, terminated=height == 2, info={"height": height})


@pytest.fixture
def climber():
    with TestClient(environment_app(LocalEnvironment(Climbing()), "k", AppOptions())) as client:
        yield client


def test_an_episode_goes_from_reset_to_its_end(climber):
    first = climber.post("/reset", json={"responses_create_params": PARAMS}).json()
    steps = [climber.post("/step", json={**ROW, "response": said("up")}).json() for _ in range(2)]

    assert first["observation"] == "At the foot."
    assert first["info"] == {"seen": 1, "supports_explicit_close": True, "supports_step_idempotency": True}
    assert steps[1] == {
        "observation": "At 2.", "reward": 0.5, "terminated": True, "truncated": False, "info": {"height": 2}
    }  # fmt: skip
    assert climber.post("/step", json={**ROW, "response": said("up")}).status_code == 410


def test_a_step_that_is_sent_again_is_not_taken_again(climber):
    climber.post("/reset", json={"responses_create_params": PARAMS})
    body = {**ROW, "response": said("up"), "_ng_step_request_id": "one"}

    answers = [climber.post("/step", json=body).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]

    last = {**body, "_ng_step_request_id": "two"}
    assert [climber.post("/step", json=last).json()["terminated"] for _ in range(2)] == [True, True]


def test_an_episode_can_be_closed_early_and_closing_again_does_nothing(climber):
    climber.post("/reset", json={"responses_create_params": PARAMS})

    assert [climber.post("/close", json={}).status_code for _ in range(2)] == [200, 200]
    assert climber.post("/step", json={"response": said("up")}).status_code == 410


def test_a_step_before_the_reset_or_one_that_raises_is_told(climber):
    assert climber.post("/step", json={"response": said("up")}).status_code == 409

    climber.post("/reset", json={"responses_create_params": PARAMS})
    assert (
        "step raised LookupError: no ground" in climber.post("/step", json={"response": said("fall")}).json()
    )


def test_step_environments_have_no_verify_and_the_others_no_reset(caller, climber):
    assert climber.post("/verify", json={**ROW, "response": said("up")}).status_code == 404
    assert caller.post("/reset", json=ROW).status_code == 404


class Plain(Environment):
    """Nothing but a verifier."""

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return 1.0


@pytest.mark.parametrize(
    ("kind", "mode"), [(Plain, "stateless"), (Counting, "unknown"), (Climbing, "unsupported")]
)
def test_the_reverify_mode_says_what_a_verdict_hangs_on(kind, mode):
    client = TestClient(environment_app(LocalEnvironment(kind()), "r", AppOptions()))

    assert client.get("/reverify_mode").json() == mode


def test_a_trajectory_with_tool_calls_and_a_rollout_prefix_is_scored_alike(caller):
    output = [function_call("add", '{"by": 3}', call_id="c1"), assistant("done")]

    answer = caller.post("/ng-rollout/7-0/verify", json={**ROW, "response": {"output": output}})

    assert answer.json()["reward"] == 0.5
