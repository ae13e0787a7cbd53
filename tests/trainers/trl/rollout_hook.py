"""TRL's own GRPO trainer learns from rollouts of this package: `make test-trainers-trl`.

The model is tiny and random, so the answers are forced: a policy samples the script's tokens, with the
log-probabilities that the model gives them. What is tested is that the trainer sees exactly these tokens.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset, load_dataset
from forced import Adder, ForcedPolicy, logprobs_of, make_policy

from nemo_gym.training import Rollouts
from nemo_gym.training.exports.export import export

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs


@pytest.fixture
def policy(tmp_path: Path) -> ForcedPolicy:
    return make_policy(tmp_path / "model")  # a folder, because DPO loads it again as its reference


def test_a_multi_turn_tool_environment_trains_on_the_sampled_tokens(
    policy: ForcedPolicy, tmp_path: Path
) -> None:
    outputs: list[dict[str, list[Any]]] = []
    differences: list[float] = []
    with Rollouts(Adder, policy=policy) as gym:
        hook = gym.trl_rollout_func()

        def watched(prompts: list[Any], trainer: Any) -> dict[str, list[Any]]:
            output = hook(prompts, trainer)
            outputs.append(output)
            columns = (output[name] for name in ("prompt_ids", "completion_ids", "logprobs", "env_mask"))
            for prompt, ids, recorded, mask in zip(*columns, strict=True):
                again = logprobs_of(trainer.model, prompt, ids)
                differences.extend(
                    abs(one - other)
                    for one, other, sampled in zip(recorded, again, mask, strict=True)
                    if sampled
                )
            return output

        trainer = trl.GRPOTrainer(
            model=policy.model,
            processing_class=policy.tokenizer,
            args=trl.GRPOConfig(
                output_dir=str(tmp_path),
                per_device_train_batch_size=8,
                num_generations=4,
                max_steps=3,
                learning_rate=1e-3,
                use_cpu=True,
                bf16=False,
                save_strategy="no",
                report_to="none",
                logging_steps=1,
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(gym.dataset(n=8)),
            rollout_func=watched,
            reward_funcs=gym.trl_reward,
        )
        before = [parameter.detach().clone() for parameter in policy.model.parameters()]
        trainer.train()

    assert len(outputs) == 3
    assert differences
    assert sum(differences) / len(differences) < 1e-5
    for output in outputs:
        assert set(output["ng_reward"]) == {0.0, 1.0}
        assert all(0 < sum(mask) < len(mask) for mask in output["env_mask"]), "tool results are masked"
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert [entry["reward"] for entry in logs] == pytest.approx([0.5] * 3)
    assert all(math.isfinite(entry["loss"]) for entry in logs)
    assert any(
        not torch.equal(old, new) for old, new in zip(before, policy.model.parameters(), strict=True)
    ), "the weights changed"
    assert not any("tool_call" in text or "no idea" in text for text in policy.tokenizer.texts)


def test_a_rollout_that_fails_is_left_out_and_not_a_reward_of_zero(policy: ForcedPolicy) -> None:
    policy.context = 4
    with Rollouts(Adder, policy=policy) as gym:
        output = gym.trl_rollout_func()([row["prompt"] for row in gym.dataset(n=2)], None)

    assert output["ng_reward"] == [None, None]
    assert output["env_mask"] == [[0], [0]]
    assert all(output["prompt_ids"])


def test_every_export_loads_with_the_real_loaders(tmp_path: Path) -> None:
    from exported import write_tool_run

    run = write_tool_run(tmp_path)
    for format in ("sft", "dpo", "dpo_trl", "kto", "grpo", "openai", "sharegpt"):
        report = export(run, format)
        loaded = load_dataset(
            "json", data_files=report.path, split="train", cache_dir=str(tmp_path / "cache")
        )
        assert len(loaded) == sum(report.rows.values()) > 0
    parquet = export(run, "parquet")
    loaded = load_dataset(
        "parquet", data_files=parquet.path, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == sum(parquet.rows.values())


@pytest.mark.parametrize(("format", "kind"), [("sft", "SFT"), ("dpo_trl", "DPO"), ("kto", "KTO")])
def test_trl_trains_on_the_exports(format: str, kind: str, policy: ForcedPolicy, tmp_path: Path) -> None:
    from exported import write_tool_run

    report = export(write_tool_run(tmp_path), format)
    rows = load_dataset("json", data_files=report.path, split="train", cache_dir=str(tmp_path / "cache"))
    extra = [name for name in rows.column_names if name in ("metadata", "loss_mask", "margin")]
    module = (
        trl if hasattr(trl, f"{kind}Trainer") else pytest.importorskip(f"trl.experimental.{kind.lower()}")
    )
    config = getattr(module, f"{kind}Config")(
        output_dir=str(tmp_path / "out"), per_device_train_batch_size=2, max_steps=1, use_cpu=True,
        bf16=False, save_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    trainer = getattr(module, f"{kind}Trainer")(
        model=policy.model,
        args=config,
        train_dataset=rows.remove_columns(extra),
        processing_class=policy.tokenizer,
    )
    assert math.isfinite(trainer.train().training_loss)
