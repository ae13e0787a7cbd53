"""Batches: sequences as one rectangle."""

from __future__ import annotations

import numpy as np
import pytest

from nemo_gym.training import batch
from nemo_gym.wire.errors import ModelTimeout, UsageError
from nemo_gym.wire.rollout import Rollout
from tests.support.trajectories import chain, scored


def test_sequences_are_padded_on_the_right() -> None:
    short, long = scored(chain([([1, 2], [3])]), 0.5, task=4), scored(chain([([1], [2]), ([3], [4])]), task=5)

    tensors = batch([short, long], pad_id=9)

    assert tensors.input_ids.tolist() == [[1, 2, 3, 9], [1, 2, 3, 4]]
    assert tensors.attention_mask.tolist() == [[True, True, True, False], [True] * 4]
    assert tensors.loss_mask.tolist() == [[False, False, True, False], [False, True, False, True]]
    assert tensors.logprobs.tolist() == [[0, 0, -0.25, 0], [0, -0.25, 0, -0.25]]
    assert (tensors.rewards.tolist(), tensors.groups.tolist()) == ([0.5, 1.0], [4, 5])
    assert not tensors.cut.any()


def test_a_sequence_beyond_the_length_loses_its_end() -> None:
    tensors = batch(
        [scored(chain([([1, 2], [3, 4])])), scored(chain([([1, 2, 3, 4], [5])]))], pad_id=0, max_len=3
    )

    assert tensors.input_ids.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert tensors.loss_mask.tolist() == [[False, False, True], [False] * 3]
    assert tensors.cut.tolist() == [True, True]


def test_no_sequence_is_longer_than_the_most_where_the_width_is_rounded_up() -> None:
    tensors = batch([scored(chain([([1, 2], [3, 4, 5])]))], pad_id=0, max_len=3, multiple_of=8)

    assert tensors.input_ids.tolist() == [[1, 2, 3, 0, 0, 0, 0, 0]]
    assert tensors.attention_mask.sum() == 3
    assert tensors.cut.tolist() == [True]


def test_masked_rollouts_are_in_the_batch_and_out_of_the_loss() -> None:
    failure = Rollout.failed({"_ng_task_index": 0}, ModelTimeout("down"))
    broken = scored([*chain([([1], [2])]), *chain([([7], [8])])])

    tensors = batch([failure, broken, scored(chain([([1], [2])]))], pad_id=0, multiple_of=8)

    assert tensors.input_ids.shape == (3, 8)
    assert tensors.trainable.tolist() == [False, False, True]
    assert tensors.loss_mask.any(axis=1).tolist() == [False, False, True]
    assert np.isnan(tensors.rewards).tolist() == [True, False, False]


@pytest.mark.parametrize("options", [{"max_len": 0}, {"multiple_of": 0}])
def test_numbers_below_one_are_an_error(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        batch([scored(chain([([1], [2])]))], pad_id=0, **options)


def test_a_tokenizer_without_a_padding_token_is_named() -> None:
    with pytest.raises(UsageError, match=r"pad_id None: expected a token id.*eos_token_id will do"):
        batch([scored(chain([([1], [2])]))], pad_id=None)  # pyright: ignore[reportArgumentType]


def test_no_rollout_is_an_error() -> None:
    with pytest.raises(UsageError, match="no rollout"):
        batch([], pad_id=0)
