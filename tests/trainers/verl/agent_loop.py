"""verl's own agent loop workers collect rollouts of this package: `make test-trainers-verl`.

The configuration, the data set, the workers, the registry and the batches are verl's. Its inference servers
need a GPU, so a script answers in their place, with the arguments and the results of verl's client. A
dictionary replaces the store that verl's default trainer fills.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra import compose, initialize_config_module
from transformers import LlamaConfig
from verl.experimental.agent_loop.agent_loop import (
    AgentLoopBase,
    AgentLoopWorker,
    DictConfigWrap,
    _agent_loop_registry,
)
from verl.protocol import DataProto
from verl.trainer.ppo.v1 import agent_loop_tq
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn
from verl.workers.rollout.replica import TokenOutput

from nemo_gym.training.trainers import verl as adapter
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode
from tests.support.adder import solve
from tests.support.hf_tokenizer import chat_tokenizer

ADDER = f"{Path(__file__).parents[2] / 'support' / 'adder.py'}:Adder"
SETTINGS = {"environment": ADDER, "settings": {"broken": [5]}, "max_steps": 4}


class Servers:
    """Answers as verl's client of its servers does. Each answer comes from a later version of the weights."""

    def __init__(self, answer: Callable[[str], str] = solve) -> None:
        self.tokenizer = chat_tokenizer()
        self.answer = answer
        self.calls: list[dict[str, Any]] = []

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any], priority: int = 0
    ) -> TokenOutput:
        text = self.answer(self.tokenizer.decode(prompt_ids))
        ids = self.tokenizer.encode(f"{text}<|im_end|>")[: sampling_params["max_tokens"]]
        step = 7 + len([one for one in self.calls if one["id"] == request_id])
        logprobs = [-0.5 - place for place in range(len(ids))] if sampling_params["logprobs"] else None
        self.calls.append({"id": request_id, "prompt": prompt_ids, "answer": ids, **sampling_params})
        return TokenOutput(
            token_ids=ids,
            log_probs=logprobs,
            stop_reason="completed",
            extra_fields={"global_steps": step, "min_global_steps": step, "max_global_steps": step},
        )

    def rollout(self, place: int) -> list[dict[str, Any]]:
        """The calls of one rollout."""
        ids = list(dict.fromkeys(call["id"] for call in self.calls))
        return [call for call in self.calls if call["id"] == ids[place]]


@pytest.fixture
async def loops(tmp_path: Path) -> AsyncIterator[Path]:
    """The file of `agent_loop_config_path`."""
    path = tmp_path / "loops.yaml"
    path.write_text(
        "- name: nemo_gym\n"
        "  _target_: nemo_gym.training.trainers.verl.agent_loop\n"
        f"  environment: {ADDER}\n"
        "  settings: {broken: [5]}\n"
        "  max_steps: 4\n"
    )
    yield path
    await adapter.single_rollouts(encode(SETTINGS)).aclose()


@pytest.fixture
def config(tmp_path: Path, loops: Path) -> Callable[..., Any]:
    model = tmp_path / "model"
    chat_tokenizer().save_pretrained(model)
    LlamaConfig(architectures=["LlamaForCausalLM"]).save_pretrained(model)

    def of(*overrides: str) -> Any:
        with initialize_config_module("verl.trainer.config", version_base=None):
            return compose(
                "ppo_trainer",
                [
                    f"actor_rollout_ref.model.path={model}",
                    "actor_rollout_ref.rollout.name=vllm",
                    f"actor_rollout_ref.rollout.agent.agent_loop_config_path={loops}",
                    "data.max_prompt_length=320",
                    "data.max_response_length=160",
                    *overrides,
                ],
            )

    return of


def rows_of(config: Any, tmp_path: Path, n: int) -> list[dict[str, Any]]:
    """Rows of the data set that the adapter writes, as verl's data set class gives them."""
    path = tmp_path / "train.parquet"
    assert adapter.write_dataset(path, ADDER, n=n) == n
    data = RLHFDataset(str(path), chat_tokenizer(), config.data)
    return [data[place] for place in range(len(data))]


def batch_of(rows: list[dict[str, Any]], **meta: Any) -> DataProto:
    batch = DataProto.from_single_dict(collate_fn(rows))
    batch.meta_info.update(global_steps=7, **meta)
    return batch


async def test_a_multi_turn_tool_rollout_becomes_a_batch_of_exactly_the_sampled_tokens(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = config()
    worker = AgentLoopWorker(trainer, servers := Servers())

    rows = rows_of(trainer, tmp_path, 3)
    output = await worker.generate_sequences(batch_of([row for row in rows for _ in range(2)]))

    assert output.batch["responses"].shape == (6, 160)
    assert len({call["id"] for call in servers.calls}) == 6, "each rollout has an id of its own"
    assert output.non_tensor_batch["__num_turns__"].tolist() == [4] * 6
    assert output.batch["rm_scores"].sum(1).tolist() == [1.0] * 6
    for place in range(6):
        seen = output.batch["input_ids"][place][output.batch["attention_mask"][place].bool()].tolist()
        rollouts = map(servers.rollout, range(6))
        calls = next(one for one in rollouts if [*one[-1]["prompt"], *one[-1]["answer"]] == seen)
        first, last = calls
        begin, middle = len(first["prompt"]), len(last["prompt"])
        sampled = [*first["answer"], *last["answer"]]
        between = middle - begin - len(first["answer"])
        assert between > 0, "the tool result stands between the two answers"
        mask = [1] * len(first["answer"]) + [0] * between + [1] * len(last["answer"])
        padding = [0] * (160 - len(mask))
        assert output.batch["response_mask"][place].tolist() == mask + padding
        assert (
            output.batch["responses"][place][output.batch["response_mask"][place].bool()].tolist() == sampled
        )
        values = [[-0.5 - number for number in range(len(call["answer"]))] for call in (first, last)]
        expected = torch.tensor([*values[0], *[0.0] * between, *values[1], *padding])
        assert torch.equal(output.batch["rollout_log_probs"][place], expected)
        assert output.batch["rm_scores"][place][len(mask) - 1] == 1.0
    assert output.non_tensor_batch["min_global_steps"].tolist() == [7] * 6
    assert output.non_tensor_batch["max_global_steps"].tolist() == [8] * 6
    assert output.non_tensor_batch["ng_masked"].tolist() == [0.0] * 6


async def test_the_sampling_parameters_are_those_of_the_trainer(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = config(
        "actor_rollout_ref.rollout.temperature=0.7",
        "actor_rollout_ref.rollout.top_p=0.9",
        "actor_rollout_ref.rollout.top_k=20",
        "actor_rollout_ref.rollout.calculate_log_probs=False",
        "actor_rollout_ref.rollout.val_kwargs.temperature=0.1",
    )
    worker = AgentLoopWorker(trainer, servers := Servers())
    rows = rows_of(trainer, tmp_path, 1)

    output = await worker.generate_sequences(batch_of(rows))
    await worker.generate_sequences(batch_of(rows, validate=True))

    first, last, validation = servers.calls[:3]
    assert (first["temperature"], first["top_p"], first["top_k"]) == (0.7, 0.9, 20)
    assert validation["temperature"] == 0.1
    assert first["max_tokens"] == 160
    assert len(last["prompt"]) + last["max_tokens"] == len(first["prompt"]) + 160
    assert "rollout_log_probs" not in output.batch


async def test_a_rollout_at_the_limit_is_cut_where_the_server_stopped_and_flagged(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = config("data.max_response_length=24")
    worker = AgentLoopWorker(trainer, servers := Servers())

    output = await worker.generate_sequences(batch_of(rows_of(trainer, tmp_path, 1)))

    (call,) = servers.calls
    assert output.batch["responses"][0].tolist() == call["answer"]
    assert output.batch["response_mask"].sum() == 24
    assert output.non_tensor_batch["ng_truncated"].tolist() == [1.0]
    assert output.non_tensor_batch["ng_outcome"].tolist() == ["max_output_tokens"]


@pytest.mark.parametrize(
    ("place", "override", "reason"),
    [(5, "data.max_prompt_length=320", "failed"), (0, "data.max_prompt_length=16", "failed")],
    ids=["broken verifier", "prompt too long"],
)
async def test_in_the_older_trainer_a_failed_rollout_is_a_token_outside_of_the_loss(
    config: Callable[..., Any], tmp_path: Path, place: int, override: str, reason: str
) -> None:
    trainer = config(override, "data.filter_overlong_prompts=False")
    worker = AgentLoopWorker(trainer, Servers())

    output = await worker.generate_sequences(batch_of(rows_of(trainer, tmp_path, 8)[place : place + 1]))

    assert output.batch["response_mask"].sum() == 0
    assert output.batch["attention_mask"][0, -160:].sum() == 1
    assert output.non_tensor_batch["ng_masked"].tolist() == [1.0]
    assert output.non_tensor_batch["ng_mask"].tolist() == [reason]


class Store:
    """The part of TransferQueue that the worker of the default trainer uses."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.fields: dict[str, Any] = {}
        self.tags: dict[str, Any] = {}

    def init(self) -> None: ...

    async def async_kv_put(self, *, key: str, partition_id: str, tag: dict[str, Any]) -> None:
        self.status[key] = tag["status"]

    async def async_kv_batch_put(
        self, *, keys: list[str], fields: Any, tags: list[dict[str, Any]], partition_id: str
    ) -> None:
        for place, key in enumerate(keys):
            self.fields[key] = {name: fields[name][place] for name in set(fields.keys())}
            self.tags[key] = tags[place]


async def test_in_the_default_trainer_a_failed_rollout_is_a_failure_and_others_are_delivered(
    config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_loop_tq, "tq", store := Store())
    trainer = config("actor_rollout_ref.rollout.n=2")
    kind = agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class
    worker = kind(trainer, servers := Servers())
    rows = rows_of(trainer, tmp_path, 8)
    sampling = {"temperature": 1.0, "top_p": 1.0, "logprobs": True}
    trajectory = {"step": 7, "sample_index": 0, "rollout_n": 0, "validate": False}

    for uid, place in (("good", 4), ("bad", 5)):
        await worker._run_prompt({**rows[place], "uid": uid, "global_steps": 7}, sampling, trajectory)

    assert store.status == {"good": "finished", "bad": "failure"}
    assert sorted(store.fields) == ["good_0_0", "good_1_0"]
    for key, calls in zip(sorted(store.fields), map(servers.rollout, range(2)), strict=True):
        got, last = store.fields[key], calls[-1]
        assert got["input_ids"].tolist() == [*last["prompt"], *last["answer"]]
        assert got["responses"][got["loss_mask"].bool()].tolist() == [
            token for call in calls for token in call["answer"]
        ]
        assert got["rm_scores"].tolist() == [*[0.0] * (len(got["responses"]) - 1), 1.0]
        assert store.tags[key]["min_global_steps"] == 7
        assert store.tags[key]["max_global_steps"] == 8


async def test_all_loops_of_a_process_share_one_environment(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = config()
    worker = AgentLoopWorker(trainer, Servers())
    arguments = {
        "trainer_config": DictConfigWrap(trainer),
        "server_manager": worker.llm_client,
        "tokenizer": worker.tokenizer,
        "processor": None,
        "dataset_cls": RLHFDataset,
        "data_config": DictConfigWrap(trainer.data),
    }
    entry = _agent_loop_registry["nemo_gym"]

    one, other = (hydra.utils.instantiate(entry, **arguments) for _ in range(2))
    await worker.generate_sequences(batch_of(rows_of(trainer, tmp_path, 1)))

    assert isinstance(one, AgentLoopBase)
    assert one.rollouts is other.rollouts is adapter.single_rollouts(encode(SETTINGS))


async def test_a_data_set_without_our_column_is_named_in_the_error(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = config()
    worker = AgentLoopWorker(trainer, Servers())
    (row,) = rows_of(trainer, tmp_path, 1)
    del row[adapter.ROW]

    with pytest.raises(UsageError, match="the column 'ng_row' of the data set: expected a task row"):
        await worker.generate_sequences(batch_of([row]))
