"""Token sequences of rollouts, beside a plain loop; and the size of a file that carries tokens.

    python benchmarks/sequences.py

10,000 rollouts of 8 turns, 40 prompt tokens and 24 sampled ones each. The plain loop joins ids and masks and
checks nothing. CPU time of one process.
"""

from __future__ import annotations

import time
from typing import Any

from nemo_gym.training import sequences
from nemo_gym.wire.items import assistant, user
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout
from nemo_gym.wire.token_packing import pack_row

ROLLOUTS = 10_000
TURNS = 8
PROMPT, SAMPLED = 40, 24
LONG = 30


def rollout(turns: int, prompt: int = PROMPT, sampled: int = SAMPLED) -> Rollout:
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


def plain(row: dict[str, Any]) -> tuple[list[int], list[int], list[float]]:
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


def rate(work: Any) -> float:
    start = time.process_time()
    for _ in range(ROLLOUTS):
        work()
    return ROLLOUTS / (time.process_time() - start)


def main() -> None:
    """Print the table."""
    one = rollout(TURNS)
    row = one.to_row()
    packed = pack_row(row)
    long = rollout(LONG, 200, 200)
    whole, once = len(encode(long.to_row())), len(encode(pack_row(long.to_row())))
    main_branch = sequences(long)[0]
    outputs = long.response.output if long.response else []
    texts = sum(
        len(encode({k: v for k, v in item.items() if "token" not in k and "log" not in k}))
        for item in outputs
    )
    least = texts + len(encode(main_branch.ids.tolist())) + len(encode([-0.125] * 200 * LONG))
    print("| what | a second, or bytes |")
    print("| --- | ---: |")
    print(f"| plain loop | {rate(lambda: plain(row)):,.0f} |")
    print(f"| sequences of a rollout | {rate(lambda: sequences(one)):,.0f} |")
    print(f"| sequences of a packed row | {rate(lambda: sequences(packed)):,.0f} |")
    print(f"| a row of {LONG} turns of 400 tokens, in full | {whole:,} |")
    print(f"| the same in a file | {once:,} |")
    print(f"| its ids and texts once | {least:,} |")


if __name__ == "__main__":
    main()
