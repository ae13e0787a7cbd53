"""The search environment: its cases, hacks, oracle, and worlds."""

from __future__ import annotations

import asyncio
import json

import pytest

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.search.environment import Search
from nemo_gym.library.agent.search.world import WORLDS, world
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import function_call
from nemo_gym.wire.task import task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle
from tests.library.replaying import recorded_hacks


def test_golden_cases_earn_what_they_say() -> None:
    for case in Search().golden():
        assert play_golden(Search(), case).value == expected_reward(Search(), case), case.name


def test_hacks_do_not_pay_and_honest_answers_do() -> None:
    for hack in recorded_hacks(Search()):
        reward = play(Search(), hack["task"], hack["output"])
        assert reward.value == float(hack["expected"] == "full"), (hack["name"], reward.details)


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_an_empty_policy_nothing(level: int) -> None:
    environment = Search({"level": level})
    for task in environment.tasks("test", 3, 40):
        assert play_oracle(environment, task_to_row(task)).value == 1.0
        assert play(environment, task_to_row(task), "I don't know.").value == 0.0


@pytest.mark.parametrize("level", range(5))
def test_every_level_has_a_thousand_distinct_tasks(level: int) -> None:
    environment = Search({"level": level})
    questions = [(t.world, t.question) for s in ("train", "test") for t in environment.tasks(s, 0, 900)]
    assert len(questions) == len(set(questions)) >= 1000


def test_an_answer_stands_in_no_prompt_but_that_of_level_0() -> None:
    for task in Search({"level": 3}).tasks("test", 0, 40):
        prompt = json.dumps(task.responses_create_params)
        assert f" {task.expected_answer} " not in prompt


def test_every_document_is_among_the_hits_for_its_title() -> None:
    for number in (0, WORLDS - 1):
        entities = world(number).entities.values()
        assert len({entity.name for entity in entities}) == len(entities)
        for entity in entities:
            words = "".join(each if each.isalnum() else " " for each in entity.name).split()
            assert entity in world(number).search(words, 5)


@pytest.mark.parametrize("query", ["", '"', "NEAR(a b)", "a AND", "\ud800", "\0", "*", "x " * 100_000])
def test_every_query_has_an_answer(query: str) -> None:
    link = LocalEnvironment(Search())
    row = task_to_row(next(iter(link.environment.tasks("test", 0, 1))))

    async def answer() -> str:
        async with link.session(row) as session:
            return await link.call(
                session, function_call("search", json.dumps({"query": query}), call_id="c")
            )

    assert asyncio.run(answer())


def test_a_row_that_does_not_fit_its_world_is_refused() -> None:
    row = task_to_row(next(iter(Search().tasks("test", 0, 1))))
    for change in ({"expected_answer": "x"}, {"start": "d0"}, {"relations": ["moon"]}):
        with pytest.raises(TaskUnfit):
            play(Search(), {**row, **change}, "x")
