"""OpenRLHF: an agent executor whose rollouts are those of an environment of this package.

`--train.agent_func_path` names a file such as this one:

```python
from nemo_gym.training.trainers.openrlhf import agent_executor

AgentExecutor = agent_executor("workplace_assistant", max_steps=8)
```

The data set (`write_dataset`) carries the task row as its label. OpenRLHF wants a reward for each rollout.
One that can't be trained on has no action, so no token of it is in the loss, and it has the mean reward of
the other rollouts of its prompt, so it does not move their mean. `ng_masked` among the logs counts it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from nemo_gym.models.policies.base import Policy, Sampled, Sampling
from nemo_gym.models.policies.model import PolicyModel
from nemo_gym.runs.paths import whole_file
from nemo_gym.training.sequences import TokenSequence
from nemo_gym.training.single_rollouts import SingleRollouts
from nemo_gym.training.trainers.task_rows import row_of, tasks_with_prompts
from nemo_gym.wire.errors import ModelError, UsageError
from nemo_gym.wire.jsonl import encode

logger = logging.getLogger(__name__)


def agent_executor(environment: str, **arguments: Any) -> Any:
    """The class `AgentExecutor` for an environment.

    Args:
        arguments: those of `Rollouts`: `settings`, `agent`, `max_steps` ...

    Raises:
        UsageError: OpenRLHF is not installed.
    """
    try:
        base: Any = import_module("openrlhf.utils.agent").AgentExecutorBase
    except ImportError as error:
        raise UsageError(f"OpenRLHF's agents can't be imported ({error}): pip install openrlhf") from None

    class AgentExecutor(base):
        """Collects the rollouts of one engine."""

        def __init__(self) -> None:
            self.rollouts = SingleRollouts(environment=environment, **arguments)
            self._groups: dict[tuple[str, str], _Group] = {}

        async def execute(
            self,
            prompt: str,
            label: str,
            sampling_params: Any,
            max_length: int,
            hf_tokenizer: Any,
            llm_engine: Any,
            images: Any = None,
        ) -> dict[str, Any]:
            row = row_of(label, "openrlhf: the label (--data.label_key)")
            policy = EnginePolicy(llm_engine, hf_tokenizer, sampling_params, max_length)
            most = sampling_params.max_tokens or max_length
            with _member(self._groups, (prompt, label)) as group:
                rollout = await self.rollouts.collect(row, PolicyModel(policy, max_tokens=most))
                main = rollout.sequences[0]
                reason = main.mask or ("no_tokens" if not len(main.completion_ids) else None)
                if reason is None and rollout.reward is not None:
                    group.rewards.append(rollout.reward)
            reward = rollout.reward
            if reason is not None:
                why = rollout.failure or rollout.outcome
                logger.warning("a rollout that can't be trained on: %s: %s", reason, why)
                reward = await group.mean()
            return {
                "prompt": prompt,
                "label": label,
                "images": images,
                "mm_train_inputs": None,
                "reward": reward,
                "scores": reward,
                **_tokens(main, reason, policy, with_logprobs=sampling_params.logprobs is not None),
                "truncated": main.truncated,
                "extra_logs": {"ng_masked": float(bool(reason)), "ng_turns": float(len(main.turns))},
            }

    return AgentExecutor


def write_dataset(
    path: Path | str,
    environment: str,
    *,
    file: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    split: str = "train",
    n: int | None = None,
) -> int:
    """Write a data set for OpenRLHF as JSONL; returns the number of its rows. It goes with
    `--data.input_key input --data.label_key label --data.apply_chat_template`.

    Args:
        file: a JSONL file of tasks or of rollouts; None takes the tasks of the environment itself.

    Raises:
        UsageError: a task doesn't fit the environment, or there is none.
    """
    tasks = tasks_with_prompts(environment, file=file, settings=settings, split=split, n=n)
    with whole_file(Path(path)) as output:
        for messages, row in tasks:
            output.write(encode({"input": messages, "label": row, "datasource": environment}) + b"\n")
    return len(tasks)


class EnginePolicy(Policy):
    """One rollout's access to an engine of OpenRLHF, with the sampling parameters of the trainer; of a task,
    only the most tokens of an answer counts.

    Args:
        engine: has `generate(token_ids, sampling_params)`.
        sampling_params: vLLM's; it stays unchanged, because all rollouts of a prompt share it.
        max_length: the most tokens of a rollout.
    """

    def __init__(self, engine: Any, tokenizer: Any, sampling_params: Any, max_length: int) -> None:
        super().__init__(tokenizer)
        self.context = max_length
        self._engine = engine
        self._params = sampling_params

    async def sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        params = deepcopy(self._params)
        params.max_tokens = min(sampling.max_tokens, params.max_tokens or sampling.max_tokens)
        answer = (await self._engine.generate(prompt, params)).outputs[0]
        if answer.finish_reason == "abort":
            raise ModelError(f"the engine aborted the answer after {len(answer.token_ids)} tokens")
        ids = [int(token) for token in answer.token_ids]
        logprobs = [0.0] * len(ids)
        if params.logprobs is not None:
            logprobs = [options[token].logprob for token, options in zip(ids, answer.logprobs, strict=True)]
        return Sampled(ids=ids, logprobs=logprobs, ended=answer.finish_reason == "stop")


class _Group:
    """The rollouts of one prompt that run at the same time."""

    def __init__(self) -> None:
        self.running = 0
        self.rewards: list[float] = []
        self.ended = asyncio.Event()

    async def mean(self) -> float:
        """The mean reward of those that can be trained on, once all have ended; 0 if there is none, and then
        the whole group is outside of the loss."""
        await self.ended.wait()
        return fmean(self.rewards) if self.rewards else 0.0


@contextmanager
def _member(groups: dict[tuple[str, str], _Group], key: tuple[str, str]) -> Generator[_Group]:
    """The group of a prompt, which ends when no rollout of it runs any more."""
    group = groups.setdefault(key, _Group())
    group.running += 1
    try:
        yield group
    finally:
        group.running -= 1
        if not group.running:
            del groups[key]
            group.ended.set()


def _tokens(
    main: TokenSequence, reason: str | None, policy: EnginePolicy, *, with_logprobs: bool
) -> dict[str, Any]:
    ids, begin = main.ids.tolist(), len(main.prompt_ids)
    logprobs = [0.0] * begin + main.logprobs.tolist()
    edges = np.flatnonzero(np.diff(np.concatenate(([0], main.loss_mask.astype(int), [0])))) + begin
    ranges = [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
    if reason is not None:
        end = min(policy.end_ids)
        ids, ranges = [*(main.prompt_ids.tolist() or [end]), end], []
        logprobs = [0.0] * len(ids)
    return {
        "observation_tokens": ids,
        "action_ranges": ranges,
        "rollout_log_probs": logprobs if with_logprobs else None,
    }
