"""Random trajectories as model servers and agents deliver them, whole and corrupted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from nemo_gym.wire.items import assistant, function_call, function_call_output, user
from tests.support.trajectories import with_tokens

Item = dict[str, Any]
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}]


@dataclass
class Call:
    """One model call: what it saw, what it said, and its tokens."""

    asked: list[Item]
    said: list[Item]
    prompt: list[int]
    sampled: list[int]
    tools: list[Any] = field(default_factory=lambda: TOOLS)


def conversation(rng: Random, *, task: str, first: int = 0) -> list[Call]:
    """Calls that continue each other: answers, thoughts, one or several tool calls, users and tools between.

    Args:
        first: the least token id, so that two conversations have no token in common.
    """
    calls: list[Call] = []
    asked: list[Item] = [user(task)]
    seen: list[int] = []
    turns = rng.randint(1, 6)
    for turn in range(turns):
        prompt = [*seen, *_ids(rng, first)]
        sampled = _ids(rng, first)
        said, outputs = _answer(rng, f"{task} {turn}", last=turn == turns - 1)
        calls.append(Call(list(asked), said, prompt, sampled))
        asked += [*said, *outputs]
        seen = [*prompt, *sampled]
    return calls


def output_of(calls: list[Call], rng: Random) -> list[Item]:
    """The output of a response: every call's items with its tokens, and the input between them."""
    experts = rng.random() < 0.2
    items: list[Item] = []
    for place, call in enumerate(calls):
        more = {"routed_experts": [[[1]]] * (len(call.prompt) + len(call.sampled))} if experts else {}
        items += [*call.said[:-1], with_tokens(call.said[-1], call.prompt, call.sampled, **more)]
        if place + 1 < len(calls):
            items += calls[place + 1].asked[len(call.asked) + len(call.said) :]
    return items


def _answer(rng: Random, text: str, *, last: bool) -> tuple[list[Item], list[Item]]:
    """The items of one call, and the input that follows them."""
    thought = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": f"hm {text}"}]}
    said: list[Item] = [thought] if rng.random() < 0.3 else []
    if last or rng.random() < 0.3:
        return [*said, assistant(text)], [user(f"and {text}?")]
    if rng.random() < 0.3:
        said.append(assistant(f"I look: {text}"))
    names = [f"{text} {number}" for number in range(rng.choice((1, 1, 2, 3)))]
    said += [function_call("look", "{}", call_id=name) for name in names]
    return said, [function_call_output(name, f"seen by {name}") for name in names]


def _ids(rng: Random, first: int) -> list[int]:
    return [first + rng.randrange(1000) for _ in range(rng.randint(1, 6))]


def bearing(items: list[Item]) -> list[Item]:
    """The items that carry tokens."""
    return [item for item in items if item.get("generation_token_ids")]


def _past(items: list[Item], rng: Random) -> list[int] | None:
    """The prompt of a call after the first one, and None where there is none."""
    later = bearing(items)[1:]
    return rng.choice(later)["prompt_token_ids"] if later else None


def _field(name: str, change: Callable[[list[Any], Random], Any]) -> Callable[[list[Item], Random], bool]:
    def corrupt(items: list[Item], rng: Random) -> bool:
        item = rng.choice(bearing(items))
        item[name] = change(item[name], rng)
        return True

    return corrupt


def _one(value: Any) -> Callable[[list[Any], Random], list[Any]]:
    """Another value in the place of one element."""

    def change(values: list[Any], rng: Random) -> list[Any]:
        place = rng.randrange(len(values))
        return [*values[:place], value, *values[place + 1 :]]

    return change


def _changed_past(items: list[Item], rng: Random) -> bool:
    prompt = _past(items, rng)
    if prompt is not None:
        prompt[0] += 1
    return prompt is not None


def _shorter_prompt(items: list[Item], rng: Random) -> bool:
    prompt = _past(items, rng)
    if prompt is not None:
        del prompt[1:]
    return prompt is not None


def _repeated_turn(items: list[Item], rng: Random) -> bool:
    later = bearing(items)[1:]
    if later:
        items.append(dict(rng.choice(bearing(items))))
    return bool(later)


def _lost_call(items: list[Item], rng: Random) -> bool:
    item = rng.choice(bearing(items))
    for name in ("prompt_token_ids", "generation_token_ids", "generation_log_probs", "routed_experts"):
        item.pop(name, None)
    return True


def _foreign_tokens(items: list[Item], rng: Random) -> bool:
    item = rng.choice(bearing(items))
    items.append(with_tokens(user("me too"), item["prompt_token_ids"], [7]))
    return True


def _without(name: str) -> Callable[[list[Item], Random], bool]:
    def corrupt(items: list[Item], rng: Random) -> bool:
        del rng.choice(bearing(items))[name]
        return True

    return corrupt


def _few_experts(items: list[Item], rng: Random) -> bool:
    rng.choice(bearing(items))["routed_experts"] = [[[1]]]
    return True


CORRUPTIONS: dict[str, tuple[Callable[[list[Item], Random], bool], set[str]]] = {
    "a changed token in the past": (_changed_past, {"tokens_not_contiguous"}),
    "a prompt shorter than the past": (_shorter_prompt, {"tokens_not_contiguous"}),
    "a call that is there twice": (_repeated_turn, {"tokens_not_contiguous"}),
    "a call without tokens": (_lost_call, {"no_tokens"}),
    "no log-probabilities": (_without("generation_log_probs"), {"bad_tokens"}),
    "no prompt": (_without("prompt_token_ids"), {"bad_tokens"}),
    "a log-probability that is no number": (_field("generation_log_probs", _one(math.nan)), {"bad_tokens"}),
    "a log-probability above 0": (_field("generation_log_probs", _one(0.5)), {"bad_tokens"}),
    "fewer log-probabilities": (_field("generation_log_probs", lambda old, _: old[1:]), {"bad_tokens"}),
    "more log-probabilities": (_field("generation_log_probs", lambda old, _: [*old, -1.0]), {"bad_tokens"}),
    "a negative id": (_field("generation_token_ids", _one(-1)), {"bad_tokens"}),
    "a negative id in the prompt": (_field("prompt_token_ids", _one(-1)), {"bad_tokens"}),
    "an id that is text": (_field("generation_token_ids", _one("7")), {"bad_tokens"}),
    "an id that no vocabulary has": (_field("generation_token_ids", _one(1 << 40)), {"bad_tokens"}),
    "nothing sampled": (_field("generation_token_ids", lambda *_: []), {"bad_tokens"}),
    "an empty prompt": (_field("prompt_token_ids", lambda *_: []), {"bad_tokens", "tokens_not_contiguous"}),
    "tokens of another's item": (_foreign_tokens, {"bad_tokens"}),
    "experts of too few tokens": (_few_experts, {"bad_tokens"}),
}
"""Ways to break the tokens of an output, each with the reasons that may be given. A function returns whether
the trajectory is one that can be broken in this way."""
