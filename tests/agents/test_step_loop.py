"""The step loop: observation, answer, observation, until the environment ends the episode."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from canned import Canned, Endless, calls, row, say, usage

from nemo_gym import Environment, Model, Observation, Response, Rollout, Session, Step, StepEnvironment
from nemo_gym.agents.step_loop import StepLoop
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.errors import EnvironmentFault, ModelError, ModelTimeout, VerifierFault
from nemo_gym.wire.items import assistant, user
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.rollout import take_partial
from tests.support.virtual_time import run_virtual


class Stairs(StepEnvironment):
    """Counts steps; the word the model says decides what happens."""

    max_steps = 4

    def reset(self, task: Any, session: Session) -> Any:
        session.state["height"] = 0
        return Observation("you are at the bottom", {"floors": 9, "seen": "reset"})

    async def step(self, action: Response, session: Session) -> Step:
        session.state["height"] += 1
        height = session.state["height"]
        seen = f"floor {height}"
        info = {"seen": seen}
        if calls := action.function_calls:
            outputs = [{"call_id": call["call_id"], "output": call["name"]} for call in calls]
            return Step(None, 0.25, info={**info, "tool_outputs": outputs})
        match action.final_text:
            case "jump":
                return Step("you fell", -1.0, terminated=True, info=info)
            case "rest":
                return Step(None, 0.0, truncated=True, info=info)
            case "crash":
                raise ValueError("the stairs are broken")
        return Step(seen, 0.5, info=info)


async def play(model: Model, agent: StepLoop | None = None) -> Rollout:
    return await (agent or StepLoop()).run(row("climb"), LocalEnvironment(Stairs()), model)


async def test_the_sum_of_the_step_rewards_is_the_reward() -> None:
    rollout = await play(Canned(say("up"), say("up"), say("jump")))

    assert rollout.reward == 0.5 + 0.5 - 1.0
    assert rollout.outcome == "terminated"
    assert rollout.details["terminated"] is True
    assert rollout.details["truncated"] is False


async def test_the_first_observation_is_part_of_the_input_and_of_the_row_that_is_written() -> None:
    model = Canned(say("jump"))

    rollout = await play(model)

    opening = [user("climb"), user("you are at the bottom")]
    assert model.asked[0]["input"] == opening
    assert rollout.to_row()["responses_create_params"]["input"] == opening


async def test_later_observations_are_part_of_the_trajectory() -> None:
    model = Canned(say("up"), say("jump"))

    rollout = await play(model)

    made = [assistant("up"), user("floor 1"), assistant("jump"), user("you fell")]
    assert model.asked[1]["input"][2:] == made[:2]
    assert rollout.response is not None
    assert rollout.response.output == made, "the last observation belongs to the episode too"


class Slope(Stairs):
    reward_range = (-1.0, 1.0)


async def test_a_sum_of_step_rewards_outside_the_declared_range_is_a_verifier_error() -> None:
    with pytest.raises(VerifierFault, match=r"add up to 2, outside the declared reward_range -1 to 1"):
        await StepLoop().run(row("climb"), LocalEnvironment(Slope()), Endless(lambda: say("up")))


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), "much", None])
async def test_a_step_reward_that_is_no_finite_number_is_a_verifier_error(reward: Any) -> None:
    class Odd(Stairs):
        async def step(self, action: Response, session: Session) -> Step:
            return Step(None, reward, terminated=True)

    with pytest.raises(VerifierFault, match="step returned"):
        await StepLoop().run(row("climb"), LocalEnvironment(Odd()), Canned(say("up")))


async def test_the_answers_to_tool_calls_are_put_to_the_model() -> None:
    model = Canned(calls("look", "touch"), say("jump"))

    rollout = await play(model)

    assert model.asked[1]["input"][-2:] == [
        {"type": "function_call_output", "call_id": "call_0", "output": "look"},
        {"type": "function_call_output", "call_id": "call_1", "output": "touch"},
    ]
    assert rollout.reward == 0.25 - 1.0


async def test_an_episode_cut_short_by_the_environment_is_truncated_not_terminated() -> None:
    rollout = await play(Canned(say("up"), say("rest")))

    assert rollout.outcome == "truncated"
    assert (rollout.details["terminated"], rollout.details["truncated"]) == (False, True)
    assert rollout.reward == 0.5


@pytest.mark.parametrize(("agent", "steps"), [(StepLoop(), 4), (StepLoop(max_steps=2), 2)])
async def test_reaching_the_limit_of_steps_truncates(agent: StepLoop, steps: int) -> None:
    model = Endless(lambda: say("up"))

    rollout = await play(model, agent)

    assert model.calls == steps
    assert rollout.reward == 0.5 * steps
    assert rollout.outcome == "truncated"
    assert (rollout.details["terminated"], rollout.details["truncated"]) == (False, True)


async def test_a_full_context_window_ends_the_episode_with_the_reward_so_far() -> None:
    full = Response.of([], incomplete="max_output_tokens")
    full.data["incomplete_details"]["detail"] = "context_overflow"

    rollout = await play(Canned(say("up"), full))

    assert rollout.outcome == "context_overflow"
    assert rollout.reward == 0.5
    assert rollout.details["truncated"] is True


async def test_facts_from_reset_and_steps_are_kept_the_latest_winning() -> None:
    rollout = await play(Canned(say("up"), say("jump")))

    assert rollout.details["info"] == {"floors": 9, "seen": "floor 2"}


async def test_usage_is_added_up() -> None:
    rollout = await play(Canned(say("up", usage=usage(5, 1)), say("jump", usage=usage(7, 2, cached=None))))

    assert rollout.response is not None
    assert rollout.response.usage == usage(12, 3, cached=None)


async def test_what_was_done_before_a_failure_is_kept() -> None:
    with pytest.raises(EnvironmentFault, match="step raised ValueError: the stairs are broken") as of_step:
        await play(Canned(say("up"), say("crash", usage=usage(1, 1))))
    with pytest.raises(ModelError) as of_model:
        await play(Canned(say("up"), ModelError("gone")))

    by_step = take_partial(of_step.value, row("climb")).response
    assert by_step is not None
    assert by_step.output == [assistant("up"), user("floor 1"), assistant("crash")]
    by_model = take_partial(of_model.value, row("climb")).response
    assert by_model is not None
    assert by_model.output == [assistant("up"), user("floor 1")]


class Silent(Model):
    async def responses(self, params: RequestParams) -> Response:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_turn_past_its_time_is_a_model_timeout() -> None:
    with pytest.raises(ModelTimeout, match="60 seconds"):
        run_virtual(play(Silent(), StepLoop(turn_timeout=60)))


async def test_an_environment_of_tools_can_not_be_stepped_through() -> None:
    model = Canned(say("x"))

    with pytest.raises(EnvironmentFault, match="use the tool loop"):
        await StepLoop().run(row(), LocalEnvironment(Environment()), model)

    assert model.asked == []


async def test_the_row_is_left_as_it_came() -> None:
    given = row("climb")

    await StepLoop().run(given, LocalEnvironment(Stairs()), Canned(say("jump")))

    assert given == row("climb")
