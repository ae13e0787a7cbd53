"""The smallest honest loop: post the bodies, read the answers, append them to a file.

    python benchmarks/floor.py --url http://127.0.0.1:8000/v1 --bodies bodies.jsonl --out answers.jsonl
        --concurrency 64 [--kind tool]

No retries, no checks, no scores, no journal: what any collector on this HTTP client has to spend.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import uvloop
import workload
from wreq import Client, Runtime

if TYPE_CHECKING:
    from typing_extensions import Buffer

BATCH_LINES = 256


class _Message(msgspec.Struct):
    message: msgspec.Raw


class _Answer(msgspec.Struct):
    choices: list[_Message]


class _Call(msgspec.Struct):
    id: str


class _Calls(msgspec.Struct):
    tool_calls: list[_Call]


class Appender:
    """Appends lines to a file, a batch at a time."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("ab", buffering=0)
        self.lines: list[Buffer] = []

    def add(self, line: Buffer) -> None:
        self.lines.append(line)
        if len(self.lines) >= BATCH_LINES:
            self.flush()

    def flush(self) -> None:
        if self.lines:
            self.lines.append(b"")
            self.file.write(b"\n".join(self.lines))
            self.lines.clear()


async def collect(url: str, bodies: Iterator[bytes], out: Appender, concurrency: int, kind: str) -> int:
    """Post every body with `concurrency` coroutines and append the last answers; returns their number."""
    rollout = _two_turns if kind == "tool" else _one_turn
    done = 0

    async def worker(client: Client) -> None:
        nonlocal done
        for body in bodies:
            out.add(await rollout(client, url, body))
            done += 1

    client = Client(http1_only=True, no_proxy=True, runtime=Runtime(workers=1, work_steal=False))
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker(client))
    out.flush()
    return done


async def _one_turn(client: Client, url: str, body: bytes) -> Buffer:
    response = await client.post(url, headers={"content-type": "application/json"}, body=body)
    answer = await response.bytes()
    if response.status.as_int() != 200:
        raise RuntimeError(f"HTTP {response.status}: {bytes(answer)[:200]!r}")
    return answer


async def _two_turns(client: Client, url: str, body: bytes) -> Buffer:
    message = _decode_answer(await _one_turn(client, url, body)).choices[0].message
    request: dict[str, Any] = _decode_body(body)
    messages = msgspec.json.decode(request["messages"], type=list[msgspec.Raw])
    call = _decode_calls(message).tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "content": workload.TOOL_RESULT}
    request["messages"] = [*messages, message, result]
    return await _one_turn(client, url, _encode(request))


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_body = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_calls = msgspec.json.Decoder(_Calls).decode
_encode = msgspec.json.Encoder().encode


def main() -> None:
    """Run the loop; the last line printed is `{"done": n}`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="base URL, with /v1")
    parser.add_argument("--bodies", type=Path, required=True, help="one request body a line")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--kind", choices=["single", "tool"], default="single")
    args = parser.parse_args()
    with args.bodies.open("rb") as file:
        bodies = (line.rstrip(b"\n") for line in file)
        work = collect(
            args.url + "/chat/completions", bodies, Appender(args.out), args.concurrency, args.kind
        )
        print(json.dumps({"done": uvloop.run(work)}))


if __name__ == "__main__":
    main()
