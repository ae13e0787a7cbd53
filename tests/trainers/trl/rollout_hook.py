"""TRL's own GRPO trainer learns from rollouts of this package: `make test-trainers-trl`.

The model is tiny and random, so the answers are forced: a policy samples the script's tokens, with the
log-probabilities that the model gives them. What is tested is that the trainer sees exactly these tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset, load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from nemo_gym import Environment, Response, Session, Task, ask, tool
from nemo_gym.models.policies.hf import HFPolicy
from nemo_gym.training import Rollouts, Sampled, Sampling
from nemo_gym.training.exports.export import export

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs
TAGS = ["<|pad|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
TEMPLATE = """
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] -%}
<tool_call>{{ call.function | tojson }}</tool_call>
{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""


class Adder(Environment):
    """Add two numbers with a tool."""

    class Task(Task):
        a: int

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        return ({"responses_create_params": ask(f"{a} + 2 = ?"), "a": a} for a in range(n or 8))

    @tool
    async def add(self, a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    async def verify(self, task: Adder.Task, response: Response, session: Session) -> float:
        return float(response.final_text == str(task.a + 2))


class SpyTokenizer(PreTrainedTokenizerFast):
    """Keeps every text that is tokenised."""

    texts: list[str]

    def encode(self, text: Any, *arguments: Any, **options: Any) -> list[int]:
        self.__dict__.setdefault("texts", []).append(text)
        return super().encode(text, *arguments, **options)


def tokenizer() -> SpyTokenizer:
    chars = [chr(code) for code in range(32, 127)] + ["\n"]
    vocabulary = {token: number for number, token in enumerate([*TAGS, *chars])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=" "))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    spy = SpyTokenizer(tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|im_end|>")
    spy.add_special_tokens({"additional_special_tokens": TAGS[1:2] + TAGS[3:]})
    spy.chat_template = TEMPLATE
    return spy


class ForcedPolicy(HFPolicy):
    """Answers by script, with the model's own log-probabilities. Every second answer is wrong."""

    count = 0

    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        return [self._forced(prompt) for prompt in prompts]

    def _forced(self, prompt: list[int]) -> Sampled:
        text = self.tokenizer.decode(prompt, skip_special_tokens=False)
        if "<|im_start|>tool\n" in text:
            self.count += 1
            result = text.rsplit("<|im_start|>tool\n", 1)[1].split("<|im_end|>")[0]
            answer = result if self.count % 2 else "no idea"
        else:
            a = text.rsplit("<|im_start|>user\n", 1)[1].split(" ")[0]
            answer = f'<tool_call>{{"name": "add",  "arguments": {{"a":{a}, "b":2}}}}</tool_call>'
        ids = PreTrainedTokenizerFast.encode(self.tokenizer, f"{answer}<|im_end|>", add_special_tokens=False)
        return Sampled(ids=ids, logprobs=logprobs_of(self.model, prompt, ids), ended=True)


def logprobs_of(model: Any, prompt: list[int], ids: list[int]) -> list[float]:
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1].float()
    return torch.log_softmax(logits, -1).gather(-1, torch.tensor(ids).unsqueeze(-1)).squeeze(-1).tolist()


@pytest.fixture
def policy(tmp_path: Path) -> ForcedPolicy:
    torch.manual_seed(0)
    spy = tokenizer()
    config = LlamaConfig(
        vocab_size=len(spy), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=1024, pad_token_id=0, eos_token_id=2, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")  # DPO loads it again as its reference
    return ForcedPolicy(LlamaForCausalLM.from_pretrained(tmp_path / "model"), spy)


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
