"""Rewards and the rows that rollouts are written as."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_strategies import json_objects

from nemo_gym.wire.errors import ModelRejected, RolloutError, VerifierFault, chain
from nemo_gym.wire.items import assistant
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import (
    Partial,
    Reward,
    Rollout,
    as_reward,
    keep_partial,
    take_partial,
)
from tests.support.earlier_run import DETAILS

ROW = {"_ng_task_index": 4, "_ng_rollout_index": 1, "question": "2+2?", "agent_ref": {"name": "a"}}


@pytest.mark.parametrize(
    ("given_", "value", "components"),
    [
        (1, 1.0, None),
        (True, 1.0, None),
        (0.25, 0.25, None),
        (Fraction(1, 2), 0.5, None),
        ({"a": 0.5, "b": True}, 1.5, {"a": 0.5, "b": 1.0}),
        ({}, 0.0, {}),
        (Reward(2), 2.0, None),
        (Reward(1.0, {"a": 1}), 1.0, {"a": 1.0}),
    ],
)
def test_what_verify_may_return(given_, value, components):
    reward = as_reward(given_)
    assert (reward.value, reward.components) == (value, components)
    assert type(reward.value) is float


def test_details_are_kept():
    assert as_reward(Reward(1.0, details={"extracted": "4"})).details == {"extracted": "4"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "verify returned NoneType, not a number"),
        ("1.0", "verify returned str, not a number"),
        ([1.0], "verify returned list, not a number"),
        (math.nan, "verify returned nan, which is not a finite number"),
        (math.inf, "verify returned inf"),
        ({"a": "x"}, "verify returned for component 'a' str"),
        ({"a": None}, "verify returned for component 'a' NoneType"),
        ({"a": math.inf, "b": -math.inf}, "verify returned for component 'a' inf"),
        (Reward("x"), "verify returned str"),
        (Reward(0.0, {"a": math.nan}), "verify returned for component 'a' nan"),
    ],
)
def test_what_is_not_a_reward_is_a_verifier_fault(wrong, message):
    with pytest.raises(VerifierFault) as error:
        as_reward(wrong)
    assert str(error.value).startswith(message)


@given(st.dictionaries(st.text(max_size=4), st.floats(-1e6, 1e6), max_size=6))
def test_components_sum_to_the_value(components):
    assert as_reward(components).value == math.fsum(components.values())


def test_a_scored_row_is_flat():
    response = Response.of([assistant("4")])
    reward = Reward(1.0, {"exact": 1.0}, {"extracted": "4"})
    row = Rollout.scored(ROW, response, reward, outcome="max_steps", timing={"total_s": 2.0}).to_row()
    assert row == {
        **ROW,
        "extracted": "4",
        "response": response.data,
        "reward": 1.0,
        "reward_components": {"exact": 1.0},
        "ng_outcome": "max_steps",
        "ng_timing": {"total_s": 2.0},
    }


def test_a_row_is_read_as_the_rollout_that_was_written():
    rollout = Rollout.scored(ROW, Response.of([]), Reward(1.0, details=DETAILS))

    read = Rollout.from_row(rollout.to_row())

    assert (read.row, read.details) == (ROW, DETAILS)
    assert list(read.to_row()) == list(rollout.to_row())


def test_a_failed_row_has_no_reward():
    failure = ModelRejected("bad request", http_status=400, body="too long")
    so_far = Response.of([])
    row = Rollout.failed(ROW, failure, partial=so_far).to_row()
    assert "reward" not in row
    assert row["_ng_failure_class"] == "model_rejected"
    assert row["_ng_failure_terminal"] is True
    assert (row["_ng_failure_error"], row["_ng_failure_http_status"]) == ("bad request", 400)
    assert row["_ng_failure_body"] == "too long"
    assert row["response"] == so_far.data
    assert row["ng_outcome"] == "failed"


def test_a_failure_that_may_be_tried_again_is_not_terminal():
    row = Rollout.failed(ROW, RolloutError("oops")).to_row()
    assert row["_ng_failure_class"] == "run_error"
    assert {"_ng_failure_terminal", "_ng_failure_http_status", "_ng_failure_body", "response"}.isdisjoint(row)


@pytest.mark.parametrize(
    "name", ["_ng_task_index", "agent_ref", "_ng_failure_class", "responses_create_params"]
)
def test_a_detail_cannot_change_whose_result_it_is(name):
    plain = Rollout.scored(ROW, Response.of([]), Reward(1.0)).to_row()
    assert Rollout.scored(ROW, Response.of([]), Reward(1.0, details={name: "x"})).to_row() == plain


def test_identity_comes_from_the_row():
    rollout = Rollout.scored({**ROW, "_ng_attempt_index": 2}, Response.of([]), Reward(0.0))
    assert (rollout.task_index, rollout.rollout_index, rollout.attempt) == (4, 1, 2)
    assert Rollout.scored(ROW, Response.of([]), Reward(0.0)).attempt == 0


@given(json_objects)
def test_fields_of_the_task_survive_into_the_row(extra):
    task = {f"x_{name}": value for name, value in extra.items()} | ROW
    row = Rollout.scored(task, Response.of([]), Reward(0.0)).to_row()
    assert {name: row[name] for name in task} == task


def raised_from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def test_what_was_noted_is_found_on_what_an_error_came_from():
    noted, so_far = ValueError("first"), Response.of([assistant("so far")])
    keep_partial(noted, ROW, so_far, {"turns": 1}, sent={**ROW, "sent": True})
    last = raised_from(RolloutError("last"), noted)
    assert take_partial(last, ROW) == Partial({**ROW, "sent": True}, so_far, {"turns": 1})
    assert take_partial(last, ROW) == Partial(ROW)


def test_an_error_of_several_rollouts_has_the_trajectory_of_each():
    shared, rows = RolloutError("of all"), [{**ROW, "_ng_rollout_index": repeat} for repeat in range(3)]
    for row in rows[:2]:
        keep_partial(shared, row, Response.of([assistant(str(row["_ng_rollout_index"]))]))
    keep_partial(shared, rows[0], Response.of([assistant("of an outer call")]))
    partials = [take_partial(shared, row) for row in rows]
    assert [one.row for one in partials] == rows
    assert [one.response and one.response.output_text for one in partials] == ["0", "1", None]


def test_errors_that_came_from_one_another_have_an_end():
    alone = RolloutError("from itself")
    raised_from(alone, alone)
    first, second = ValueError("first"), RolloutError("second")
    raised_from(first, raised_from(second, first))
    for error in (alone, first, second):
        assert take_partial(error, ROW) == Partial(ROW)
    assert list(chain(first, lambda error: error.__cause__)) == [first, second]
