"""A run of a tool environment, for the loaders of trainers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nemo_gym
from nemo_gym.runs.result import Result
from nemo_gym.wire.rollout import Rollout


def write_tool_run(folder: Path, tasks: int = 20) -> Path:
    """The rollouts file of `workplace_assistant`, played right and wrong in turn."""
    run = folder / "run.jsonl"
    rollouts = [*asyncio.run(_collect("oracle", tasks)), *asyncio.run(_collect("random", tasks))]
    for place, rollout in enumerate(rollouts):
        rollout.row["_ng_rollout_index"] = place // tasks
    run.write_bytes(b"".join(Result.of(one).line for one in rollouts if one.failure is None))
    return run


async def _collect(model: str, tasks: int) -> list[Rollout]:
    return [one async for one in nemo_gym.collect("workplace_assistant", model, limit=tasks, seed=0)]
