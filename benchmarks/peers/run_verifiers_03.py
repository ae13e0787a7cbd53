"""verifiers 0.3 in one process: its classic environments, `evaluate` with results saved to disk.

Favourable choices: no log output, one rubric function, independent scoring (no group barrier), a
long connect timeout, uvloop. Connection pool and retries are its own defaults.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import uvloop
import verifiers.legacy as vf
from datasets import Dataset, disable_progress_bars
from verifiers.legacy.types import ClientConfig

TOOL_RESULT = "18 degrees, light wind from the west, no rain"


async def get_weather(city: str) -> str:
    """Return today's weather in a city.

    Args:
        city: Name of the city.
    """
    return TOOL_RESULT


async def exact(completion: vf.Messages, answer: str) -> float:
    """1.0 when the line after 'Final answer:' is the answer."""
    text = str(completion[-1].content)
    return float(text.rpartition("Final answer:")[2].strip() == answer)


async def evaluate(args: argparse.Namespace) -> dict[str, int]:
    rows = [json.loads(line) for line in args.tasks.read_text().splitlines()]
    dataset = Dataset.from_list(
        [{"prompt": [{"role": "user", "content": row["prompt"]}], "answer": row["answer"]} for row in rows]
    )
    rubric = vf.Rubric(funcs=[exact])
    if args.kind == "tool":
        env = vf.ToolEnv(tools=[get_weather], eval_dataset=dataset, rubric=rubric, max_turns=4)
    else:
        env = vf.SingleTurnEnv(eval_dataset=dataset, rubric=rubric)
    results = await env.evaluate(
        client=ClientConfig(
            api_base_url=args.url, api_key_var="OPENAI_API_KEY", connect_timeout=120.0, timeout=120.0
        ),
        model="bench-model",
        sampling_args={"temperature": 1.0, "max_tokens": 1024},
        max_concurrent=args.concurrency,
        independent_scoring=True,
        save_results=True,
        results_path=args.out / "results",
        on_start=lambda *_: None,
        on_progress=lambda *_: None,
    )
    outputs = results["outputs"]
    scored = [output for output in outputs if output.get("error") is None]
    return {"done": len(scored), "right": sum(output["reward"] == 1.0 for output in scored)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--kind", choices=["single", "tool"], required=True)
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    args = parser.parse_args()
    logging.disable(logging.ERROR)
    disable_progress_bars()
    summary = uvloop.run(evaluate(args))
    (args.out / "summary.json").write_text(json.dumps(summary))


if __name__ == "__main__":
    main()
