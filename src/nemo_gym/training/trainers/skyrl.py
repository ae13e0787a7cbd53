"""SkyRL's trainer: a generator of rollouts that asks SkyRL's own inference engines.

`BasePPOExp.get_generator` returns a `SkyRLGenerator` instead of SkyRL's own one. The trainer wants a number
as the reward of every row. A rollout that can't be trained on has a loss mask of zeros and, so that it moves
no baseline, the mean reward of its group, or of the batch if its whole group failed; never a zero of its own.
The fully asynchronous trainer asks for one group at a time, so there it is the mean of the batch before.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Self
from uuid import uuid4

from nemo_gym.models.policies import Policy, Sampled, Sampling, Tokenizer
from nemo_gym.models.policies.model import PolicyModel
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.sequences import TokenSequence, sequences
from nemo_gym.training.single_rollouts import SingleRollouts
from nemo_gym.training.trainers.task_rows import row_of
from nemo_gym.wire import keys
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import ModelError, UsageError
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.task import Row

TASK: Final = "task"
"""The column of a data set that has the whole task, as JSON text."""
WHERE: Final = f"skyrl: the column {TASK!r} of the data set, which dataset_rows() makes"


def dataset_rows(tasks: Iterable[Row], env_class: str = "nemo_gym") -> list[dict[str, Any]]:
    """Tasks, such as those of `Rollouts.own_tasks`, as rows of a SkyRL data set: `prompt`, `env_class` and
    `task`. Write them to a Parquet or JSON file."""
    return [
        {
            "prompt": chat_request(task[keys.PARAMS])["messages"] or [{"role": "user", "content": ""}],
            "env_class": env_class,
            TASK: encode(task).decode(),
        }
        for task in tasks
    ]


class SkyRLGenerator:
    """A `GeneratorInterface` of SkyRL.

    It opens the environment at the first batch, in the event loop of the trainer.

    Args:
        environment: as of `Rollouts`.
        tokenizer: the trainer's.
        client: the trainer's `InferenceEngineInterface`.
        context: the most tokens of a prompt and its answer together; None is no limit.
        step_wise: give a row for each part of a rollout whose prompt doesn't continue the tokens before it
            (`generator.step_wise_trajectories`), instead of masking such a rollout.
        masks_truncated: leave rollouts that a limit cut off out of the loss; their rewards count.
        model_name: the name of the policy at the engines; None is the client's own.
        template_arguments: further arguments of the chat template.
        options: of `Rollouts`, such as `settings`, `max_steps` and `concurrency`.
    """

    def __init__(
        self,
        environment: Any,
        tokenizer: Tokenizer,
        client: Any,
        *,
        context: int | None = None,
        step_wise: bool = False,
        masks_truncated: bool = False,
        model_name: str | None = None,
        template_arguments: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        end = tokenizer.eos_token_id
        self._end_ids: list[int] = [end] if isinstance(end, int) else list(end)
        self._tokenizer = tokenizer
        self._client = client
        self._context = context
        self._step_wise = step_wise
        self._masks_truncated = masks_truncated
        self._model_name = model_name
        self._template_arguments = template_arguments
        self._rollouts = SingleRollouts(environment=environment, **options)
        self._mean_reward: float | None = None

    @classmethod
    def of(cls, config: Any, environment: Any, tokenizer: Tokenizer, client: Any, **options: Any) -> Self:
        """The generator with the settings of `cfg.generator` of SkyRL; `options` win over them.

        Raises:
            UsageError: a setting can't be honoured.
        """
        if config.zero_reward_on_non_stop:
            raise UsageError("skyrl: zero_reward_on_non_stop can't be honoured; apply_overlong_filtering can")
        longest: int | None = config.max_input_length
        settings: dict[str, Any] = {
            "max_steps": config.max_turns,
            "context": longest and longest + config.sampling_params.max_generate_length,
            "step_wise": config.step_wise_trajectories,
            "masks_truncated": config.apply_overlong_filtering,
            "template_arguments": dict(config.chat_template_kwargs),
        }
        return cls(environment, tokenizer, client, **{**settings, **options})

    async def generate(self, input_batch: Mapping[str, Any], disable_tqdm: bool = False) -> dict[str, Any]:
        """The rollouts of a `GeneratorInput` as a `GeneratorOutput`, in input order.

        Raises:
            UsageError: a task doesn't fit the environment.
            ModelError: no rollout of several groups, or of the first one, can be trained on.
        """
        tasks = [row_of(extras.get(TASK), WHERE) for extras in input_batch["env_extras"]]
        (await self._rollouts.opened()).check(tasks)
        sampling = dict(input_batch.get("sampling_params") or {})
        ids = input_batch.get("trajectory_ids") or [None] * len(tasks)
        rollouts = await asyncio.gather(
            *(self._collect(task, sampling, one) for task, one in zip(tasks, ids, strict=True))
        )
        return self._output(rollouts, ids)

    async def aclose(self) -> None:
        """Close the environment. The end of the trainer's event loop does it too."""
        await self._rollouts.aclose()

    async def _collect(self, task: Row, sampling: dict[str, Any], id: Any) -> CollectedRollout:
        session = uuid4().hex if id is None else f"{id.instance_id}_{id.repetition_id}"
        policy = _EnginePolicy(self._tokenizer, self._client, sampling, session, self._model_name)
        policy.context = self._context
        model = PolicyModel(
            policy,
            max_tokens=sampling.get("max_tokens") or _MAX_TOKENS,
            template_arguments=self._template_arguments,
        )
        try:
            return await self._rollouts.collect(task, model)
        finally:
            await self._client.finish_session(session)

    def _output(
        self, rollouts: Sequence[CollectedRollout], ids: Sequence[Any]
    ) -> dict[str, list[Any] | dict[str, float] | None]:
        parts = [
            sequences(rollout, split=True) if self._step_wise else rollout.sequences[:1]
            for rollout in rollouts
        ]
        reasons = [None if any(part.mask is None for part in each) else each[0].mask for each in parts]
        known = [None if reason else one.reward for one, reason in zip(rollouts, reasons, strict=True)]
        groups = [place if id is None else id.instance_id for place, id in enumerate(ids)]
        rewards = neutral_rewards(known, groups, earlier=self._mean_reward)
        self._mean_reward = _mean(rewards)
        rows = [
            self._row(part, rollout, reward=reward if part is each[-1] else 0.0)
            | {"trajectory_ids": id, "is_last_step": part is each[-1]}
            for rollout, each, reward, id in zip(rollouts, parts, rewards, ids, strict=True)
            for part in each
        ]
        output: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        if not self._step_wise:
            output["trajectory_ids"] = output["is_last_step"] = None
        metrics = import_module("skyrl.train.generators.utils").get_rollout_metrics(
            output["response_ids"],
            output["rewards"],
            loss_masks=output["loss_masks"],
            trajectory_completion_times=output["trajectory_generation_times"],
        )
        return {
            **output,
            "rollout_expert_indices": None,
            "rollout_metrics": metrics | _metrics(rollouts, reasons),
        }

    def _row(self, part: TokenSequence, rollout: CollectedRollout, *, reward: float) -> dict[str, Any]:
        """One row of the output; where there are no tokens it is one end token outside of the loss."""
        end = [min(self._end_ids)]
        ids = part.completion_ids.tolist() or end
        masked = part.mask is not None or not len(part.completion_ids)
        masked = masked or (self._masks_truncated and part.truncated)
        return {
            "prompt_token_ids": part.prompt_ids.tolist() or end,
            "response_ids": ids,
            "rewards": reward,
            "loss_masks": [0] * len(ids) if masked else part.loss_mask.astype(int).tolist(),
            "stop_reasons": "error" if part.mask else "length" if part.truncated else "stop",
            "rollout_logprobs": part.logprobs.tolist() or [0.0],
            "trajectory_generation_times": rollout.timing.get("total_s", 0.0),
            "env_metrics": dict(rollout.components or {}),
        }


_MAX_TOKENS: Final = 1024


def neutral_rewards(
    rewards: Sequence[float | None], groups: Sequence[Any], *, earlier: float | None = None
) -> list[float]:
    """The rewards with the mean of the others of its group in the place of each None, or of all others if its
    group has none.

    Args:
        earlier: stands for the rewards of a single group that has none.

    Raises:
        ModelError: there is no reward at all.
    """
    known: dict[Any, list[float]] = {}
    for reward, group in zip(rewards, groups, strict=True):
        if reward is not None:
            known.setdefault(group, []).append(reward)
    every = [reward for each in known.values() for reward in each]
    if not every:
        if earlier is None or len(set(groups)) > 1:
            raise ModelError(f"skyrl: none of the {len(rewards)} rollouts of the batch can be trained on")
        every = [earlier]
    return [
        reward if reward is not None else _mean(known.get(group) or every)
        for reward, group in zip(rewards, groups, strict=True)
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _metrics(rollouts: Sequence[CollectedRollout], reasons: Sequence[str | None]) -> dict[str, float]:
    """How many rollouts can't be trained on, by reason, and the means of the reward's components."""
    metrics: dict[str, float] = {"nemo_gym/untrainable": sum(reason is not None for reason in reasons)}
    for reason, number in Counter(filter(None, reasons)).items():
        metrics[f"nemo_gym/untrainable/{reason}"] = number
    for name in {name: None for rollout in rollouts for name in rollout.components or {}}:
        values = [one.components[name] for one in rollouts if one.components and name in one.components]
        metrics[f"environment/{name}"] = _mean(values)
    return metrics


class _EnginePolicy(Policy):
    """SkyRL's engines, with the sampling of a batch; the limit of an answer is the only other one."""

    def __init__(
        self, tokenizer: Tokenizer, client: Any, sampling: dict[str, Any], session: str, name: str | None
    ) -> None:
        super().__init__(tokenizer)
        self._client = client
        self._sampling = sampling
        self._session = session
        self._name = name

    async def sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        most = min(sampling.max_tokens, self._sampling.get("max_tokens") or sampling.max_tokens)
        params = {**self._sampling, "max_tokens": most}
        if params.get("logprobs") is None:
            params["logprobs"] = 1
        version = getattr(self._client, "weight_version", None)
        output: dict[str, Any] = await self._client.generate(
            {"prompt_token_ids": [prompt], "sampling_params": params, "session_ids": [self._session]},
            model=self._name,
        )
        (ids,), (reason,) = output["response_ids"], output["stop_reasons"]
        (logprobs,) = output.get("response_logprobs") or [None]
        if logprobs is None or reason not in ("stop", "length"):
            given = "no" if logprobs is None else len(logprobs)
            raise ModelError(f"an engine stopped with {reason!r} and gave {given} log-probabilities")
        return Sampled(ids=ids, logprobs=logprobs, ended=reason == "stop", version=version)
