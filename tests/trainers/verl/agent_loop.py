"""verl's own agent loop workers collect rollouts of this package: `make test-trainers-verl`.

The configuration, the data set, the workers, the client, its load balancer, the registry and the batches are
verl's. Its inference servers need a GPU, so a script answers in their place. No cluster is started: handles
of actors call their objects in this process, and a dictionary replaces the store of verl's default trainer.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
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
from verl.workers.rollout.llm_server import GlobalRequestLoadBalancer, LLMServerClient
from verl.workers.rollout.replica import TokenOutput

from nemo_gym.training.trainers import verl as adapter
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode
from tests.support.adder import solve
from tests.support.hf_tokenizer import chat_tokenizer

ADDER = f"{Path(__file__).parents[2] / 'support' / 'adder.py'}:Adder"
ROLLOUTS = {"environment": ADDER, "settings": {"broken": [5]}, "max_steps": 4}


class Server:
    """Answers as a server of verl does. The second answer of a rollout comes from later weights."""

    def __init__(self, calls: list[dict[str, Any]]) -> None:
        self.tokenizer = chat_tokenizer()
        self.calls = calls

    async def generate(
        self,
        *,
        request_id: str,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        image_data: None,
        video_data: None,
        priority: int = 0,
    ) -> TokenOutput:
        text = solve(self.tokenizer.decode(prompt_ids))
        ids = self.tokenizer.encode(f"{text}<|im_end|>")[: sampling_params["max_tokens"]]
        logprobs = [-0.5 - place for place in range(len(ids))] if sampling_params["logprobs"] else None
        step = 8 if any(begins(prompt_ids, call) for call in self.calls) else 7
        self.calls.append({"server": self, "prompt": prompt_ids, "answer": ids, **sampling_params})
        return TokenOutput(
            token_ids=ids, log_probs=logprobs, stop_reason="completed", extra_fields={"global_steps": step}
        )


class Handle:
    """A handle of an actor of Ray, in this process."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.actor, name)

        def remote(*arguments: Any, **named: Any) -> Awaitable[Any]:
            result = method(*arguments, **named)
            return result if inspect.isawaitable(result) else asyncio.ensure_future(value_of(result))

        return SimpleNamespace(remote=remote)


async def value_of(value: Any) -> Any:
    return value


def begins(prompt: list[int], call: dict[str, Any]) -> bool:
    """Whether a prompt continues the answer of a call."""
    before = [*call["prompt"], *call["answer"]]
    return prompt[: len(before)] == before


def rollout_of(calls: list[dict[str, Any]], first: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first and the second call of the rollout that begins with a call."""
    return first, next(call for call in calls if begins(call["prompt"], first))


def client_of(config: Any) -> tuple[LLMServerClient, list[dict[str, Any]]]:
    """verl's client with its load balancer and two servers, and the calls that these get."""
    calls: list[dict[str, Any]] = []
    servers = {name: Handle(Server(calls)) for name in ("one", "other")}
    return LLMServerClient(config, Handle(GlobalRequestLoadBalancer(servers))), calls


@pytest.fixture
async def loops(tmp_path: Path) -> AsyncIterator[Path]:
    """The file of `agent_loop_config_path`."""
    path = tmp_path / "loops.yaml"
    path.write_text(
        "- name: nemo_gym\n"
        "  _target_: nemo_gym.training.trainers.verl.agent_loop\n"
        "  rollouts:\n"
        f"    environment: {ADDER}\n"
        "    settings: {broken: [5]}\n"
        "    max_steps: 4\n"
    )
    yield path
    await adapter.single_rollouts(encode(ROLLOUTS)).aclose()


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
    client, calls = client_of(trainer)
    worker = AgentLoopWorker(trainer, client)

    output = await worker.generate_sequences(batch_of(rows_of(trainer, tmp_path, 5)))

    assert output.batch["responses"].shape == (5, 160)
    assert output.non_tensor_batch["__num_turns__"].tolist() == [4] * 5
    assert output.batch["rm_scores"].sum(1).tolist() == [1.0] * 5
    assert len(client._load_balancer.actor._request_id_to_server) == 5, (
        "one id for each rollout, for ten calls"
    )
    assert len(calls) == 10
    for place in range(5):
        seen = output.batch["input_ids"][place][output.batch["attention_mask"][place].bool()].tolist()
        first, last = rollout_of(calls, next(call for call in calls if begins(seen, call)))
        assert [*last["prompt"], *last["answer"]] == seen
        assert first["server"] is last["server"]
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
    assert output.non_tensor_batch["min_global_steps"].tolist() == [7] * 5
    assert output.non_tensor_batch["max_global_steps"].tolist() == [8] * 5
    assert output.non_tensor_batch["ng_masked"].tolist() == [0.0] * 5


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
    client, calls = client_of(trainer)
    worker = AgentLoopWorker(trainer, client)
    rows = rows_of(trainer, tmp_path, 1)

    output = await worker.generate_sequences(batch_of(rows))
    await worker.generate_sequences(batch_of(rows, validate=True))

    first, last, validation = calls[:3]
    assert (first["temperature"], first["top_p"], first["top_k"]) == (0.7, 0.9, 20)
    assert validation["temperature"] == 0.1
    assert first["max_tokens"] == 160
    assert len(last["prompt"]) + last["max_tokens"] == len(first["prompt"]) + 160
    assert "rollout_log_probs" not in output.batch


async def test_a_rollout_at_the_limit_is_cut_where_the_server_stopped_and_flagged(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = config("data.max_response_length=24")
    client, calls = client_of(trainer)
    worker = AgentLoopWorker(trainer, client)

    output = await worker.generate_sequences(batch_of(rows_of(trainer, tmp_path, 1)))

    (call,) = calls
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
    worker = AgentLoopWorker(trainer, client_of(trainer)[0])

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
    client, calls = client_of(trainer)
    worker = kind(trainer, client)
    rows = rows_of(trainer, tmp_path, 8)
    sampling = {"temperature": 1.0, "top_p": 1.0, "logprobs": True}
    trajectory = {"step": 7, "sample_index": 0, "rollout_n": 0, "validate": False}

    for uid, place in (("good", 4), ("bad", 5)):
        await worker._run_prompt({**rows[place], "uid": uid, "global_steps": 7}, sampling, trajectory)

    assert store.status == {"good": "finished", "bad": "failure"}
    assert sorted(store.fields) == ["good_0_0", "good_1_0"]
    first, last = rollout_of(calls, calls[0])
    for key, got in store.fields.items():
        assert got["input_ids"].tolist() == [*last["prompt"], *last["answer"]]
        sampled = got["responses"][got["loss_mask"].bool()].tolist()
        assert sampled == [*first["answer"], *last["answer"]]
        assert got["rm_scores"].tolist() == [*[0.0] * (len(got["responses"]) - 1), 1.0]
        assert store.tags[key]["min_global_steps"] == 7
        assert store.tags[key]["max_global_steps"] == 8


async def test_all_loops_of_a_process_share_one_environment(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = config()
    worker = AgentLoopWorker(trainer, client_of(trainer)[0])
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
    assert one.rollouts is other.rollouts is adapter.single_rollouts(encode(ROLLOUTS))


async def test_a_data_set_without_our_column_is_named_in_the_error(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    trainer = config()
    worker = AgentLoopWorker(trainer, client_of(trainer)[0])
    (row,) = rows_of(trainer, tmp_path, 1)
    del row[adapter.ROW]

    with pytest.raises(UsageError, match="the column 'ng_row' of the data set: expected a task row"):
        await worker.generate_sequences(batch_of([row]))
