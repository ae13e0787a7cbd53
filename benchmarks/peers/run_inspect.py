"""Inspect in one process, through `eval`, with its log written as usual.

Favourable choices: no display, no live event buffer, no control or client servers, raw model calls
not logged, no sandbox, as many connections and samples at once as the concurrency.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import CORRECT, match
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import Tool, tool

TOOL_RESULT = "18 degrees, light wind from the west, no rain"


@tool
def get_weather() -> Tool:
    async def execute(city: str) -> str:
        """Return today's weather in a city.

        Args:
            city: Name of the city.
        """
        return TOOL_RESULT

    return execute


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--kind", choices=["single", "tool"], required=True)
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.tasks.read_text().splitlines()]
    task = Task(
        dataset=[Sample(input=row["prompt"], target=row["answer"]) for row in rows],
        solver=[use_tools(get_weather()), generate()] if args.kind == "tool" else [generate()],
        scorer=match(location="end"),
        name="bench",
    )
    model = get_model(
        "openai-api/bench/bench-model", base_url=args.url, api_key="not-a-key", stream=False, memoize=False
    )
    log = eval(
        task,
        model=model,
        display="none",
        acp_server=False,
        ctl_server=False,
        log_dir=str(args.out / "logs"),
        log_level="error",
        log_level_transcript="error",
        log_realtime=False,
        log_model_api=False,
        log_images=False,
        score_display=False,
        fail_on_error=False,
        max_samples=args.concurrency,
        max_connections=args.concurrency,
        temperature=1.0,
        max_tokens=1024,
    )[0]
    if log.status != "success":
        raise SystemExit(f"evaluation {log.status}: {log.error.message if log.error else ''}")
    samples = log.samples or []
    scored = [sample for sample in samples if sample.scores and sample.error is None]
    right = sum(sample.scores["match"].value == CORRECT for sample in scored if sample.scores)
    (args.out / "summary.json").write_text(json.dumps({"done": len(scored), "right": right}))


if __name__ == "__main__":
    main()
