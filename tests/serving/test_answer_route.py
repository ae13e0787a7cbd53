"""`/data_designer/validate`: verdicts on the rows of a table."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from nemo_gym import Environment, Response, Reward, Session, Step, StepEnvironment, Task, tool
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import ModelTimeout

PATH = "/data_designer/validate"


class Naming(Environment):
    """Name the thing."""

    class Task(Task):
        name: str
        parts: list[int] = []

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
        calls = [call["name"] for call in response.function_calls]
        parts = {"name": float(task.name in response.final_text), "calls": float(bool(calls))}
        return Reward(parts["name"], details={"reason": "named" if parts["name"] else "other"})


@pytest.fixture
def caller():
    with TestClient(environment_app(LocalEnvironment(Naming()), "n", AppOptions())) as client:
        yield client


def verdicts(caller: TestClient, *rows: Any, query: str = "") -> list[dict[str, Any]]:
    answer = caller.post(PATH + query, json={"data": list(rows)})
    assert answer.status_code == 200
    return answer.json()["data"]


def test_each_row_has_the_verdict_of_the_environment(caller: TestClient) -> None:
    right, wrong = verdicts(
        caller, {"name": "Ada", "answer": "It is Ada."}, {"name": "Ada", "answer": "It is Bo."}
    )

    assert right == {"is_valid": True, "reward": 1.0, "reward_components": None, "reason": "named"}
    assert wrong == {"is_valid": False, "reward": 0.0, "reward_components": None, "reason": "other"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"name": "Ada", "answer": "crash"}, "verify raised LookupError: no such thing"),
        ({"name": "Ada", "answer": "judge"}, "ModelTimeout: the judge is asleep"),
        ({"name": 7, "answer": "x"}, "task does not fit naming: Expected `str`, got `int`"),
        ({"answer": "x"}, "task does not fit naming: missing column `name`"),
        ({"name": "Ada", "answer": None}, "the answer is null"),
        ({"name": "Ada", "anwser": "x"}, "there is no column 'answer' for answer. Did you mean 'anwser'?"),
    ],
)
def test_a_failed_verification_is_null_with_its_reason(caller: TestClient, row: Any, reason: str) -> None:
    failed, fine = verdicts(caller, row, {"name": "Ada", "answer": "Ada"})

    assert failed["is_valid"] is None
    assert failed["reward"] is None
    assert failed["reason"].startswith(reason)
    assert fine["is_valid"] is True


def test_the_query_names_other_columns(caller: TestClient) -> None:
    row = {"who": "Ada", "said": "Ada", "numbers": "[1, 2]"}

    (verdict,) = verdicts(caller, row, query="?answer=said&name=who&parts=numbers")

    assert verdict["is_valid"] is True


def test_a_column_may_have_the_whole_task_as_json(caller: TestClient) -> None:
    (verdict,) = verdicts(caller, {"gym_task": '{"name": "Ada"}', "answer": "Ada"}, query="?task=gym_task")

    assert verdict["is_valid"] is True


class Quiz(Environment):
    """A task whose right answer has the name of the column with the model's answer."""

    class Task(Task):
        answer: str = ""

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return float(response.final_text == task.answer)


@pytest.mark.parametrize(
    ("row", "query"),
    [
        ({"answer": "7", "said": "8"}, "?answer=said"),
        ({"t": '{"answer": "7"}', "said": "8"}, "?task=t&answer=said"),
        ({"t": '{"answer": "7"}', "answer": "8"}, "?task=t"),
    ],
)
def test_a_task_keeps_its_own_field_named_answer(row: dict[str, Any], query: str) -> None:
    with TestClient(environment_app(LocalEnvironment(Quiz()), "q", AppOptions())) as caller:
        (wrong,) = verdicts(caller, row, query=query)
        said = "answer" if query == "?task=t" else "said"
        (right,) = verdicts(caller, {**row, said: "7"}, query=query)

    assert (wrong["is_valid"], right["is_valid"]) == (False, True)


def test_a_trace_and_a_response_are_answers_too(caller: TestClient) -> None:
    trace = [
        {"role": "user", "content": [{"type": "text", "text": "Who?"}], "tool_calls": None},
        {"role": "assistant", "content": [{"type": "text", "text": "Ada"}], "tool_calls": None},
    ]
    output = [{"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": []}]

    first, second, third = verdicts(
        caller,
        {"name": "Ada", "answer": trace},
        {"name": "Ada", "answer": {"output": output}},
        {"name": "Ada", "answer": trace[:1]},
    )

    assert (first["is_valid"], second["is_valid"], third["is_valid"]) == (True, False, None)
    assert third["reason"] == "the messages have no answer of a model"


def test_the_route_is_no_tool(caller: TestClient) -> None:
    paths = caller.get("/openapi.json").json()["paths"]

    assert PATH not in paths
    assert "/greet" in paths
    assert [one["name"] for one in caller.post("/seed_session", json={"name": "Ada"}).json()["tools"]] == [
        "greet"
    ]


def test_an_environment_of_steps_has_no_verdict_on_one_answer() -> None:
    class Walking(StepEnvironment):
        """Walk."""

        def step(self, action: Response, session: Session) -> Step:
            return Step(reward=1.0, terminated=True)

    with TestClient(environment_app(LocalEnvironment(Walking()), "w", AppOptions())) as caller:
        (verdict,) = verdicts(caller, {"answer": "left"})

    assert verdict["is_valid"] is None
    assert verdict["reason"] == "one answer to an environment with reset and step can't be verified"


def test_an_environment_that_compares_answers_has_no_verdict_on_one() -> None:
    class Best(Environment):
        """Give the longest answer."""

        def cohort_size(self, task: Any) -> int:
            return 2

        async def verify(self, task: Any, response: Response, session: Session) -> float:
            raise AssertionError("it would wait for the second answer")

    with TestClient(environment_app(LocalEnvironment(Best()), "b", AppOptions())) as caller:
        (verdict,) = verdicts(caller, {"answer": "long"})

    assert verdict["is_valid"] is None
    assert "compares several answers" in verdict["reason"]


def test_a_body_without_rows_is_refused(caller: TestClient) -> None:
    assert caller.post(PATH, json={"data": "x"}).status_code == 422
    assert caller.post(PATH, json={"data": [1]}).status_code == 422
    assert verdicts(caller) == []
