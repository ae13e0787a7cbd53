"""Which tokens of a trajectory a trainer can use, and what is said about the others."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.items import assistant, function_call, function_call_output, user
from nemo_gym.wire.token_spans import usable_tokens
from tests.support.random_trajectories import CORRUPTIONS, bearing, conversation, output_of
from tests.support.trajectories import chain, with_tokens

CALL = function_call("look", "{}", call_id="c")
OUTPUT = function_call_output("c", "seen")
seeds = st.integers(0, 1 << 32)


@given(seeds)
def test_a_whole_trajectory_stays_as_it_is(seed: int) -> None:
    rng = Random(seed)
    output = output_of(conversation(rng, task="t"), rng)
    assert usable_tokens(output) == (output, None)


@given(seeds, st.sampled_from(list(CORRUPTIONS)))
def test_what_is_left_of_a_corrupted_one_continues_itself(seed: int, name: str) -> None:
    corrupt, reasons = CORRUPTIONS[name]
    rng = Random(seed)
    output = output_of(conversation(rng, task="t"), rng)
    if not corrupt(output, rng):
        return

    items, problem = usable_tokens(output)

    assert problem is not None
    assert problem.reason in reasons
    assert usable_tokens(items)[0] == items
    seen: list[int] = []
    for item in bearing(items):
        assert item["prompt_token_ids"][: len(seen)] == seen
        seen = [*item["prompt_token_ids"], *item["generation_token_ids"]]
    for before, after in zip(output, items, strict=True):
        assert after.items() <= before.items(), "nothing is added or changed"


@pytest.mark.parametrize(
    ("output", "detail"),
    [
        ([], "output: there is no model call"),
        ([assistant("a")], "output[0]: this model call has no tokens"),
        ([CALL, OUTPUT, *chain([([1], [2])])], "output[0]: this model call has no tokens, but others have"),
        ([*chain([([1], [2])]), CALL, OUTPUT], "output[2]: this model call has no tokens, but others have"),
        (
            [with_tokens(CALL, [1, 2], [3]), OUTPUT, with_tokens(assistant("a"), [1, 9, 3, 4], [5])],
            "output[2]: the prompt must begin with the 3 tokens before it, but differs from token 1 on",
        ),
        (
            [with_tokens(CALL, [1, 2], [3]), OUTPUT, with_tokens(assistant("a"), [1], [5])],
            "output[2]: the prompt must begin with the 3 tokens before it, but has only 1 tokens",
        ),
        (
            [with_tokens(assistant("a"), [1], [5], routed_experts=[[[1]]])],
            "output[0]: routed_experts are those of 1 tokens, expected 2",
        ),
        ([with_tokens(user("a"), [1], [5])], "output[0]: no policy sampled this item, but it has tokens"),
    ],
)
def test_a_problem_names_its_place(output: list[Any], detail: str) -> None:
    problem = usable_tokens(output)[1]
    assert problem is not None
    assert problem.detail == detail


@pytest.mark.parametrize(
    "extra",
    [
        [assistant("")],  # the context window had no room for an answer
        [{"type": "message", "role": "assistant", "content": []}],
        [with_tokens(assistant(""), [1, 2, 3], [])],
        [{"type": "mcp_list_tools"}, with_tokens(assistant("a"), [1, 2], [3])],
        [{"type": "reasoning", "summary": []}, CALL, with_tokens(CALL, [1, 2], [3]), OUTPUT, OUTPUT],
    ],
)
def test_what_a_policy_may_do_is_no_problem(extra: list[Any]) -> None:
    output = [with_tokens(CALL, [1], [2]), OUTPUT, *extra]
    assert usable_tokens(output) == (output, None)
