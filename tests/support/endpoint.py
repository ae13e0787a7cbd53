"""A model endpoint for tests, in a process of its own: OpenAI Chat Completions and Responses over real HTTP.

It answers with what the last user message asks it to say (`say X` is answered `X`), or always with
`--answer`. It does so after a delay, and for a share of the requests misbehaves in one of the ways endpoints
do. `--dies-after N` ends it after so many answers. With `--gate FILE` the requests after the first
`--gate-after N` wait until there is such a file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
from pathlib import Path

FAULTS = ("429", "500", "garbage", "empty", "half", "hang")


class Endpoint:
    def __init__(
        self,
        *,
        delay: float,
        fault_share: float,
        faults: list[str],
        seed: int,
        answer: str = "",
        dies_after: int = 0,
        gate: str = "",
        gate_after: int = 0,
    ) -> None:
        self.gate = gate
        self.gate_after = gate_after
        self.answer = answer
        self.dies_after = dies_after
        self.delay = delay
        self.fault_share = fault_share
        self.faults = faults
        self.rng = random.Random(seed)
        self.requests = 0
        self.faulty = 0
        self.active = 0
        self.peak = 0
        """The most requests at once."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self.one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if method == "GET":
            stats = {"requests": self.requests, "faulty": self.faulty, "peak": self.peak}
            writer.write(response(200, json.dumps(stats).encode()))
            await writer.drain()
            return True
        self.requests += 1
        if self.dies_after and self.requests > self.dies_after:
            os._exit(1)
        fault = self.rng.choice(self.faults) if self.rng.random() < self.fault_share else ""
        self.active += 1
        self.peak = max(self.peak, self.active)
        await asyncio.sleep(self.delay)
        while self.gate and self.requests > self.gate_after and not Path(self.gate).exists():
            await asyncio.sleep(0.02)
        self.active -= 1
        if fault:
            self.faulty += 1
            return await misbehave(fault, writer)
        request = json.loads(body)
        if self.answer:
            asked = [{"role": "user", "content": self.answer}]
            request |= {"input": asked, "messages": asked}
        answer = chat_answer(request) if path.endswith("/chat/completions") else responses_answer(request)
        writer.write(response(200, json.dumps(answer).encode()))
        await writer.drain()
        return True


async def misbehave(fault: str, writer: asyncio.StreamWriter) -> bool:
    if fault == "hang":
        await asyncio.sleep(3600)
    elif fault == "half":
        writer.write(response(200, b'{"id": "1", "choices": [{"index": 0' + b" " * 2000)[:300])
        await writer.drain()
        writer.transport.abort()
        return False
    elif fault == "429":
        writer.write(response(429, b'{"error": {"message": "slow down"}}', "Retry-After: 0.05\r\n"))
    elif fault == "500":
        writer.write(response(500, b"internal error"))
    elif fault == "garbage":
        writer.write(response(200, b"<html>not what you asked for</html>"))
    elif fault == "empty":
        writer.write(response(200, b""))
    elif fault == "400":
        writer.write(response(400, b'{"error": {"message": "no such parameter"}}'))
    elif fault == "401":
        writer.write(response(401, b'{"error": {"message": "bad key"}}'))
    await writer.drain()
    return True


def response(status: int, body: bytes, extra: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def said(items: list[dict[str, object]]) -> str:
    text = next(str(item["content"]) for item in reversed(items) if item.get("role") == "user")
    return text.removeprefix("say ")


def chat_answer(request: dict[str, object]) -> dict[str, object]:
    message = {"role": "assistant", "content": said(request["messages"])}  # type: ignore[arg-type]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }


def responses_answer(request: dict[str, object]) -> dict[str, object]:
    text = said(request["input"])  # type: ignore[arg-type]
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    }
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": request["model"],
        "output": [message],
        "status": "completed",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--fault-share", type=float, default=0.0)
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--answer", default="")
    parser.add_argument("--dies-after", type=int, default=0)
    parser.add_argument("--gate", default="")
    parser.add_argument("--gate-after", type=int, default=0)
    given = parser.parse_args()
    endpoint = Endpoint(
        delay=given.delay,
        fault_share=given.fault_share,
        faults=given.faults.split(","),
        seed=given.seed,
        answer=given.answer,
        dies_after=given.dies_after,
        gate=given.gate,
        gate_after=given.gate_after,
    )
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", given.port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
