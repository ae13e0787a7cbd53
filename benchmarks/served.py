"""The same work through HTTP servers: `gym env start`, then rollouts made by the served agent, then stop.

python benchmarks/served.py --url http://127.0.0.1:8000/v1 --tasks tasks.jsonl --out folder --concurrency 64
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import ours
import workload

AGENTS = "responses_api_agents"


def command(kind: workload.Kind, concurrency: int, url: str, tasks: Path, out: Path) -> list[str]:
    """The command line to measure; `url` ends in /v1."""
    return [
        *(sys.executable, __file__, "--kind", kind, "--url", url),
        *("--tasks", str(tasks), "--out", str(out), "--concurrency", str(concurrency)),
    ]


def main() -> None:
    """Start the servers of one environment, collect from their agent, stop them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=["single", "tool"], default="single")
    parser.add_argument("--url", required=True, help="base URL of the model endpoint, with /v1")
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="an empty folder")
    parser.add_argument("--concurrency", type=int, default=64)
    args = parser.parse_args()
    os.environ["XDG_RUNTIME_DIR"] = str(args.out)
    model = ("--model-type", "chat", "--model-url", args.url, "-m", workload.MODEL)
    _gym("env", "start", ours.ENVIRONMENTS[args.kind], *model, "--port", "0", "--detach")
    try:
        servers = json.loads(_gym("env", "status", "--json"))["servers"]
        agent = next(server["url"] for server in servers if server["server_type"] == AGENTS)
        rollouts = str(args.out / "rollouts.jsonl")
        _gym(
            *("run", "--agent-url", agent, "-i", str(args.tasks), "-o", rollouts),
            *("--concurrency", str(args.concurrency)),
        )
    finally:
        _gym("env", "stop")


def _gym(*words: str) -> str:
    done = subprocess.run([ours.GYM, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"gym {words[0]} {words[1]}: {done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
