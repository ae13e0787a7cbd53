"""The columns that TRL gets; `make test-trainers` runs TRL itself."""

from __future__ import annotations

import pytest
from test_rollouts import Adder, solve

from nemo_gym.training import Rollouts
from nemo_gym.training.trainers import trl
from nemo_gym.wire.errors import UsageError
from tests.support.policies import ChatTokenizer, ScriptedPolicy

END = ChatTokenizer.eos_token_id


def test_the_columns_are_those_of_the_sequences() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        prompts = [row["prompt"] for row in gym.dataset(n=2) for _ in range(3)]
        output = gym.trl_rollout_func()(prompts, None)
        rollouts = gym.collect_sync([0, 0, 0, 1, 1, 1])

    for place, rollout in enumerate(rollouts):
        (sequence,) = rollout.sequences
        assert output["prompt_ids"][place] == sequence.prompt_ids.tolist()
        assert output["completion_ids"][place] == sequence.completion_ids.tolist()
        assert output["env_mask"][place] == [int(one) for one in sequence.loss_mask]
        assert output["logprobs"][place] == sequence.logprobs.tolist()
    assert trl.reward(["text"] * 6, ng_reward=output["ng_reward"], prompts=prompts) == [1.0] * 6


def test_a_rollout_that_fails_is_one_end_token_without_a_reward() -> None:
    policy = ScriptedPolicy(solve)
    policy.context = 4
    with Rollouts(Adder, policy=policy) as gym:
        output = gym.trl_rollout_func()([gym.dataset(n=1)[0]["prompt"]], None)

    assert output == {
        "prompt_ids": [[END]],
        "completion_ids": [[END]],
        "logprobs": [[0.0]],
        "env_mask": [[0]],
        "ng_reward": [None],
    }


def test_mistakes_are_one_line() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        hook = gym.trl_rollout_func()
        with pytest.raises(UsageError, match=r"must be made of Rollouts\.dataset"):
            hook(["What is 1 + 2?"], None)
    with pytest.raises(UsageError, match="needs the rollout_func"):
        trl.reward(["text"])
    with (
        Rollouts(Adder, model="random") as gym,
        pytest.raises(UsageError, match="needs the tokens of a policy"),
    ):
        gym.trl_rollout_func()
