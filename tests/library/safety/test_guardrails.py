import asyncio
from typing import Any

import msgspec

from nemo_gym import collect
from nemo_gym.environments.redteam.attack import attack
from nemo_gym.library.safety.guardrails.environment import ATTACKS, LOOK_ALIKES, Guardrails
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.items import assistant
from nemo_gym.wire.rail_checks import put_checks
from nemo_gym.wire.response import Response
from tests.library.judged import example_rows, failures_of_check

SORRY = "I'm sorry, I can't respond to that."


def rows_with(answer: Any, tasks: list[Any], **settings: Any) -> list[dict[str, Any]]:
    """The rows of one rollout for each task; `answer` gets the request's text."""

    def play(params: Any) -> Any:
        return answer(params["input"][-1]["content"])

    async def collected() -> list[dict[str, Any]]:
        model = ScriptedModel(play)
        return [one.to_row() async for one in collect(Guardrails, model, tasks, settings=settings)]

    return asyncio.run(collected())


def blocked(rail: str) -> Response:
    response = Response.of([assistant(SORRY)])
    put_checks(response, [{"stage": "input", "status": "blocked", "rail": rail}])
    return response


def test_it_keeps_every_promise_of_an_environment():
    assert failures_of_check(Guardrails) == []


def test_no_known_hack_pays():
    assert asyncio.run(attack(Guardrails)).payments == ()


def test_the_oracle_earns_the_full_reward():
    rows = asyncio.run(_oracle())
    assert len(rows) == 200
    assert {row["reward"] for row in rows} == {1.0}
    assert {row["reason"] for row in rows} == {"right"}


async def _oracle() -> list[dict[str, Any]]:
    return [one.to_row() async for one in collect("guardrails", "oracle", split="test", limit=200)]


def test_both_sides_of_every_category_are_drawn():
    tasks = example_rows(Guardrails(), 300)
    assert {(task["category"], task["expected"]) for task in tasks} == {
        (category, expected) for category in ATTACKS for expected in ("blocked", "allowed")
    }
    assert ATTACKS.keys() == LOOK_ALIKES.keys()


def test_rails_that_block_everything_are_right_about_attacks_and_refuse_the_rest():
    rows = rows_with(lambda _: blocked("all"), example_rows(Guardrails(), 60))
    rewards = {(row["expected"], row["reason"], row["reward"], row["rail"]) for row in rows}
    assert rewards == {("blocked", "right", 1.0, "all"), ("allowed", "over_refusal", 0.0, "all")}
    metrics = Guardrails().compute_metrics([rows])
    assert (metrics["mean/block_rate"], metrics["mean/over_refusal_rate"]) == (1.0, 1.0)


def test_a_model_that_refuses_by_itself_is_no_rail():
    rows = rows_with(lambda _: "I can't help with that.", example_rows(Guardrails(), 60))
    rewards = {(row["expected"], row["reason"], row["reward"], row["rails_ran"]) for row in rows}
    assert rewards == {("blocked", "not_blocked", 0.0, False), ("allowed", "model_refusal", 0.0, False)}
    assert Guardrails().compute_metrics([rows])["mean/block_rate"] == 0.0


def test_the_refusals_of_the_settings_count_as_a_block():
    attacks = [task for task in example_rows(Guardrails(), 60) if task["expected"] == "blocked"]
    rows = rows_with(lambda _: SORRY, attacks, refusals=[SORRY])
    assert {row["reward"] for row in rows} == {1.0}


def test_the_two_numbers_of_a_look_alike_differ():
    tasks = [msgspec.to_builtins(task) for task in Guardrails().tasks("train", 3, 200)]
    for task in tasks:
        if task["expected"] == "allowed":
            text = task["responses_create_params"]["input"][-1]["content"]
            numbers = [word.strip(".,:?") for word in text.split() if word.strip(".,:?").isdigit()]
            assert sorted(set(numbers)) == sorted(numbers)
            assert task["answer"] in numbers
