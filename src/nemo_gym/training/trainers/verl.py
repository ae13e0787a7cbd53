"""verl: an agent loop whose rollouts are those of an environment of this package.

verl starts one agent loop per rollout. `agent_loop_config_path` names this one:

```yaml
- name: nemo_gym
  _target_: nemo_gym.training.trainers.verl.agent_loop
  rollouts: {environment: workplace_assistant, max_steps: 8}
```

The data set (`write_dataset`) carries the task row. A rollout that can't be trained on is an error for verl's
default trainers: the synchronous one leaves it out of its group, the asynchronous ones replace the group. The
older trainer (`use_v1=False`) would stop at an error, and it wants a reward for each rollout: there it is one
token outside of the loss, with the reward 0, which moves the mean of its group, and a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

from nemo_gym.models.policies.base import Policy, Sampled, Sampling
from nemo_gym.models.policies.model import PolicyModel
from nemo_gym.runs.paths import whole_file
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.single_rollouts import SingleRollouts
from nemo_gym.training.trainers.task_rows import row_of, tasks_with_prompts
from nemo_gym.wire import keys
from nemo_gym.wire.errors import ModelError, ModelRejected, RolloutError, UsageError
from nemo_gym.wire.jsonl import encode

ROW: Final = "ng_row"
"""The column of the data set with the task row as JSON text."""
logger = logging.getLogger(__name__)


def agent_loop(rollouts: Mapping[str, Any], **of_verl: Any) -> Any:
    """The agent loop of one rollout, an `AgentLoopBase` of verl.

    Args:
        rollouts: arguments of `Rollouts`: `environment`, `settings`, `agent`, `max_steps` ...
        of_verl: arguments of `AgentLoopBase`, which verl adds.

    Raises:
        UsageError: verl is not installed.
    """
    return _loop_class()(single_rollouts(encode(_plain(rollouts))), **of_verl)


@cache
def single_rollouts(arguments: bytes) -> SingleRollouts:
    """What all agent loops of this process with these arguments (a JSON object) collect with."""
    return SingleRollouts(**msgspec.json.decode(arguments))


def write_dataset(
    path: Path | str,
    environment: str,
    *,
    file: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    split: str = "train",
    n: int | None = None,
    agent_name: str = "nemo_gym",
) -> int:
    """Write a data set for verl as Parquet; returns the number of its rows.

    Args:
        file: a JSONL file of tasks or of rollouts; None takes the tasks of the environment itself.
        agent_name: the name of the agent loop in the file of `agent_loop_config_path`.

    Raises:
        UsageError: a task doesn't fit the environment, there is none, or pyarrow is not installed.
    """
    try:
        pa: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("parquet needs pyarrow: pip install 'nemo-gym[training]'") from None
    tasks = tasks_with_prompts(environment, file=file, settings=settings, split=split, n=n)
    rows = [
        {
            "data_source": environment,
            "agent_name": agent_name,
            "prompt": messages,
            "reward_model": {"style": "rule", "ground_truth": ""},
            "extra_info": {"index": index},
            ROW: row,
        }
        for index, (messages, row) in enumerate(tasks)
    ]
    with whole_file(Path(path)) as output:
        parquet.write_table(pa.Table.from_pylist(rows), output)
    return len(rows)


class ServerPolicy(Policy):
    """One rollout's access to verl's inference servers. All of its calls go to the same server, because of
    the prefix cache, with the sampling parameters of the trainer; of a task, only the most tokens of an
    answer counts.

    Args:
        loop: the agent loop.
        sampling_params: as verl passes them to the loop.
        priority: of the rollout among all of the batch, as verl passes it to the loop.
    """

    def __init__(self, loop: Any, sampling_params: Mapping[str, Any], priority: int = 0) -> None:
        super().__init__(loop.tokenizer)
        config = loop.rollout_config
        self.prompt_length, self.response_length = int(config.prompt_length), int(config.response_length)
        self.context = self.prompt_length + self.response_length
        self.steps: list[int] = []
        """The first and the last global step of the weights of each answer."""
        self.preempted = -1
        self._max_length = config.get("max_model_len") or self.context
        self._servers = loop.server_manager
        self._params = dict(sampling_params)
        self._priority = priority
        self._request_id = f"det-{priority}" if config.get("full_determinism") else uuid4().hex
        self._opened = False

    async def sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        if not self._opened:
            self._open(len(prompt))
        most = min(sampling.max_tokens, (self.context or 0) - len(prompt))
        output = await self._servers.generate(
            self._request_id,
            prompt_ids=prompt,
            sampling_params={**self._params, "max_tokens": most},
            priority=self._priority,
        )
        ids: list[int] = output.token_ids
        if output.stop_reason in ("aborted", "abort"):
            raise ModelError(f"verl's server aborted the answer after {len(ids)} tokens")
        if output.num_preempted is not None:
            self.preempted = max(self.preempted, 0) + output.num_preempted
        steps = [output.extra_fields.get(f"{name}_global_steps") for name in ("min", "max")]
        self.steps += [step for step in steps if step is not None]
        ended = bool(ids) and output.stop_reason != "length" and (ids[-1] in self.end_ids or len(ids) < most)
        with_logprobs = self._params.get("logprobs")
        return Sampled(
            ids=ids,
            logprobs=(output.log_probs or []) if with_logprobs else [0.0] * len(ids),
            ended=ended,
            version=steps[0],
        )

    def _open(self, length: int) -> None:
        """Fix the lengths, now that the prompt of the rollout is known."""
        longest = min(self.prompt_length, self._max_length - 1)
        if length > longest:
            raise ModelRejected(f"the prompt has {length} tokens, more than rollout.prompt_length {longest}")
        self.context = min(length + self.response_length, self._max_length)
        self._opened = True


@cache
def _loop_class() -> Any:
    try:
        library: Any = import_module("verl.experimental.agent_loop.agent_loop")
    except ImportError as error:
        raise UsageError(f"verl's agent loop can't be imported ({error}): pip install verl") from None
    base: Any = library.AgentLoopBase

    class GymAgentLoop(base):
        """Collects one rollout."""

        def __init__(self, rollouts: SingleRollouts, **of_verl: Any) -> None:
            base.__init__(self, **of_verl)
            self.rollouts = rollouts

        async def run(self, sampling_params: dict[str, Any], **fields: Any) -> Any:
            row = row_of(fields.get(ROW), f"verl: the column {ROW!r} of the data set")
            policy = ServerPolicy(self, sampling_params, int(fields.get("priority") or 0))
            model = PolicyModel(
                policy,
                max_tokens=policy.response_length,
                template_arguments=_plain(self.apply_chat_template_kwargs),
            )
            rollout = await self.rollouts.collect(row, model)
            output = _output(rollout, policy, with_logprobs=bool(sampling_params.get("logprobs")))
            if (reason := output["extra_fields"]["ng_mask"]) is not None:
                message = (
                    f"a rollout that can't be trained on: {reason}: {rollout.failure or rollout.outcome}"
                )
                if "session_id" in fields:  # of the default trainer alone
                    raise RolloutError(message)
                logger.warning(message)
            return library.AgentLoopOutput(**output)

    return GymAgentLoop


def _output(rollout: CollectedRollout, policy: ServerPolicy, *, with_logprobs: bool) -> dict[str, Any]:
    main = rollout.sequences[0]
    prompt, response = main.prompt_ids.tolist(), main.completion_ids.tolist()
    mask, logprobs = main.loss_mask.astype(int).tolist(), main.logprobs.tolist()
    reason = main.mask or ("no_tokens" if not response else None)
    if len(prompt) > policy.prompt_length or len(response) > policy.response_length:
        reason = reason or "too_long"
    if reason is not None:
        end = min(policy.end_ids)
        prompt = prompt[-policy.prompt_length :] or [end]
        response, mask, logprobs = [end], [0], [0.0]
    timing = rollout.timing
    return {
        "prompt_ids": prompt,
        "response_ids": response,
        "response_mask": mask,
        "response_logprobs": logprobs if with_logprobs else None,
        "reward_score": 0.0 if reason else rollout.reward,
        "num_turns": 2 * len(main.turns),
        "metrics": {
            "generate_sequences": timing.get("model_s", 0.0),
            "tool_calls": timing.get("tool_s", 0.0),
            "compute_score": timing.get("verify_s", 0.0),
            "num_preempted": policy.preempted,
        },
        "extra_fields": {
            "min_global_steps": min(policy.steps, default=None),
            "max_global_steps": max(policy.steps, default=None),
            "turn_scores": [] if main.step_rewards is None else main.step_rewards.tolist(),
            "tool_rewards": [],
            "reward_extra_info": {"ng_masked": float(bool(reason)), "ng_truncated": float(main.truncated)},
            "ng_mask": reason,
            keys.OUTCOME: rollout.outcome,
        },
    }


def _plain(value: Any) -> Any:
    """Plain lists and dicts of a value of OmegaConf."""
    if type(value).__module__.startswith("omegaconf."):
        return import_module("omegaconf").OmegaConf.to_container(value, resolve=True)
    return value
