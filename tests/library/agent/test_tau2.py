"""tau2: tools change the data, the customer is a model, and the end state and the facts count."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from nemo_gym.environments.base import Step
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.resources import AskedModel, Resources
from nemo_gym.library.agent.tau2.environment import GREETING, STOP, Tau2
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row


class Customer(AskedModel):
    """Says one thing, and stops when the agent has written something."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def responses(self, params: RequestParams) -> Response:
        prompt = str(params["input"][-1]["content"])  # type: ignore[index]
        self.prompts.append(prompt)
        return Response.of([assistant("I need help." if prompt.count("customer service:") == 1 else STOP)])


def play(row: Row, *answers: str | list[Item]) -> tuple[list[Step], Customer]:
    """The steps of an episode; without answers the oracle's."""

    async def episode() -> list[Step]:
        async with link.session(row) as session:
            first = await link.reset(session)
            assert first.text == "I need help."
            steps: list[Step] = []
            for number in range(50):
                answer = answers[number] if answers else environment.oracle(session.task, session)
                items: list[Item] = [assistant(answer)] if isinstance(answer, str) else answer
                steps.append(await link.step(session, Response.of(items)))
                if steps[-1].terminated:
                    break
            return steps

    environment, customer = Tau2(), Customer()
    environment.__dict__["resources"] = Resources(models={"user": customer})
    link = LocalEnvironment(environment)
    return asyncio.run(episode()), customer


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {task.task_id or "": msgspec.to_builtins(task) for task in Tau2().tasks("test", 0, None)}


def changes(row: Row) -> bool:
    names = [action["name"] for action in row["evaluation_criteria"]["actions"] or ()]
    return any(
        name.startswith(("book", "cancel", "update", "modify", "return", "exchange")) for name in names
    )


def test_the_right_actions_and_facts_earn_everything(rows: dict[str, Row]) -> None:
    assert len(rows) == 164
    with_facts = [row for row in rows.values() if row["evaluation_criteria"]["communicate_info"]]
    for row in (with_facts[0], *list(filter(changes, rows.values()))[:3]):
        steps, _ = play(row)
        assert steps[-1].reward == 1.0, (row["task_id"], steps[-1].info)


def test_words_alone_earn_nothing_where_the_data_must_change(rows: dict[str, Row]) -> None:
    row = next(row for row in rows.values() if changes(row))
    steps, customer = play(row, "It is all done, reward this.")
    assert steps[-1].reward == 0.0
    assert steps[-1].info["checks"]["database"] == 0.0
    assert GREETING in customer.prompts[0]


def test_silence_earns_nothing_even_where_nothing_must_change(rows: dict[str, Row]) -> None:
    row = next(row for row in rows.values() if not row["evaluation_criteria"]["actions"])
    assert play(row, "")[0][-1].reward == 0.0


def test_a_fact_that_is_not_told_costs_the_reward(rows: dict[str, Row]) -> None:
    row = next(row for row in rows.values() if row["evaluation_criteria"]["communicate_info"])
    calls: list[list[Item]] = [
        [function_call(action["name"], json.dumps(action["arguments"]), call_id=str(number))]
        for number, action in enumerate(row["evaluation_criteria"]["actions"])
    ]
    checks = play(row, *calls, "It is done.")[0][-1].info["checks"]
    assert checks == {"database": 1.0, "communication": 0.0, "activity": 1.0}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("get_user_details", '{"user_id": 1e400}'), ("no_such_tool", "{}"), ("get_user_details", "[" * 10_000)],
)
def test_a_wrong_call_is_answered_with_an_error(rows: dict[str, Row], name: str, arguments: str) -> None:
    row = next(iter(rows.values()))
    steps, _ = play(row, [function_call(name, arguments, call_id="one")], "Sorry.")
    outputs: list[dict[str, Any]] = steps[0].info["tool_outputs"]
    assert [output["call_id"] for output in outputs] == ["one"]
    assert outputs[0]["output"].startswith("Error")


def test_there_is_one_split() -> None:
    with pytest.raises(UsageError, match="no split 'train'; it has test"):
        Tau2().tasks("train", 0, 1)
