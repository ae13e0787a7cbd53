"""The rows of each format.

| Format | A row is | Read by |
|---|---|---|
| `sft` | a conversation with its tools | NeMo AutoModel, Megatron-Bridge, NeMo RL, TRL |
| `openai` | a conversation with a weight on each answer | OpenAI fine-tuning, Axolotl |
| `sharegpt` | a conversation as turns of `human`, `gpt`, `function_call` ... | LLaMA-Factory, Unsloth |
| `dpo` | a context with a better and a worse completion | NeMo RL |
| `dpo_trl` | a prompt, a chosen and a rejected completion | TRL |
| `kto` | a prompt, a completion, and whether it is good | TRL |
| `grpo` | a prompt with all completions, rewards and advantages of a task, and their tokens | offline RL |
| `parquet` | a rollout, as columns of one schema | pandas, `datasets`, pyarrow |
| `atif` | a trajectory, one file each | Data Designer |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import Any, Final, Literal

import msgspec

from nemo_gym.training.exports.conversation import Message
from nemo_gym.training.exports.selection import Example
from nemo_gym.training.sequences import sequences
from nemo_gym.wire import keys
from nemo_gym.wire.json_values import text_of
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.task import named_agent

Row = dict[str, Any]
LossOn = Literal["all", "last"]
"""The answers that are trained on: all of them, or only the last one."""


class FormatOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the formats need to know."""

    run: str = ""
    """The name of the run, for the columns about the origin of a row."""
    loss_on: LossOn = "all"
    min_margin: float = 0.0
    """A pair's rewards differ by more than this."""
    pairs_per_task: int = 1
    threshold: float = 0.5
    """The least reward of a good completion (`kto`)."""


@dataclass(slots=True)
class Formatter:
    """Turns the examples of one task after another into rows.

    Args:
        write: the rows of one task.
    """

    write: Callable[[Formatter, Sequence[Example]], Iterator[Row]]
    options: FormatOptions
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Rollouts and tasks that gave no row, by the reason."""

    def rows(self, group: Sequence[Example]) -> Iterator[Row]:
        """The rows of one task."""
        return self.write(self, group)


def sft(formatter: Formatter, group: Sequence[Example]) -> Iterator[Row]:
    for example in group:
        talk, options = example.conversation, formatter.options
        row: Row = {"messages": talk.messages}
        if talk.tools:
            row["tools"] = talk.tools
        row["loss_mask"] = loss_mask(talk.messages, options.loss_on, start=len(talk.prompt))
        yield {**row, "metadata": origin(example, options.run)}


def openai(formatter: Formatter, group: Sequence[Example]) -> Iterator[Row]:
    for example in group:
        talk = example.conversation
        weights = loss_mask(talk.messages, formatter.options.loss_on, start=len(talk.prompt))
        messages = [
            {**_without_reasoning(message), "weight": weight} if message["role"] == "assistant" else message
            for message, weight in zip(talk.messages, weights, strict=True)
        ]
        yield {"messages": messages, **({"tools": talk.tools} if talk.tools else {})}


def sharegpt(formatter: Formatter, group: Sequence[Example]) -> Iterator[Row]:
    """LLaMA-Factory drops a conversation in which questions and answers don't alternate: one turn has the
    words of an answer and all its calls, and one all results. What comes after the last answer is left out.
    """
    for example in group:
        talk = example.conversation
        first, *rest = talk.messages
        system = first["content"] if first["role"] == "system" else ""
        turns = _turns(rest if system else talk.messages)
        if any(turn["from"] not in _SIDES[place % 2] for place, turn in enumerate(turns)):
            formatter.left_out["not_alternating"] += 1
            continue
        yield {
            "conversations": turns,
            "system": system,
            "tools": encode([tool["function"] for tool in talk.tools]).decode() if talk.tools else "",
            "metadata": origin(example, formatter.options.run),
        }


def dpo(formatter: Formatter, group: Sequence[Example]) -> Iterator[Row]:
    for better, worse in pairs(formatter, group):
        talk = better.conversation
        row: Row = {
            "context": talk.prompt,
            "completions": [
                {"rank": rank, "completion": one.conversation.completion}
                for rank, one in enumerate((better, worse))
            ],
        }
        yield {
            **row,
            **({"tools": talk.tools} if talk.tools else {}),
            **_pair_columns(formatter, better, worse),
        }


def dpo_trl(formatter: Formatter, group: Sequence[Example]) -> Iterator[Row]:
    for better, worse in pairs(formatter, group):
        talk = better.conversation
        row: Row = {
            "prompt": talk.prompt,
            "chosen": talk.completion,
            "rejected": worse.conversation.completion,
        }
        yield {
            **row,
            **({"tools": talk.tools} if talk.tools else {}),
            **_pair_columns(formatter, better, worse),
        }


def kto(formatter: Formatter, group: Sequence[Example]) -> Iterator[Row]:
    for example in group:
        talk = example.conversation
        yield {
            "prompt": talk.prompt,
            "completion": talk.completion,
            "label": example.reward >= formatter.options.threshold,
            **({"tools": talk.tools} if talk.tools else {}),
            "metadata": origin(example, formatter.options.run),
        }


def grpo(formatter: Formatter, group: Sequence[Example]) -> Iterator[Row]:
    """Advantages are (reward - mean) / standard deviation of the group, 0 where all rewards are equal: Shao
    et al., 2024, arXiv:2402.03300, section 4.1."""
    examples = _same_prompt(formatter, group)
    rewards = [one.reward for one in examples]
    mean, deviation = fmean(rewards), pstdev(rewards)
    talk = examples[0].conversation
    tokens = [_tokens(one) for one in examples]
    yield {
        "prompt": talk.prompt,
        **({"tools": talk.tools} if talk.tools else {}),
        "completions": [one.conversation.completion for one in examples],
        "rewards": rewards,
        "advantages": [(reward - mean) / deviation if deviation > 0 else 0.0 for reward in rewards],
        "tokens": tokens if any(tokens) else None,  # pyarrow can't read a list that is null everywhere
        "metadata": [origin(one, formatter.options.run) for one in examples],
    }


FORMATS: Final[dict[str, Callable[[Formatter, Sequence[Example]], Iterator[Row]]]] = {
    "sft": sft,
    "openai": openai,
    "sharegpt": sharegpt,
    "dpo": dpo,
    "dpo_trl": dpo_trl,
    "kto": kto,
    "grpo": grpo,
}
"""The formats whose rows are JSON lines."""


def loss_mask(messages: Sequence[Message], loss_on: LossOn, *, start: int) -> list[int]:
    """For each message 1 if it is trained on: answers from `start` on, all of them or only the last one."""
    places = [place for place, one in enumerate(messages) if place >= start and one["role"] == "assistant"]
    chosen = set(places if loss_on == "all" else places[-1:])
    return [int(place in chosen) for place in range(len(messages))]


def origin(example: Example, run: str) -> Row:
    """The columns that say where a row comes from."""
    rollout = example.rollout
    columns: Row = {
        "run": run,
        "agent": named_agent(rollout.row),
        "task_index": rollout.task_index,
        "rollout_index": rollout.rollout_index,
        "reward": example.reward,
        "outcome": rollout.outcome,
        "model": text_of(rollout.response.model) if rollout.response is not None else "",
    }
    if rollout.components:
        columns["reward_components"] = dict(rollout.components)
    if rollout.row.get(keys.ROLLOUT_ID):
        columns["rollout_id"] = rollout.row[keys.ROLLOUT_ID]
    return columns


def pairs(formatter: Formatter, group: Sequence[Example]) -> Iterator[tuple[Example, Example]]:
    """(better, worse) pairs of a task with the same prompt: the best with the worst, the second best with the
    second worst, and so on, while their rewards differ by more than the least margin."""
    ranked = sorted(_same_prompt(formatter, group), key=lambda one: (-one.reward, one.rollout.rollout_index))
    count = 0
    for better, worse in zip(ranked, reversed(ranked), strict=True):
        margin = better.reward - worse.reward
        if count == formatter.options.pairs_per_task or margin <= max(formatter.options.min_margin, 0.0):
            break
        count += 1
        yield better, worse
    if not count:
        formatter.left_out["task_without_a_pair"] += 1


def _same_prompt(formatter: Formatter, group: Sequence[Example]) -> list[Example]:
    first = group[0].conversation
    alike = [
        one for one in group
        if one.conversation.prompt == first.prompt and one.conversation.tools == first.tools
    ]  # fmt: skip
    formatter.left_out["other_prompt"] += len(group) - len(alike)
    return alike


def _pair_columns(formatter: Formatter, better: Example, worse: Example) -> Row:
    run = formatter.options.run
    return {
        "margin": better.reward - worse.reward,
        "metadata": {"chosen": origin(better, run), "rejected": origin(worse, run)},
    }


def _tokens(example: Example) -> Row | None:
    """The main branch's tokens; None where it has none that a trainer may use."""
    main = sequences(example.rollout)[0]
    if main.mask is not None:
        return None
    return {
        "prompt_ids": main.prompt_ids.tolist(),
        "completion_ids": main.completion_ids.tolist(),
        "loss_mask": main.loss_mask.astype(int).tolist(),
        "logprobs": main.logprobs.tolist(),
        "versions": main.versions.tolist(),
    }


_SIDES: Final = (("human", "observation"), ("gpt", "function_call"))
_NEXT_RESULT: Final = "\n</tool_response>\n<tool_response>\n"
"""Between the results of one turn, as LLaMA-Factory joins those of the OpenAI format."""


def _turns(messages: Sequence[Message]) -> list[Row]:
    turns: list[Row] = []
    for message in messages:
        turn = _turn(message)
        if turn["from"] == "observation" and turns and turns[-1]["from"] == "observation":
            turns[-1]["value"] += _NEXT_RESULT + turn["value"]
        else:
            turns.append(turn)
    while turns[-1]["from"] not in _SIDES[1]:
        turns.pop()
    return turns


def _turn(message: Message) -> Row:
    text = message["content"]
    match message["role"]:
        case "assistant":
            thought = message.get("reasoning_content")
            before = f"<think>{thought}</think>" if thought else ""
            if not (calls := message.get("tool_calls")):
                return {"from": "gpt", "value": before + text}
            values = [{**one["function"], "arguments": _arguments(one)} for one in calls]
            value = encode(values[0] if len(values) == 1 else values).decode()
            if text:
                value = f"{text}<tool_call>\n{value}\n</tool_call>"
            return {"from": "function_call", "value": before + value}
        case "tool":
            return {"from": "observation", "value": text}
        case "system":
            return {"from": "system", "value": text}
        case _:
            return {"from": "human", "value": text}


def _arguments(call: Row) -> Any:
    return msgspec.json.decode(call["function"]["arguments"])


def _without_reasoning(message: Message) -> Message:
    return {name: value for name, value in message.items() if name != "reasoning_content"}
