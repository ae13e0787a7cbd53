"""Long conversations with token ids: 30 turns of 400 tokens, by this project's client and by a plain loop.

    python benchmarks/turns.py

The loop sends the same conversation once for each turn, with the ids of the last answer alone, and reads the
same answers into the same values. It shows what the ids cost that a client sends beyond that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import msgspec
import uvloop
from wreq import Client, Runtime

from nemo_gym.models.vllm import VllmModel, VllmSettings
from nemo_gym.wire.items import Item, user

TURNS, TOKENS, ROLLOUTS, CONCURRENCY = 30, 400, 40, 8
QUESTION_TOKENS = 20
QUESTION, ANSWER = "And what then? " * 5, "word " * TOKENS
LIMIT = 1.6
"""Times the loop that this project may need."""


@dataclass(frozen=True)
class Turns:
    """One client's figures for all rollouts."""

    subject: str
    sent: int
    """Bytes of request bodies."""
    cpu_s: float


def measure() -> list[Turns]:
    """Run the loop and this project, each in a process of its own: the cheaper of two runs of each."""
    results: list[Turns] = []
    for subject in ("loop", "ours"):
        runs = [_run(subject) for _ in range(2)]
        results.append(min(runs, key=lambda run: run.cpu_s))
    return results


def markdown(results: list[Turns]) -> list[str]:
    """The table, with what each figure is of the loop's."""
    loop = results[0]
    lines = [
        "| subject | MB sent | CPU-s | of the loop's bytes | of its CPU |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for one in results:
        ratios = f"{one.sent / loop.sent:.2f} | {one.cpu_s / loop.cpu_s:.2f}"
        lines.append(f"| {one.subject} | {one.sent / 1e6:.1f} | {one.cpu_s:.2f} | {ratios} |")
    return lines


def _run(subject: str) -> Turns:
    command = [sys.executable, __file__]
    with subprocess.Popen(
        [*command, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        client = subprocess.run(
            [*command, subject, "--port", port], capture_output=True, text=True, check=True
        )
        sent, _ = server.communicate("stop\n")
    return Turns(subject, int(sent), float(client.stdout))


async def _ours(url: str) -> None:
    settings = VllmSettings(return_token_id_information=True, request_prompt_and_generation_token_ids=True)
    async with VllmModel(url, "m", settings) as model:

        async def rollout() -> None:
            items: list[Item] = []
            for _ in range(TURNS):
                items.append(user(QUESTION))
                items += (await model.responses({"input": items})).output
            assert len(items[-1]["generation_token_ids"]) == TOKENS  # type: ignore[typeddict-item]

        await _all(rollout)


async def _loop(url: str) -> None:
    client = Client(http1_only=True, no_proxy=True, runtime=Runtime(workers=1, work_steal=False))
    headers = {"content-type": "application/json"}
    fields = {
        "logprobs": True,
        "top_logprobs": 0,
        "return_tokens_as_token_ids": True,
        "return_token_ids": True,
    }

    async def rollout() -> None:
        messages: list[dict[str, Any]] = []
        turns: list[dict[str, Any]] = []
        for _ in range(TURNS):
            messages.append({"role": "user", "content": QUESTION})
            if turns:
                messages[-2] = turns[-1]
            body = msgspec.json.encode({"model": "m", "messages": messages, **fields})
            if turns:
                messages[-2] = {"role": "assistant", "content": turns[-1]["content"]}
            reply = await client.post(f"{url}/chat/completions", headers=headers, body=body)
            answer = msgspec.json.decode(await reply.bytes())
            choice = answer["choices"][0]
            entries = choice["logprobs"]["content"]
            turn = {
                "prompt_token_ids": answer["prompt_token_ids"],
                "generation_token_ids": choice["token_ids"],
            }
            turn |= {"generation_log_probs": [entry["logprob"] for entry in entries], **choice["message"]}
            turns.append(turn)
            messages.append(turn)
        assert len(turns[-1]["generation_log_probs"]) == TOKENS

    await _all(rollout)


async def _all(rollout: Any) -> None:
    left = iter(range(ROLLOUTS))

    async def worker() -> None:
        for _ in left:
            await rollout()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(worker())


def _answer(turn: int) -> bytes:
    """What the engine answers in the turn of that number, as vLLM does with `return_token_ids`."""
    size = QUESTION_TOKENS * (turn + 1) + TOKENS * turn
    sampled = [1000 + (turn * 7919 + place * 104_729) % 150_000 for place in range(TOKENS)]
    entries = [{"token": f"token_id:{id}", "logprob": -(id % 997) / 313} for id in sampled]
    choice = {"index": 0, "finish_reason": "stop", "token_ids": sampled, "logprobs": {"content": entries}}
    choice["message"] = {"role": "assistant", "content": ANSWER}
    prompt = [1000 + place * 104_729 % 150_000 for place in range(size)]
    usage = {"prompt_tokens": size, "completion_tokens": TOKENS, "total_tokens": size + TOKENS}
    completion = {"id": f"chatcmpl-{turn}", "choices": [choice], "prompt_token_ids": prompt, "usage": usage}
    body = json.dumps(completion).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )


async def _serve() -> None:
    answers = [_answer(turn) for turn in range(TURNS)]
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                sent += length
                writer.write(answers[body.count(b'"assistant"')])
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    print(sent, flush=True)


def main() -> None:
    """Print the table; the other modes are its parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", nargs="?", choices=["compare", "serve", "loop", "ours"], default="compare")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    if args.mode == "compare":
        print("\n".join(markdown(measure())))
    elif args.mode == "serve":
        uvloop.run(_serve())
    else:
        began = resource.getrusage(resource.RUSAGE_SELF)
        client = _loop if args.mode == "loop" else _ours
        uvloop.run(client(f"http://127.0.0.1:{args.port}/v1"))
        ended = resource.getrusage(resource.RUSAGE_SELF)
        print(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)


if __name__ == "__main__":
    main()
