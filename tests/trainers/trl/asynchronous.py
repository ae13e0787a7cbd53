"""TRL's own asynchronous GRPO trainer learns from rollouts of this package, with a policy in this process.

The trainer wants a GPU for two things only: the attention over trees of samples, which PyTorch computes here,
and the name of the device, for one of its metrics.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from forced import Adder, ForcedPolicy, logprobs_of, make_policy, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from nemo_gym.models.policies.hf import HFPolicy
from nemo_gym.training import Rollouts
from nemo_gym.training.trainers.trl_async import AsyncWorker, PolicyWeights, Sample
from nemo_gym.wire.errors import UsageError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TRL warns that its experiments may change
    from trl.experimental.async_grpo import AsyncGRPOConfig, AsyncGRPOTrainer, async_grpo_trainer, packing
    from trl.experimental.async_grpo.async_rollout_worker import RolloutSample

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs


class CpuAttention:
    """The function of the GPU kernel: each sequence of queries sees its own keys, the last ones its own."""

    @staticmethod
    def flash_attn_varlen_func(
        q: Any, k: Any, v: Any, starts_q: Any, starts_k: Any, *_: Any, softmax_scale: float, **options: Any
    ) -> Any:
        assert options["causal"]
        parts = []
        spans = zip(itertools.pairwise(starts_q.tolist()), itertools.pairwise(starts_k.tolist()), strict=True)
        for (a, b), (c, d) in spans:
            scores = torch.einsum("qhd,khd->hqk", q[a:b], k[c:d]) * softmax_scale
            hidden = torch.ones(b - a, d - c, dtype=torch.bool).triu(d - c - (b - a) + 1)
            weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
            parts.append(torch.einsum("hqk,khd->qhd", weights, v[c:d]))
        return torch.cat(parts)


class WatchedTrainer(AsyncGRPOTrainer):
    """Keeps how much each of its log-probabilities differs from the sampled one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.differences: list[list[float]] = []

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
        outputs: list[Any] = []
        watch = model.register_forward_hook(lambda *call: outputs.append(call[-1]))
        loss = super().compute_loss(model, inputs, *arguments, **options)
        watch.remove()
        places = inputs["token_index"][inputs["token_index"] >= 0]
        again = outputs[0].log_probs.flatten()[places]
        self.differences.append((again - inputs["old_log_probs"].flatten()).abs().tolist())
        return loss


class WatchedWeights(PolicyWeights):
    """Keeps the weights of each version."""

    def __init__(self, rollouts: Rollouts) -> None:
        super().__init__(rollouts)
        self.versions: dict[int, dict[str, Any]] = {}

    def send_weights(self, iterator: Iterator[tuple[str, Any]]) -> None:
        weights = {name: tensor.clone() for name, tensor in iterator}
        self.versions[len(self.versions) + 1] = weights
        super().send_weights(iter(weights.items()))


class WatchedWorker(AsyncWorker):
    """Keeps the samples."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.samples: list[Sample] = []
        put = self.rollout_buffer.put_nowait

        def kept(sample: Sample) -> None:
            put(sample)
            self.samples.append(sample)

        self.rollout_buffer.put_nowait = kept


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ForcedPolicy:
    monkeypatch.setattr(packing, "_flash_attn", lambda: CpuAttention)
    monkeypatch.setattr(async_grpo_trainer, "get_peak_flops_per_device", lambda *_: None)
    return make_policy(tmp_path / "model")


def settings(folder: Path, **options: Any) -> AsyncGRPOConfig:
    return AsyncGRPOConfig(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=8,
        num_generations=4,
        dtype="float32",
        token_budget=0,  # without it, TRL asks a vLLM server
        weight_sync_steps=1,
        learning_rate=1e-4,
        max_grad_norm=1.0,
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        **options,
    )


def test_the_sample_has_the_fields_of_trl() -> None:
    assert [one.name for one in fields(Sample)] == [one.name for one in fields(RolloutSample)]


def test_a_multi_turn_tool_environment_trains_while_it_is_collected(
    policy: ForcedPolicy, tmp_path: Path
) -> None:
    threads = set(threading.enumerate())
    start = [*LlamaForCausalLM.from_pretrained(tmp_path / "model").parameters()]
    with Rollouts(Adder, policy=policy) as gym:
        rows = gym.dataset(n=8)
        worker = WatchedWorker(gym, itertools.cycle(rows), repeats=4, in_flight=2, buffer_size=8)
        weights = WatchedWeights(gym)
        trainer = WatchedTrainer(
            str(tmp_path / "model"),
            args=settings(tmp_path, max_steps=8),
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
            rollout_worker=worker,
            weight_transfer=weights,
        )
        trainer.train()
    for thread in set(threading.enumerate()) - threads:
        if thread.name.startswith(("rollouts", "asyncio", "hf-policy")):
            thread.join(timeout=60)
            assert not thread.is_alive(), thread.name

    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logs) == 8
    assert [entry["reward"] for entry in logs] == pytest.approx([0.5] * 8)
    assert all(math.isfinite(entry["loss"]) for entry in logs)
    pairs = zip(start, trainer.model.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs), "the weights changed"

    assert sum(trainer.differences[0]) / len(trainer.differences[0]) < 1e-4
    flat = [one for step in trainer.differences for one in step]
    assert sum(flat) / len(flat) < 0.02
    assert list(weights.versions) == [*range(1, 10)], "one before the first step, one after each"
    assert policy.version == 9
    versions = [sample.model_version for sample in worker.samples]
    assert versions[0] == 1
    assert max(versions) > 1
    assert_each_sample_is_of_its_version(worker.samples, weights, policy)
    assert not any("tool_call" in text or "no idea" in text for text in policy.tokenizer.texts)
    assert all(sum(one.advantage for one in group) == pytest.approx(0) for group in groups(worker.samples))


def groups(samples: list[Sample]) -> list[list[Sample]]:
    """Those whose samples are all there."""
    by_id: dict[int, list[Sample]] = {}
    for sample in samples:
        by_id.setdefault(sample.group_id, []).append(sample)
    return [group for group in by_id.values() if len(group) == 4]


def assert_each_sample_is_of_its_version(
    samples: list[Sample], weights: WatchedWeights, policy: ForcedPolicy
) -> None:
    """The first answer of each sample has the log-probabilities of the weights of its version."""
    for sample in samples:
        policy.model.load_state_dict(weights.versions[sample.model_version], strict=False)
        mask = sample.completion_mask.tolist()
        first = mask.index(1)
        end = mask.index(0, first)
        assert set(mask[end:]) == {0, 1}, "the result of the tool is masked, and the second answer is not"
        ids = sample.input_ids.tolist()
        again = logprobs_of(policy.model, ids[:first], ids[first:end])
        recorded = sample.old_log_probs[first:end].tolist()
        assert max(abs(one - other) for one, other in zip(again, recorded, strict=True)) < 1e-4
        assert not any(sample.old_log_probs[place] for place, one in enumerate(mask) if not one)


def test_the_policy_takes_weights_without_the_second_name_of_a_tied_one(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        tie_word_embeddings=True, pad_token_id=0, eos_token_id=2, bos_token_id=None,
    )  # fmt: skip
    policy = HFPolicy(LlamaForCausalLM(config), tokenizer())
    new = dict(LlamaForCausalLM(config).named_parameters())
    assert "lm_head.weight" not in new

    asyncio.run(policy.update(new, 3))

    assert policy.version == 3
    assert torch.equal(policy.model.lm_head.weight, new["model.embed_tokens.weight"])
    with pytest.raises(UsageError, match="the model has no weights 'nose'"):
        asyncio.run(policy.update({"nose": new["model.norm.weight"]}, 4))


def test_samples_that_are_too_old_are_dropped_by_the_trainer_and_training_goes_on(
    policy: ForcedPolicy, tmp_path: Path
) -> None:
    with Rollouts(Adder, policy=policy) as gym:
        rows = gym.dataset(n=8)
        worker = AsyncWorker(gym, itertools.cycle(rows), repeats=4, in_flight=4, buffer_size=32)
        trainer = AsyncGRPOTrainer(
            str(tmp_path / "model"),
            args=settings(tmp_path, max_steps=6, max_staleness=1),
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
            rollout_worker=worker,
            weight_transfer=PolicyWeights(gym),
        )
        trainer.train()

    logs = [entry for entry in trainer.state.log_history if "sample/staleness_max" in entry]
    assert len(logs) == 6
    assert max(entry["sample/staleness_max"] for entry in logs) <= 1
    assert all(math.isfinite(entry["loss"]) for entry in logs)
