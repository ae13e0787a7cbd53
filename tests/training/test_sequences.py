"""Token sequences: exactly what the model saw and sampled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.training import sequences
from nemo_gym.wire.errors import DataError, ModelTimeout
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.token_packing import pack_row
from tests.support.trajectories import Turn, chain, scored, with_tokens

ids = st.lists(st.integers(0, 50_000), max_size=6)
turns = st.lists(
    st.tuples(ids, st.lists(st.integers(0, 50_000), min_size=1, max_size=6)), min_size=1, max_size=6
)


@given(turns, st.booleans())
def test_a_sequence_is_what_the_model_saw(turns: list[Turn], packed: bool) -> None:
    row = scored(chain(turns)).to_row()

    (one,) = sequences(pack_row(row) if packed else row)

    assert one.ids.tolist() == [token for added, sampled in turns for token in (*added, *sampled)]
    assert one.prompt_ids.tolist() == list(turns[0][0])
    assert one.completion_ids[one.loss_mask].tolist() == [token for _, sampled in turns for token in sampled]
    assert [one.completion_ids[start:end].tolist() for start, end in one.turns] == [
        list(sampled) for _, sampled in turns
    ]
    assert (one.logprobs[one.loss_mask] == np.float32(-0.25)).all()
    assert (one.logprobs[~one.loss_mask] == 0).all()
    assert one.mask is None
    assert {array.dtype for array in (one.prompt_ids, one.completion_ids, one.versions, one.turns)} == {
        np.dtype("int32")
    }


@given(turns, turns)
def test_a_break_ends_the_sequence_or_starts_another_one(first: list[Turn], second: list[Turn]) -> None:
    other = [((60_000, *second[0][0]), second[0][1]), *second[1:]]
    rollout = scored([*chain(first), *chain(other)])

    (masked,) = sequences(rollout)
    before, after = sequences(rollout, split=True)

    assert masked.mask == "tokens_not_contiguous"
    assert masked.ids.tolist() == before.ids.tolist()
    assert (before.mask, after.mask) == (None, None)
    assert after.ids.tolist() == [token for added, sampled in other for token in (*added, *sampled)]


def test_each_token_has_the_version_that_sampled_it() -> None:
    items = [
        with_tokens({"type": "message", "role": "assistant", "content": "a"}, [1], [2, 3], weight_version=7),
        with_tokens(
            {"type": "message", "role": "assistant", "content": "b"},
            [1, 2, 3, 4],
            [5, 6],
            weight_version=[7, 8],
        ),
    ]

    (one,) = sequences(scored(items))

    assert one.versions.tolist() == [7, 7, -1, 7, 8]


def test_an_item_may_leave_tokens_out_of_the_loss() -> None:
    (one,) = sequences(scored(chain([([1], [2, 3])], loss_mask=[0, 1])))

    assert one.loss_mask.tolist() == [False, True]
    assert one.turns.tolist() == [[0, 2]]


@pytest.mark.parametrize(
    "fields",
    [
        {"generation_log_probs": [-0.5]},
        {"generation_log_probs": [-0.5, 0.5]},
        {"generation_log_probs": [-0.5, float("-inf")]},
        {"generation_log_probs": [-0.5, float("nan")]},
        {"generation_log_probs": None},
        {"generation_token_ids": [1, -2]},
        {"generation_token_ids": [1, "2"]},
        {"generation_token_ids": [1, 2**40]},
        {"prompt_token_ids": None},
        {"prompt_token_ids": "text"},
        {"loss_mask": [1]},
        {"loss_mask": [1, 2]},
        {"weight_version": [1]},
        {"added_prompt_token_ids": [1]},
    ],
)
def test_broken_tokens_are_masked(fields: dict[str, Any]) -> None:
    item = with_tokens({"type": "message", "role": "assistant", "content": "a"}, [1], [2, 3])

    (one,) = sequences(scored([{**item, **fields}]))

    assert one.mask == "bad_tokens"
    assert len(one) == 0


@pytest.mark.parametrize(
    ("rollout", "mask"),
    [
        (scored([{"type": "message", "role": "assistant", "content": "a"}]), "no_tokens"),
        (scored(chain([([1], [2])]), mask_sample=True), "flagged"),
        (scored(chain([([1], [2])]), instance_config={"mask_sample": True}), "flagged"),
        (scored(chain([([1], [2])]), _ng_token_capture={"masked": "source_failed"}), "source_failed"),
        (scored(chain([([1], [2])]), _ng_token_capture={"masked": "no_calls", "branches": []}), "no_calls"),
        (Rollout.failed({"_ng_task_index": 3}, ModelTimeout("down")), "failed"),
    ],
)
def test_every_mask_has_its_reason(rollout: Rollout, mask: str) -> None:
    (one,) = sequences(rollout)

    assert one.mask == mask
    assert (one.reward is None) == (mask == "failed")


def test_tokens_on_an_item_that_no_policy_sampled_are_masked() -> None:
    item = {"type": "function_call_output", "call_id": "a", "output": "rain"}

    (one,) = sequences(scored([*chain([([1], [2])]), with_tokens(item, [1, 2], [3])]))

    assert one.mask == "bad_tokens"
    assert one.ids.tolist() == [1, 2]


@pytest.mark.parametrize(
    "columns",
    [
        {"response": []},
        {"response": {"output": None}},
        {"response": {"output": ["words"]}},
        {"reward": "high"},
        {"reward_components": {"style": None}},
        {"_ng_task_index": None},
        {"_ng_task_index": 10**30},
        {"ng_outcome": []},
    ],
)
def test_what_is_no_row_is_one_line(columns: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="not a row of a rollouts file: "):
        sequences({**scored(chain([([1], [2])])).to_row(), **columns})


def test_every_branch_of_a_captured_rollout_is_a_sequence() -> None:
    main, side = chain([([1], [2]), ([3], [4])]), chain([([1, 9], [8])])
    row = scored(main).to_row() | {
        "_ng_token_capture": {
            "branches": [
                {"invocation_id": "main", "masked": None},
                {"invocation_id": "branch_1", "masked": "superseded_retry"},
            ]
        },
        "ng_trajectory": {
            "invocations": [
                {"invocation_id": "main", "conversation": main},
                {"invocation_id": "branch_1", "conversation": side},
            ]
        },
    }

    first, second = sequences(pack_row(row))

    assert first.ids.tolist() == [1, 2, 3, 4]
    assert (second.ids.tolist(), second.branch, second.mask) == ([1, 9, 8], 1, "superseded_retry")


def test_step_rewards_belong_to_the_turns() -> None:
    items = chain([([1], [2]), ([3], [4])])

    (fits,) = sequences(scored(items, ng_step_rewards=[0.5, 1]).to_row())
    (differs,) = sequences(scored(items, ng_step_rewards=[0.5]))

    assert fits.step_rewards is not None
    assert fits.step_rewards.tolist() == [0.5, 1.0]
    assert differs.step_rewards is None
