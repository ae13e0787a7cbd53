"""What trainers wait for: token sequences of rollouts, the size of a file with tokens, new weights in flight.

    python benchmarks/training.py

Sequences: 10,000 rollouts of 8 turns, 40 prompt tokens and 24 sampled ones each; CPU time of one process.
The plain loop joins ids and masks and checks nothing. Weights: `weight_update.py`, with PyTorch.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import subjects

from nemo_gym.training import sequences
from nemo_gym.wire.items import assistant, user
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout
from nemo_gym.wire.token_packing import pack_row

ROLLOUTS = 10_000
TURNS = 8
PROMPT, SAMPLED = 40, 24
LONG, LONG_PART = 30, 200


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    what: str
    value: str
    aim: str = ""


def measure() -> list[Figure]:
    """Measure everything; a minute, once the environment with PyTorch is installed."""
    return [*_sequences(), *_file_size(), *_weight_update()]


def markdown(figures: Sequence[Figure]) -> list[str]:
    """The table."""
    lines = ["| what | figure | aim |", "| --- | ---: | ---: |"]
    return lines + [f"| {one.what} | {one.value} | {one.aim} |" for one in figures]


def _sequences() -> list[Figure]:
    one = _rollout(TURNS)
    row = one.to_row()
    packed = pack_row(row)
    return [
        Figure("plain loop, rollouts a second", _rate(lambda: _plain(row))),
        Figure("`sequences` of a rollout, a second", _rate(lambda: sequences(one))),
        Figure("`sequences` of a row of a file, a second", _rate(lambda: sequences(packed))),
    ]


def _file_size() -> list[Figure]:
    long = _rollout(LONG, LONG_PART, LONG_PART)
    items = long.response.output if long.response else []
    texts = [{k: v for k, v in item.items() if "token" not in k and "log" not in k} for item in items]
    log_probs = [-0.125] * LONG_PART * LONG
    least = sum(len(encode(one)) for one in [*texts, sequences(long)[0].ids.tolist(), log_probs])
    whole, once = len(encode(long.to_row())), len(encode(pack_row(long.to_row())))
    what = f"a row of {LONG} turns of {2 * LONG_PART} tokens"
    return [
        Figure(f"{what} in full, by its ids and texts once", f"{whole / least:.2f}×"),
        Figure(f"{what} in a file, by its ids and texts once", f"{once / least:.2f}×", "1.3×"),
    ]


def _weight_update() -> list[Figure]:
    try:
        python = subjects.python_with("hf")
    except subjects.Unavailable as reason:
        return [Figure("new weights with 512 rollouts in flight", f"not measured: {reason}")]
    command = [str(python), str(subjects.HERE / "weight_update.py")]
    found = json.loads(subprocess.check_output(command))
    what = f"{found['rollouts']} rollouts in flight, a model of {found['parameters'] / 1e6:.0f} M parameters"
    return [
        Figure(f"{what}: time between two tokens, median", f"{found['gap_ms']:.0f} ms"),
        Figure(
            f"the exchange of its weights, longest of {found['updates']}",
            f"{found['longest_swap_ms']:.1f} ms",
        ),
        Figure(
            "with the copy before it, the most that a token is late",
            f"{found['longest_stall_ms']:.0f} ms",
            "50 ms",
        ),
    ]


def _rollout(turns: int, prompt: int = PROMPT, sampled: int = SAMPLED) -> Rollout:
    """A rollout whose calls continue each other."""
    items: list[Any] = []
    seen: list[int] = []
    for turn in range(turns):
        before = [*seen, *range(turn, turn + prompt)]
        ids = [*range(1_000 + turn, 1_000 + turn + sampled)]
        tokens = {"prompt_token_ids": before, "generation_token_ids": ids}
        items += [
            {**assistant("word " * sampled), **tokens, "generation_log_probs": [-0.125] * sampled},
            user("go on"),
        ]
        seen = [*before, *ids]
    row = {"_ng_task_index": 0, "_ng_rollout_index": 0, "responses_create_params": {"input": [user("begin")]}}
    return Rollout.scored(row, Response.of(items), Reward(1.0))


def _plain(row: dict[str, Any]) -> tuple[list[int], list[int], list[float]]:
    """Ids, mask and log-probabilities, unchecked."""
    ids: list[int] = []
    mask: list[int] = []
    log_probs: list[float] = []
    for item in row["response"]["output"]:
        if "generation_token_ids" in item:
            added = item["prompt_token_ids"][len(ids) :]
            sampled = item["generation_token_ids"]
            ids += added + sampled
            mask += [0] * len(added) + [1] * len(sampled)
            log_probs += [0.0] * len(added) + item["generation_log_probs"]
    return ids, mask, log_probs


def _rate(work: Callable[[], object]) -> str:
    start = time.process_time()
    for _ in range(ROLLOUTS):
        work()
    return f"{ROLLOUTS / (time.process_time() - start):,.0f}"


if __name__ == "__main__":
    print("\n".join(markdown(measure())))
