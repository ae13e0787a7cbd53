"""TRL's own GRPO trainer samples, and calls the tools of an environment of this package as methods.

The model is tiny and random, so its `generate` is forced to the tokens of a script.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from forced import Script, SpyTokenizer, logprobs_of, save_model
from transformers import LlamaForCausalLM
from transformers.utils import get_json_schema

from nemo_gym import Environment, Response, Session, Task, ask, tool
from nemo_gym.environments.tool import bind_tools
from nemo_gym.training import Rollouts
from nemo_gym.wire.items import FunctionCall

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs
# How TRL reads the tool calls of this chat template.
RESPONSE_TEMPLATE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open": "<tool_call>",
            "close": "</tool_call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close": "<|im_end|>", "content": "text"},
    },
}


class Desk(Environment):
    """Add two numbers with a tool, at a desk of one's own."""

    class Task(Task):
        a: int

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.sums: list[int] = []
        self.rewards: list[float] = []
        self.answers: list[Response] = []

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        return ({"responses_create_params": ask(f"{a} + 2 = ?"), "a": a} for a in range(n or 8))

    def seed(self, task: Desk.Task, session: Session) -> None:
        self.events["opened"] += 1
        session.state["calls"] = 0

    @tool
    async def add(self, session: Session, a: int, b: int = 2) -> str:
        """Add two numbers.

        Args:
            a: the first number
            b: the second number
        """
        session.state["calls"] += 1
        self.sums.append(a + b)
        if a == 3:
            raise RuntimeError("out of paper")
        return str(a + b)

    async def verify(self, task: Desk.Task, response: Response, session: Session) -> float:
        self.answers.append(response)
        assert session.state["calls"] == 1
        if task.a == 1:
            raise RuntimeError("the examiner is ill")
        self.rewards.append(float(response.final_text == str(task.a + 2)))
        return self.rewards[-1]

    def close(self, session: Session) -> None:
        self.events["closed"] += 1


class ForcedModel(LlamaForCausalLM):
    """Samples by script, and keeps what it sampled with its log-probabilities."""

    script: Script
    sampled: list[tuple[list[int], list[int], list[float]]]

    def generate(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
        prompts = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
        answers = [self.script.ids(prompt) for prompt in prompts]
        for prompt, ids in zip(prompts, answers, strict=True):
            self.sampled.append((prompt, ids, logprobs_of(self, prompt, ids)))
        rows = [torch.tensor(ids) for ids in answers]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
        return torch.cat([input_ids, padded], dim=1)


class WatchedTrainer(trl.GRPOTrainer):
    """Keeps the batches and the log-probabilities of each loss."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.batches: list[dict[str, Any]] = []
        self.losses: list[tuple[Any, Any, Any]] = []
        self.sampled: list[list[tuple[list[int], list[int], list[float]]]] = []

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        self.model.sampled = []
        self.sampled.append(self.model.sampled)
        self.batches.append(super()._generate_and_score_completions(inputs))
        return self.batches[-1]

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, *arguments: Any, **options: Any
    ) -> Any:
        result = super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, *arguments, **options
        )
        self.losses.append((input_ids, attention_mask, result[0].detach()))
        return result


@pytest.fixture
def spy(tmp_path: Path) -> SpyTokenizer:
    spy = save_model(tmp_path / "model")
    spy.response_template = RESPONSE_TEMPLATE
    return spy


def trained(environments: Any, script: Script, folder: Path, steps: int) -> WatchedTrainer:
    model = ForcedModel.from_pretrained(folder / "model")
    model.script = script
    trainer = WatchedTrainer(
        model=model,
        processing_class=script.tokenizer,
        args=trl.GRPOConfig(
            output_dir=str(folder / "out"),
            per_device_train_batch_size=8,
            num_generations=4,
            max_completion_length=256,
            max_steps=steps,
            learning_rate=1e-3,
            shuffle_dataset=False,
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            report_to="none",
            logging_steps=1,
            disable_tqdm=True,
        ),
        train_dataset=environments.train_dataset,
        environment_factory=environments.environment_factory,
        reward_funcs=environments.reward_funcs,
    )
    trainer.train()
    return trainer


def test_a_multi_turn_tool_environment_trains_where_trl_samples(spy: SpyTokenizer, tmp_path: Path) -> None:
    desk = Desk()
    with Rollouts(desk, model="none") as gym:
        environments = gym.trl_environments(n=8)
        environments.rows[:] = [row for row in environments.rows if row["row_id"] not in (1, 3)]
        before = [*LlamaForCausalLM.from_pretrained(tmp_path / "model").parameters()]
        trainer = trained(environments, Script(spy), tmp_path, steps=3)
        assert desk.events["opened"] == desk.events["closed"] == 3 * 8 + 1, "one session saw the tools"

    assert len(desk.sums) == 24, "each rollout called the tool of the environment"
    assert len(desk.rewards) == 24
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert [entry["rewards/ng_reward/mean"] for entry in logs] == pytest.approx([0.5] * 3)
    assert [entry["ng_failed"] for entry in logs] == [0.0] * 3
    assert sum(desk.rewards) == 12
    assert all(math.isfinite(entry["loss"]) for entry in logs)
    pairs = zip(before, trainer.model.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs), "the weights changed"
    assert_the_loss_saw_the_sampled_tokens(trainer)
    for batch in trainer.batches:
        assert batch["advantages"].abs().max() > 0.5
        for ids, mask, kept in zip(
            batch["completion_ids"], batch["tool_mask"], batch["completion_mask"], strict=True
        ):
            outside = spy.decode(ids[(mask == 0) & kept.bool()].tolist(), skip_special_tokens=False)
            assert outside.startswith("\n<|im_start|>tool\n"), "the result of the tool is masked"
            assert outside.endswith("<|im_end|>\n<|im_start|>assistant\n")


def assert_the_loss_saw_the_sampled_tokens(trainer: WatchedTrainer) -> None:
    """Each answer of a step stands in a row of its loss, with the same log-probabilities."""
    differences: list[float] = []
    assert len(trainer.losses) == len(trainer.sampled)
    for (input_ids, attention_mask, logps), sampled in zip(trainer.losses, trainer.sampled, strict=True):
        assert len(sampled) == 2 * len(input_ids)
        rows = [
            (ids[mask.bool()].tolist(), values[mask[-len(values) :].bool()].tolist())
            for ids, mask, values in zip(input_ids, attention_mask, logps, strict=True)
        ]
        for prompt, answer, recorded in sampled:
            end = len(prompt) + len(answer)
            whole, scored = next(row for row in rows if row[0][:end] == [*prompt, *answer])
            start = len(prompt) - (len(whole) - len(scored))
            again = scored[start : start + len(answer)]
            differences.extend(abs(one - other) for one, other in zip(again, recorded, strict=True))
    assert sum(differences) / len(differences) < 1e-4


def test_the_tools_have_the_schemas_of_the_environment() -> None:
    with Rollouts(Desk(), model="none") as gym:
        factory = gym.trl_environments(n=2).environment_factory
        schema = get_json_schema(factory().add)["function"]

    wanted = bind_tools(Desk())["add"].schema
    assert (schema["name"], schema["description"]) == ("add", "Add two numbers.")
    assert schema["parameters"]["required"] == wanted["parameters"]["required"]
    for name, field in schema["parameters"]["properties"].items():
        same = wanted["parameters"]["properties"][name]
        assert field["type"] == same["type"]
        assert field["description"].startswith(same["description"])


def test_a_failed_verify_is_no_reward_and_an_error_of_a_tool_is_a_text(
    spy: SpyTokenizer, tmp_path: Path
) -> None:
    desk = Desk()
    with Rollouts(desk, model="none") as gym:
        environments = gym.trl_environments(n=4)
        environments.rows[:] = [row for row in environments.rows if row["row_id"] in (1, 3)]
        trainer = trained(environments, Script(spy), tmp_path, steps=1)

    (entry,) = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert environments.failures == {"VerifierFault": 4}
    assert entry["ng_failed"] == 0.5
    assert sorted(desk.rewards) == [0.0] * 4, "the tool of task 3 gives no sum"
    (batch,) = trainer.batches
    assert batch["advantages"].tolist() == [0.0] * 8
    outputs = [item["output"] for answer in desk.answers for item in answer.output if "output" in item]
    assert {json.loads(text)["error"] for text in outputs if not text.isdigit()} == {
        "add failed: RuntimeError: out of paper"
    }
    assert desk.events["opened"] == desk.events["closed"] == 9


class Shops(Environment):
    """Each task has a tool of its own."""

    class Task(Task):
        name: str

    def __init__(self) -> None:
        self.bought: Counter[tuple[str, str]] = Counter()

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        for name in ("bread", "milk"):
            schema = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
            offered = {"type": "function", "name": name, "parameters": schema, "strict": False}
            yield {"responses_create_params": {**ask(f"{name} please"), "tools": [offered]}, "name": name}

    async def call_tool(self, call: FunctionCall, session: Session) -> str:
        self.bought[session.task.name, call["name"]] += 1
        return "sold"

    async def verify(self, task: Shops.Task, response: Response, session: Session) -> float:
        return float(response.final_text == "thanks")


class Shopper(Script):
    """Calls the tool that the prompt names, and the other one too, which is not offered."""

    def text(self, prompt: str) -> str:
        if "<|im_start|>tool\n" in prompt:
            self.count += 1
            return "thanks" if self.count % 2 else "no"
        return "".join(
            f'<tool_call>{{"name": "{name}", "arguments": {{"count": 1}}}}</tool_call>'
            for name in ("bread", "milk")
        )


def test_tasks_with_different_tools_train_together(spy: SpyTokenizer, tmp_path: Path) -> None:
    shops = Shops()
    with Rollouts(shops, model="none") as gym:
        trainer = trained(gym.trl_environments(), Shopper(spy), tmp_path, steps=1)

    assert shops.bought == {("bread", "bread"): 4, ("milk", "milk"): 4}
    (entry,) = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert entry["reward"] == pytest.approx(0.5)
    assert entry["tools/failure_frequency"] == 0.5
