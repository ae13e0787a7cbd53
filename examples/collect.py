"""Rollouts from Python, without files. Run it: `python examples/collect.py`."""

import asyncio

import nemo_gym as gym


async def main() -> None:
    async for rollout in gym.collect("mcqa", "random", limit=4, num_repeats=2, seed=0):
        print(rollout.task_index, rollout.rollout_index, rollout.reward, rollout.outcome)


if __name__ == "__main__":
    asyncio.run(main())
