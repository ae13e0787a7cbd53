"""verifiers 0.4 through its own evaluation runner, in one process.

Its stock harnesses start a Python process for each rollout, which costs seconds of CPU. Here the
harness runs its loop in the evaluating process, which the library's contract allows: every model
call still goes through its interception server, and the tool is a plain function in the same process.
Favourable choices: no dashboard, no upload, one aiohttp session for all rollouts, uvloop.

The library finds the task set and the harness by importing this file under its own name.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
import verifiers.v1 as vf
from verifiers.v1.cli.eval.runner import run_eval
from verifiers.v1.configs.cli.eval import EvalConfig
from verifiers.v1.runtimes import ProgramResult

__all__ = ["ExactTaskset", "InProcessHarness"]

TOOL_RESULT = "18 degrees, light wind from the west, no rain"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Return today's weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city."}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
MAX_TURNS = 4


class ExactTaskData(vf.TaskData):
    """One row of the tasks file."""

    answer: str


class ExactTask(vf.Task[ExactTaskData, vf.State, vf.TaskConfig]):
    """Right when the line after 'Final answer:' is the answer."""

    @vf.reward
    async def exact(self, trace: vf.Trace) -> float:
        reply = trace.assistant_messages[-1].content
        return float(str(reply).rpartition("Final answer:")[2].strip() == self.data.answer)


class ExactTasksetConfig(vf.TasksetConfig):
    """Where the rows are."""

    path: Path


class ExactTaskset(vf.Taskset[ExactTask, ExactTasksetConfig]):
    """The tasks file."""

    def load(self) -> Iterator[ExactTask]:
        with self.config.path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield ExactTask(ExactTaskData(prompt=row["prompt"], answer=row["answer"]), self.config.task)


class InProcessHarnessConfig(vf.HarnessConfig):
    """Whether to offer the tool."""

    with_tool: bool = False


class InProcessHarness(vf.Harness[InProcessHarnessConfig]):
    """A chat loop with one tool, in this process."""

    EXECUTES_CODE = False
    NEEDS_CONTAINER = False
    http: aiohttp.ClientSession | None = None

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> ProgramResult:
        if InProcessHarness.http is None:
            InProcessHarness.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        body: dict[str, Any] = {"model": ctx.model, "messages": [{"role": "user", "content": data.prompt}]}
        if self.config.with_tool:
            body["tools"] = [TOOL]
        for _ in range(MAX_TURNS):
            async with InProcessHarness.http.post(
                f"{endpoint}/chat/completions", json=body, headers={"authorization": f"Bearer {secret}"}
            ) as response:
                response.raise_for_status()
                message = (await response.json())["choices"][0]["message"]
            body["messages"].append(message)
            calls = message.get("tool_calls") or []
            for call in calls:
                body["messages"].append({"role": "tool", "tool_call_id": call["id"], "content": TOOL_RESULT})
            if not calls:
                break
        return ProgramResult(0, "", "")


async def evaluate(args: argparse.Namespace) -> dict[str, int]:
    this_module = Path(__file__).stem
    config = EvalConfig.model_validate(
        {
            "env": {
                "taskset": {"id": this_module, "path": args.tasks},
                "agent": {
                    "harness": {"id": this_module, "with_tool": args.kind == "tool"},
                    "runtime": {"type": "subprocess"},
                },
            },
            "model": "bench-model",
            "client": {"type": "eval", "base_url": args.url, "api_key_var": "OPENAI_API_KEY"},
            "sampling": {"temperature": 1.0, "max_tokens": 1024},
            "max_concurrent": args.concurrency,
            "rich": None,
            "push": False,
            "output_dir": args.out,
        }
    )
    episodes = await run_eval(config)
    good = [episode for episode in episodes if episode.ok]
    if not good:
        raise SystemExit(f"no rollout succeeded; the first failed with {episodes[0]!r}"[:2000])
    return {"done": len(good), "right": sum(episode.traces[0].reward == 1.0 for episode in good)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--kind", choices=["single", "tool"], required=True)
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    args = parser.parse_args()
    logging.disable(logging.ERROR)
    summary = uvloop.run(evaluate(args))
    (args.out / "summary.json").write_text(json.dumps(summary))


if __name__ == "__main__":
    main()
