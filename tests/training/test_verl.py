"""verl's hook without verl; `make test-trainers-verl` runs its own workers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from nemo_gym.models.policies import Sampled, Sampling
from nemo_gym.training import Rollouts
from nemo_gym.training.trainers import verl
from nemo_gym.wire.errors import ModelError, ModelRejected, UsageError
from nemo_gym.wire.jsonl import encode
from tests.support.adder import Adder, solve
from tests.support.earlier_run import COLUMNS
from tests.support.policies import ChatTokenizer, ScriptedPolicy

ADDER = f"{Path(__file__).parents[1] / 'support' / 'adder.py'}:Adder"
END = ChatTokenizer.eos_token_id
PARAMS = {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "logprobs": True}


class Loop:
    """An agent loop whose servers give one answer to every call."""

    def __init__(self, ids: list[int], *, stop_reason: str = "completed", **config: int) -> None:
        self.tokenizer = ChatTokenizer()
        self.rollout_config: dict[str, int] = _Config(prompt_length=8, response_length=6, **config)
        self.server_manager = self
        self.calls: list[dict[str, Any]] = []
        self._ids = ids
        self._stop_reason = stop_reason

    async def generate(self, request_id: str, **arguments: Any) -> Any:
        self.calls.append({"id": request_id, **arguments})
        return SimpleNamespace(
            token_ids=self._ids,
            log_probs=[-0.5] * len(self._ids),
            stop_reason=self._stop_reason,
            num_preempted=None,
            extra_fields={"min_global_steps": 3, "max_global_steps": 4},
        )


class _Config(dict[str, int]):
    __getattr__ = dict.__getitem__


async def test_the_calls_of_a_rollout_have_one_id_and_the_trainers_parameters() -> None:
    loop = Loop([65, END])
    policy = verl.ServerPolicy(loop, PARAMS, 5)

    sampled = await policy.sample([1, 2, 3], Sampling(temperature=0.1, max_tokens=6))
    await policy.sample([1, 2, 3, 65, END, 4], Sampling(max_tokens=3))
    await verl.ServerPolicy(loop, PARAMS).sample([1], Sampling())

    assert sampled == Sampled(ids=[65, END], logprobs=[-0.5, -0.5], ended=True, version=3)
    first, second, other = loop.calls
    assert first["id"] == second["id"] != other["id"]
    assert first["sampling_params"] == {**PARAMS, "max_tokens": 6}
    assert second["sampling_params"] == {**PARAMS, "max_tokens": 3}
    assert first["priority"] == 5
    assert policy.steps == [3, 4, 3, 4]
    assert policy.context == 3 + 6


async def test_with_full_determinism_the_id_is_that_of_the_priority() -> None:
    loop = Loop([65, END], full_determinism=True)

    await verl.ServerPolicy(loop, PARAMS, 5).sample([1], Sampling())

    assert loop.calls[0]["id"] == "det-5"


@pytest.mark.parametrize(
    ("ids", "stop_reason", "ended"),
    [
        ([65] * 6, "completed", False),
        ([65] * 5 + [END], "completed", True),
        ([65] * 5, "completed", True),
        ([65] * 5, "length", False),
        ([], "completed", False),
    ],
    ids=["all tokens", "the last token ends it", "another token ends it", "length", "nothing"],
)
async def test_an_answer_of_all_allowed_tokens_without_an_end_is_cut(
    ids: list[int], stop_reason: str, ended: bool
) -> None:
    policy = verl.ServerPolicy(Loop(ids, stop_reason=stop_reason), PARAMS)

    assert (await policy.sample([1], Sampling(max_tokens=6))).ended is ended


async def test_an_aborted_answer_and_a_long_prompt_are_errors() -> None:
    with pytest.raises(ModelError, match="aborted the answer after 1 tokens"):
        await verl.ServerPolicy(Loop([65], stop_reason="aborted"), PARAMS).sample([1], Sampling())
    with pytest.raises(ModelRejected, match=r"9 tokens, more than rollout\.prompt_length 8"):
        await verl.ServerPolicy(Loop([65]), PARAMS).sample([1] * 9, Sampling())
    with pytest.raises(ModelRejected, match="5 tokens, more than"):
        await verl.ServerPolicy(Loop([65], max_model_len=5), PARAMS).sample([1] * 5, Sampling())


def test_the_data_set_carries_the_task_rows(tmp_path: Path) -> None:
    assert verl.write_dataset(tmp_path / "train.parquet", ADDER, n=3, agent_name="adder") == 3

    rows = pq.read_table(tmp_path / "train.parquet").to_pylist()
    assert [row["extra_info"] for row in rows] == [{"index": index} for index in range(3)]
    assert rows[1]["prompt"] == [{"role": "user", "content": "1 + 2 = ?"}]
    assert rows[1]["agent_name"] == "adder"
    assert json.loads(rows[1][verl.ROW])["a"] == 1


def test_a_file_of_rollouts_gives_each_of_its_tasks_once(tmp_path: Path) -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        rollouts = gym.collect_sync(gym.dataset(n=2), repeats=2)
    run = tmp_path / "run.jsonl"
    run.write_bytes(b"\n".join(encode({**COLUMNS, **one.to_row()}) for one in rollouts))

    assert verl.write_dataset(tmp_path / "train.parquet", ADDER, file=run) == 2

    rows = [json.loads(row[verl.ROW]) for row in pq.read_table(tmp_path / "train.parquet").to_pylist()]
    assert [row["a"] for row in rows] == [0, 1]
    assert all(row.keys() == {"a", "responses_create_params"} for row in rows)


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(UsageError, match=r"empty\.jsonl: there are no tasks"):
        verl.write_dataset(tmp_path / "train.parquet", ADDER, file=empty)
    with pytest.raises(UsageError, match=r"can't be imported .*: pip install verl"):
        verl.agent_loop({"environment": ADDER})
