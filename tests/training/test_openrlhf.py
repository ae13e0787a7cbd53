"""OpenRLHF's hook without OpenRLHF; `make test-trainers-openrlhf` runs its own actor."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nemo_gym.models.policies import Sampled, Sampling
from nemo_gym.training.trainers import openrlhf
from nemo_gym.wire.errors import ModelError, UsageError
from tests.support.policies import ChatTokenizer

ADDER = f"{Path(__file__).parents[1] / 'support' / 'adder.py'}:Adder"


class Engine:
    """Gives one answer to every call."""

    def __init__(self, finish_reason: str) -> None:
        self.finish_reason = finish_reason
        self.params: list[Any] = []

    async def generate(self, prompt: list[int], params: Any) -> Any:
        self.params.append(params)
        logprobs = [{7: SimpleNamespace(logprob=-9.0), 65: SimpleNamespace(logprob=-0.5)}]
        answer = SimpleNamespace(token_ids=(65,), logprobs=logprobs, finish_reason=self.finish_reason)
        return SimpleNamespace(outputs=[answer])


@pytest.mark.parametrize(("finish_reason", "ended"), [("stop", True), ("length", False)])
async def test_an_answer_has_the_log_probabilities_of_its_own_tokens(finish_reason: str, ended: bool) -> None:
    params = SimpleNamespace(temperature=0.7, max_tokens=None, logprobs=1)
    policy = openrlhf.EnginePolicy(engine := Engine(finish_reason), ChatTokenizer(), params, 64)

    sampled = await policy.sample([1, 2], Sampling(temperature=0.1, max_tokens=62))

    assert sampled == Sampled(ids=[65], logprobs=[-0.5], ended=ended)
    assert engine.params[0] == SimpleNamespace(temperature=0.7, max_tokens=62, logprobs=1)
    assert params.max_tokens is None, "all rollouts share it"
    assert policy.context == 64


async def test_the_smaller_limit_counts_and_an_aborted_answer_is_an_error() -> None:
    params = SimpleNamespace(max_tokens=10, logprobs=None)
    policy = openrlhf.EnginePolicy(engine := Engine("abort"), ChatTokenizer(), params, 64)

    for most in (4, 40):
        with pytest.raises(ModelError, match="aborted the answer after 1 tokens"):
            await policy.sample([1], Sampling(max_tokens=most))

    assert [one.max_tokens for one in engine.params] == [4, 10]


def test_the_data_set_has_the_task_row_as_label(tmp_path: Path) -> None:
    assert openrlhf.write_dataset(tmp_path / "train.jsonl", ADDER, n=2) == 2

    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row["input"] for row in rows] == [[{"role": "user", "content": f"{a} + 2 = ?"}] for a in (0, 1)]
    assert [json.loads(row["label"])["a"] for row in rows] == [0, 1]


def test_a_missing_library_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"can't be imported .*: pip install openrlhf"):
        openrlhf.agent_executor(ADDER)
