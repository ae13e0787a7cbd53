"""NeMo Gym 0.4 as released: its launcher, its Ray cluster, its head server and three servers.

The launcher would build one virtual environment for each server with uv. Here each of them is this
script's own environment, which holds everything they need, so nothing is installed in the run.
Favourable choices: no upload, no aggregation, as many connections as the concurrency, access logs off
(its default). The exact-match server compares the whole reply, so it is given the whole reply.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_gym.cli.env import RunHelper
from nemo_gym.global_config import GlobalConfigDictParserConfig
from nemo_gym.rollout_collection import RolloutCollectionConfig, RolloutCollectionHelper
from omegaconf import DictConfig

RESOURCES = {"single": "equivalence_rule", "tool": "example_single_tool_call"}
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Return today's weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city."}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def configuration(args: argparse.Namespace) -> dict[str, Any]:
    """Head server, resources server, agent and model server, on free ports."""
    environments = args.out / "environments"
    resources = RESOURCES[args.kind]
    for server in (
        f"resources_servers/{resources}",
        "responses_api_agents/simple_agent",
        "responses_api_models/openai_model",
    ):
        folder = environments / server
        folder.mkdir(parents=True)
        (folder / ".venv").symlink_to(sys.prefix)
    resources_config: dict[str, Any] = {"entrypoint": "app.py", "domain": "other"}
    if args.kind == "single":
        resources_config["grading_rule"] = "exact"
    return {
        "head_server": {"host": "127.0.0.1", "port": free_port()},
        "uv_venv_dir": str(environments),
        "skip_venv_if_present": True,
        "global_aiohttp_connector_limit_per_host": max(1024, args.concurrency),
        "bench_resources": {"resources_servers": {resources: resources_config}},
        "bench_agent": {
            "responses_api_agents": {
                "simple_agent": {
                    "entrypoint": "app.py",
                    "resources_server": {"type": "resources_servers", "name": "bench_resources"},
                    "model_server": {"type": "responses_api_models", "name": "policy_model"},
                }
            }
        },
        "policy_model": {
            "responses_api_models": {
                "openai_model": {
                    "entrypoint": "app.py",
                    "openai_base_url": args.url,
                    "openai_api_key": "not-a-key",
                    "openai_model": "bench-model",
                }
            }
        },
    }


def task_rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The tasks in NeMo Gym's format."""
    with args.tasks.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            params: dict[str, Any] = {
                "input": [{"role": "user", "content": row["prompt"]}],
                "temperature": 1.0,
                "max_output_tokens": 1024,
            }
            if args.kind == "tool":
                params["tools"] = [TOOL]
            yield {"responses_create_params": params, "expected_answer": row["reply"]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--kind", choices=["single", "tool"], required=True)
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    args = parser.parse_args()
    os.chdir(args.out)
    rows = args.out / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in task_rows(args)))
    rollouts = args.out / "rollouts.jsonl"
    servers = RunHelper()
    servers.start(
        GlobalConfigDictParserConfig(
            initial_global_config_dict=DictConfig(configuration(args)),
            skip_load_from_cli=True,
            skip_load_from_dotenv=True,
        )
    )
    try:
        collection = RolloutCollectionConfig(
            agent_name="bench_agent",
            input_jsonl_fpath=str(rows),
            output_jsonl_fpath=str(rollouts),
            num_samples_in_parallel=args.concurrency,
            disable_aggregation=True,
            upload_rollouts_to_wandb=False,
        )
        asyncio.run(RolloutCollectionHelper().run_from_config(collection))
    finally:
        servers.shutdown()
    rewards = [json.loads(line)["reward"] for line in rollouts.read_text().splitlines()]
    summary = {"done": len(rewards), "right": sum(reward == 1.0 for reward in rewards)}
    (args.out / "summary.json").write_text(json.dumps(summary))


if __name__ == "__main__":
    main()
