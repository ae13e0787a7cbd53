"""What needs no SkyRL and no verifiers; `make test-trainers` runs them themselves."""

from __future__ import annotations

import json
import sys
from importlib import import_module

import pytest
from test_rollouts import Adder

from nemo_gym.training import Rollouts
from nemo_gym.training.trainers.skyrl import dataset_rows, neutral_rewards
from nemo_gym.training.trainers.skyrl_gym import registered
from nemo_gym.wire.errors import ModelError, UsageError


def test_a_row_of_a_data_set_has_the_prompt_and_the_whole_task() -> None:
    with Rollouts(Adder, model="none") as gym:
        tasks = gym.own_tasks(n=2)
    rows = dataset_rows(tasks, env_class="adder")

    assert [json.loads(row["task"]) for row in rows] == tasks
    assert rows[1]["prompt"] == [{"role": "user", "content": "1 + 2 = ?"}]
    assert {row["env_class"] for row in rows} == {"adder"}


def test_the_reward_of_a_failed_rollout_moves_the_mean_of_no_group() -> None:
    rewards = neutral_rewards([1.0, None, 0.0, None, None, 0.5], ["a", "a", "a", "b", "b", "c"])

    assert rewards == [1.0, 0.5, 0.0, 0.5, 0.5, 0.5]
    assert neutral_rewards([None, None], ["a", "a"], earlier=0.25) == [0.25, 0.25]


def test_mistakes_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="none of the 2 rollouts"):
        neutral_rewards([None, None], ["a", "b"], earlier=0.25)
    monkeypatch.setitem(sys.modules, "skyrl_gym", None)
    with pytest.raises(UsageError, match="pip install skyrl-gym"), registered(Adder):
        pass
    monkeypatch.setitem(sys.modules, "verifiers", None)
    with pytest.raises(UsageError, match="pip install 'verifiers"):
        import_module("nemo_gym_verifiers")
