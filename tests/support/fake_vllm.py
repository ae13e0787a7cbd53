"""`vllm serve` for tests: its arguments, its start-up and its routes, with the policy of `token_server.py`.

`FAKE_VLLM` in the environment makes it fail (`broken`) or never become ready (`slow`); it writes the
arguments and some variables it was given to the file that `FAKE_VLLM_SEEN` names.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from typing import Any

import token_server


def main() -> None:
    argv = sys.argv[1:]
    if seen := os.environ.get("FAKE_VLLM_SEEN"):
        names = ("HF_HOME", "VLLM_API_KEY", "EXTRA", "NEMO_GYM_MODEL_API_KEY")
        report = {"argv": argv, "pid": os.getpid(), "env": {name: os.environ.get(name) for name in names}}
        with open(seen, "w") as file:
            json.dump(report, file)
    print("INFO loading weights", flush=True)
    match os.environ.get("FAKE_VLLM"):
        case "broken":
            print("ValueError: no kernel image is available", flush=True)
            sys.exit(1)
        case "slow":
            time.sleep(3600)
        case _:
            asyncio.run(serve(argv))


async def serve(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    given, _ = parser.parse_known_args(argv)
    engine = {"engine": "vllm", "splice": 1, "context": token_server.CONTEXT}
    server = Healthy(argparse.Namespace(**engine))
    listener = await asyncio.start_server(server.serve, given.host, given.port)
    print("INFO Application startup complete.", flush=True)
    await listener.serve_forever()


class Healthy(token_server.Server):
    """Dies of one question, as engines do."""

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        if "say die" in str(body["messages"]):
            print("CUDA error: an illegal memory access was encountered", flush=True)
            os._exit(3)
        return super().chat(body)


if __name__ == "__main__":
    main()
