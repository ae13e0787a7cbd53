"""TRL's GRPO trainer: its rollout hook and the reward that goes with it.

`GRPOTrainer(rollout_func=...)` passes prompts and nothing else of a row, so `Rollouts.dataset` puts the row's
id into the first message. It wants as many answers as prompts, none of them empty: a rollout that can't be
trained on is one end token outside of the loss, with the reward None, which TRL leaves out of its group's
baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from nemo_gym.training.collected import ROW_ID, CollectedRollout
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import objects_of

REWARD: Final = "ng_reward"
"""The field of the rollouts' rewards, which TRL hands on to reward functions."""


def rollout_func(
    collect: Callable[[list[int]], list[CollectedRollout]], end: int
) -> Callable[[list[Any], Any], dict[str, list[Any]]]:
    """The hook `GRPOTrainer(rollout_func=...)`.

    Args:
        collect: the rollouts of row ids, in their order.
        end: a token that ends an answer.

    Its result has, for N prompts in their order, `prompt_ids`, `completion_ids`, `logprobs` and `env_mask` (1
    for a sampled token), lists of N lists of ints or floats, and `ng_reward`, N floats or None.
    """

    def hook(prompts: list[Any], _trainer: Any) -> dict[str, list[Any]]:
        columns = [_columns(one, end) for one in collect([_row_id(prompt) for prompt in prompts])]
        return {name: [one[name] for one in columns] for name in columns[0]} if columns else {}

    return hook


def reward(
    completions: Sequence[Any], ng_reward: Sequence[float | None] = (), **_: Any
) -> list[float | None]:
    """The reward function that goes with `rollout_func`: the rewards of the rollouts.

    Raises:
        UsageError: the rollouts come from somewhere else.
    """
    if len(ng_reward) != len(completions):
        raise UsageError("trl: this reward needs the rollout_func of the same Rollouts")
    return list(ng_reward)


def _row_id(prompt: Any) -> int:
    messages = objects_of(prompt)
    number = messages[0].get(ROW_ID) if messages else None
    if not isinstance(number, int):
        raise UsageError(f"trl: a prompt without {ROW_ID!r}: the data set must be made of Rollouts.dataset()")
    return number


def _columns(rollout: CollectedRollout, end: int) -> dict[str, Any]:
    main = rollout.sequences[0]
    if main.mask is not None or not len(main.completion_ids):
        prompt = main.prompt_ids.tolist() or [end]
        return {
            "prompt_ids": prompt,
            "completion_ids": [end],
            "logprobs": [0.0],
            "env_mask": [0],
            REWARD: None,
        }
    return {
        "prompt_ids": main.prompt_ids.tolist(),
        "completion_ids": main.completion_ids.tolist(),
        "logprobs": main.logprobs.tolist(),
        "env_mask": main.loss_mask.astype(int).tolist(),
        REWARD: rollout.reward,
    }
