"""OpenRLHF's own rollout actor and samples with this package's executor: `make test-trainers-openrlhf`.

The base class, the loading of the agent file, the actor, the data set class, the making of samples and the
advantages are OpenRLHF's. Its engine, vLLM, needs a GPU: a script answers in its place, with the arguments
and the results of `AsyncLLMEngine.generate`. The names that are imported from vLLM, from DeepSpeed and from
the launcher of the cluster are stand-ins.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import load_dataset
from openrlhf.datasets.prompts_dataset import PromptDataset
from openrlhf.trainer.ppo_utils.experience import Experience
from openrlhf.utils.agent import AgentExecutorBase

from nemo_gym.training.trainers import openrlhf as adapter
from tests.support.adder import solve
from tests.support.hf_tokenizer import chat_tokenizer

ADDER = f"{Path(__file__).parents[2] / 'support' / 'adder.py'}:Adder"


class SamplingParams(SimpleNamespace):
    """The fields of vLLM's class that OpenRLHF sets."""


def _module(name: str, **values: Any) -> None:
    module = ModuleType(name)
    vars(module).update(values)
    sys.modules[name] = module


_module("vllm", SamplingParams=SamplingParams)
_module("vllm.inputs", TokensPrompt=dict)
_module("vllm.utils", random_uuid=lambda: "request")
_folder = Path(import_module("openrlhf").__path__[0]) / "trainer" / "ray"
_module("openrlhf.trainer.ray", __path__=[str(_folder)])
_module("openrlhf.trainer.ray.launcher", RayActorGroup=None)
_module("openrlhf.models", __path__=[str(_folder.parents[1] / "models")])
_module("deepspeed")
vllm_engine: Any = import_module("openrlhf.trainer.ray.vllm_engine")
experience_maker: Any = import_module("openrlhf.trainer.ppo_utils.experience_maker")
samples_generator: Any = import_module("openrlhf.trainer.ppo_utils.samples_generator")


class Engine:
    """Answers as `vllm.AsyncLLMEngine` does."""

    def __init__(self, answer: Callable[[str], str] = solve) -> None:
        self.tokenizer = chat_tokenizer()
        self.answer = answer
        self.calls: list[dict[str, Any]] = []

    async def generate(
        self, prompt: dict[str, Any], params: SamplingParams, request_id: str
    ) -> AsyncIterator[Any]:
        text = self.answer(self.tokenizer.decode(prompt["prompt_token_ids"]))
        whole = self.tokenizer.encode(f"{text}<|im_end|>")
        ids = whole[: params.max_tokens]
        self.calls.append({"prompt": prompt["prompt_token_ids"], "answer": ids, **vars(params)})
        logprobs = [
            {0: None, token: SimpleNamespace(logprob=-0.5 - place)} for place, token in enumerate(ids)
        ]
        reason = "stop" if len(ids) == len(whole) else "length"
        yield SimpleNamespace(
            outputs=[
                SimpleNamespace(
                    token_ids=ids,
                    text=text,
                    finish_reason=reason,
                    logprobs=logprobs if params.logprobs is not None else None,
                )
            ]
        )


class Run:
    """A rollout actor with the executor of a file, and the maker of samples."""

    def __init__(self, folder: Path, engine: Engine, settings: str = "") -> None:
        path = folder / "agent.py"
        path.write_text(
            "from nemo_gym.training.trainers.openrlhf import agent_executor\n"
            f"AgentExecutor = agent_executor({ADDER!r}, max_steps=4{settings})\n"
        )
        kind = vllm_engine.RolloutRayActor.__ray_metadata__.modified_class
        self.actor = object.__new__(kind)  # its constructor starts vLLM
        self.actor.llm = engine
        self.actor.executor = vllm_engine._load_agent_executor(str(path))
        self.actor._mm_pad_token_ids = None
        self.samples = object.__new__(samples_generator.SamplesGenerator)  # its constructor needs the cluster

    async def collect(
        self, row: dict[str, Any], *, n: int = 1, max_len: int = 512, **sampling: Any
    ) -> list[Experience]:
        """What the trainer gets for one row of its data set."""
        params = SamplingParams(
            **{"temperature": 1.0, "top_p": 1.0, "top_k": -1, "max_tokens": None, "logprobs": 1, **sampling}
        )
        responses = await self.actor.generate_responses(
            row["prompt"], row["label"], params, max_len, self.actor.llm.tokenizer, num_samples=n
        )
        assert params.max_tokens == sampling.get("max_tokens"), "all rollouts of a prompt share it"
        return [self.samples._process_response_into_experience(one, max_len=max_len) for one in responses]

    async def aclose(self) -> None:
        await self.actor.executor.rollouts.aclose()


def advantages_of(batch: Experience) -> torch.Tensor:
    """The advantages that OpenRLHF computes for one group: rewards less their mean."""
    algo = SimpleNamespace(advantage=SimpleNamespace(estimator="dr_grpo", gamma=1.0))
    rollout = SimpleNamespace(n_samples_per_prompt=len(batch.sequences))
    reward = SimpleNamespace(clip_range=None, overlong_buffer_len=None, stop_properly_penalty_coef=None)
    maker = object.__new__(experience_maker.RemoteExperienceMaker)  # its constructor needs the cluster
    maker.strategy = SimpleNamespace(args=SimpleNamespace(algo=algo, rollout=rollout, reward=reward))
    maker.kl_ctl = SimpleNamespace(value=0.0)
    maker.advantage_estimator = "dr_grpo"
    batch.index = list(range(len(batch.sequences)))
    batch.kl = torch.zeros_like(batch.rollout_log_probs)
    (result,) = maker.compute_advantages_and_returns([batch])
    return result.advantages


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    """The data set that the adapter writes, read by OpenRLHF."""
    path = tmp_path / "train.jsonl"
    assert adapter.write_dataset(path, ADDER) == 8
    data = SimpleNamespace(input_key="input", label_key="label", apply_chat_template=True)
    strategy = SimpleNamespace(args=SimpleNamespace(data=data), is_rank_0=lambda: False)
    source = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    dataset = PromptDataset(source, chat_tokenizer(), strategy)
    return [
        dict(zip(("datasource", "prompt", "label", "images"), dataset[place], strict=True))
        for place in range(len(dataset))
    ]


async def test_a_multi_turn_tool_rollout_becomes_a_sample_of_exactly_the_sampled_tokens(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    run = Run(tmp_path, engine := Engine())

    (sample,) = await run.collect(rows[3])
    await run.aclose()

    first, last = engine.calls
    seen = [*last["prompt"], *last["answer"]]
    assert sample.sequences[0].tolist() == seen
    begin, middle = len(first["prompt"]), len(last["prompt"])
    between = middle - begin - len(first["answer"])
    assert between > 0, "the tool result stands between the two answers"
    mask = [0] * begin + [1] * len(first["answer"]) + [0] * between + [1] * len(last["answer"])
    assert sample.action_mask[0].tolist() == mask[1:], "OpenRLHF's mask is of the predicted tokens"
    values = [[-0.5 - place for place in range(len(call["answer"]))] for call in (first, last)]
    expected = [*[0.0] * begin, *values[0], *[0.0] * between, *values[1]]
    assert sample.rollout_log_probs[0].tolist() == expected[1:]
    assert sample.rewards.tolist() == sample.scores.tolist() == [1.0]
    assert sample.truncated.tolist() == [False]
    assert sample.info["ng_turns"].tolist() == [2.0]
    assert json.loads(sample.labels[0])["a"] == 3


async def test_the_sampling_parameters_are_those_of_the_trainer_and_stay_as_they_are(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    run = Run(tmp_path, engine := Engine())

    (sample,) = await run.collect(rows[0], temperature=0.7, top_p=0.9, top_k=20, logprobs=None)
    await run.collect(rows[1], max_tokens=200)
    await run.aclose()

    first, last, limited, _ = engine.calls
    assert (first["temperature"], first["top_p"], first["top_k"]) == (0.7, 0.9, 20)
    assert len(first["prompt"]) + first["max_tokens"] == 512
    assert len(last["prompt"]) + last["max_tokens"] == 512
    assert limited["max_tokens"] == 200
    assert sample.rollout_log_probs is None


async def test_an_answer_at_the_limit_is_flagged(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    run = Run(tmp_path, engine := Engine())

    (sample,) = await run.collect(rows[0], max_tokens=10)
    await run.aclose()

    assert sample.truncated.tolist() == [True]
    assert sample.sequences[0].tolist() == [*engine.calls[0]["prompt"], *engine.calls[0]["answer"]]
    assert sample.action_mask.sum() == 10


async def test_a_failed_rollout_has_no_action_and_does_not_move_the_mean_of_the_others(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The first rollout of the group fails in the engine; of the others one is wrong."""
    count = 0

    def answer(prompt: str) -> str:
        nonlocal count
        if "<|im_start|>tool\n" in prompt:
            return solve(prompt)
        count += 1
        if count == 1:
            raise RuntimeError("the engine is broken")
        return "no idea" if count == 2 else solve(prompt)

    run = Run(tmp_path, Engine(answer))
    samples = await run.collect(rows[0], n=4)
    await run.aclose()

    assert sorted(one.info["ng_masked"].item() for one in samples) == [0.0, 0.0, 0.0, 1.0]
    (failed,) = (one for one in samples if one.info["ng_masked"].item())
    kept = [one.rewards.item() for one in samples if one is not failed]
    assert sorted(kept) == [0.0, 1.0, 1.0]
    assert math.isclose(failed.rewards.item(), 2 / 3, rel_tol=1e-6)
    assert failed.action_mask.sum() == 0
    batch = Experience.concat_experiences(samples, pad_token_id=0)
    advantages = advantages_of(batch)
    assert torch.isfinite(advantages).all()
    for place, sample in enumerate(samples):
        actions = advantages[place][batch.action_mask[place].bool()].tolist()
        if sample is failed:
            assert actions == []
        else:
            assert math.isclose(actions[-1], sample.rewards.item() - 2 / 3, rel_tol=1e-5)


async def test_a_group_that_fails_as_a_whole_is_outside_of_the_loss(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    run = Run(tmp_path, Engine(), settings=", settings={'broken': [5]}")

    broken, long = await asyncio.gather(run.collect(rows[5], n=2), run.collect(rows[0], n=2, max_len=8))
    await run.aclose()

    for sample in [*broken, *long]:
        assert sample.info["ng_masked"].tolist() == [1.0]
        assert sample.action_mask.sum() == 0
        assert sample.rewards.tolist() == [0.0]


async def test_the_executor_is_one_of_openrlhf_and_names_a_label_that_is_no_row(tmp_path: Path) -> None:
    run = Run(tmp_path, Engine())

    assert isinstance(run.actor.executor, AgentExecutorBase)
    with pytest.raises(adapter.UsageError, match=r"the label .* expected a task row as JSON text, got '42'"):
        await run.collect({"prompt": "x", "label": "42"})
