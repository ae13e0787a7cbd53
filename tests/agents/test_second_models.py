"""Agents with more than one voice: a simulated user, simulated tools, a verifier that sends answers back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from canned import Canned, calls, row, say

from nemo_gym import Environment, Response, Reward, Session, tool
from nemo_gym.agents.base import Agent
from nemo_gym.agents.refinement import Refinement
from nemo_gym.agents.side_model import open_side_model
from nemo_gym.agents.simulated_tools import SimulatedTools
from nemo_gym.agents.user_simulator import UserSimulator
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item, message_text


class Shop(Environment):
    """Right when the last answer names the price."""

    @tool
    def price(self, item: str = "pen") -> str:
        """Look up a price."""
        return f"{item}: 3"

    def verify(self, task: Any, response: Response, session: Session) -> Reward:
        right = "3" in response.final_text
        return Reward(float(right), details={} if right else {"feedback": "No price in it.", "gold": "3"})


async def play(agent: Agent, model: Canned, task: dict[str, Any] | None = None):
    return await agent.run(task or row(), LocalEnvironment(Shop()), model)


def words(items: list[Item] | str) -> list[tuple[str, str]]:
    assert not isinstance(items, str)
    return [(item["role"], message_text(item)) for item in items if item["type"] == "message"]


class TestUserSimulator:
    async def test_the_user_talks_until_it_says_the_stop_word(self):
        user = Canned(say("which pen?"), say("[DONE]"))
        rollout = await play(UserSimulator(user=user), Canned(say("hello"), say("the blue one, 3")))
        assert rollout.response is not None
        assert words(rollout.response.output) == [
            ("assistant", "hello"),
            ("user", "which pen?"),
            ("assistant", "the blue one, 3"),
        ]
        assert (rollout.reward, rollout.outcome) == (1.0, "completed")

    async def test_the_user_sees_the_conversation_from_the_other_side_and_no_tools(self):
        user = Canned(say("[DONE]"))
        task = row("price of a pen?") | {"user_instructions": "Buy a pen."}
        await play(UserSimulator(user=user), Canned(calls("price"), say("it is 3")), task)
        (role, text), *said = words(user.asked[0]["input"])
        assert (role, "Buy a pen." in text) == ("system", True)
        assert said == [("assistant", "price of a pen?"), ("user", "it is 3")]

    async def test_a_row_without_a_user_message_is_opened_by_the_user(self):
        task = row() | {"responses_create_params": {"input": []}}
        model = Canned(say("3"))
        rollout = await play(UserSimulator(user=Canned(say("a pen, please"), say("[DONE]"))), model, task)
        assert words(model.asked[0]["input"]) == [("user", "a pen, please")]
        assert rollout.row["responses_create_params"]["input"] == model.asked[0]["input"]

    async def test_turns_are_limited_and_a_user_nobody_answers_is_not_asked(self):
        user = Canned(say("more"))
        agent = UserSimulator(user=user, max_turns=2)
        rollout = await play(agent, Canned(say("a"), say("b")))
        assert (rollout.outcome, len(user.asked)) == ("max_turns", 1)


class TestRefinement:
    async def test_the_verifier_s_feedback_goes_back_and_the_last_attempt_counts(self):
        model = Canned(say("cheap"), say("3"))
        rollout = await play(Refinement(), model)
        assert words(model.asked[1]["input"])[-2:] == [("assistant", "cheap"), ("user", "No price in it.")]
        assert rollout.reward == 1.0
        assert rollout.details["attempt_rewards"] == [0.0, 1.0]

    async def test_nothing_but_feedback_reaches_the_model(self):
        model = Canned(say("cheap"), say("dear"), say("free"))
        rollout = await play(Refinement(max_corrections=2), model)
        assert (rollout.reward, len(model.asked)) == (0.0, 3)
        assert "gold" not in json.dumps(model.asked)

    async def test_a_right_answer_is_left_alone(self):
        model = Canned(say("3"))
        assert (await play(Refinement(), model)).details["attempt_rewards"] == [1.0]


class TestSimulatedTools:
    async def test_the_second_model_plays_the_tool_and_knows_what_it_said_before(self):
        simulator = Canned(say("pen: 7"), say("pen: 7 still"))
        model = Canned(calls("price"), calls("price"), say("3"))
        rollout = await play(SimulatedTools(simulator=simulator), model)
        assert rollout.response is not None
        outputs = [
            item["output"] for item in rollout.response.output if item["type"] == "function_call_output"
        ]
        assert outputs == ["pen: 7", "pen: 7 still"]
        asked = simulator.asked[1]["input"]
        facts = json.loads(words(asked)[1][1])
        assert facts["tool"]["name"] == "price"
        assert [call["output"] for call in facts["earlier_calls"]] == ["pen: 7"]

    async def test_a_tool_that_is_not_offered_is_never_made_up(self):
        simulator = Canned()
        rollout = await play(SimulatedTools(simulator=simulator), Canned(calls("prise"), say("3")))
        assert rollout.response is not None
        assert "Did you mean 'price'" in json.dumps(rollout.response.output)
        assert simulator.asked == []


class TestSideModel:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"typ": "chat"}, "unknown field `typ`"),
            ({"type": "chat", "url": "http://localhost:1"}, "needs a name"),
            ({"api_key_env": "NO_SUCH_VARIABLE_HERE"}, "NO_SUCH_VARIABLE_HERE is not set"),
        ],
    )
    def test_wrong_settings_are_named(self, settings, message):
        with pytest.raises(UsageError) as error:
            open_side_model(settings)
        assert message in str(error.value)
