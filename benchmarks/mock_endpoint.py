"""A model endpoint that costs next to nothing: one process, one asyncio protocol, canned replies.

    python benchmarks/mock_endpoint.py --port 8000 --latency-ms 500

Serves POST /v1/chat/completions and /v1/responses, GET /v1/models and GET /stats. A leading path
segment sets the latency of one request: /250ms/v1/responses. A request that offers the tool
`get_weather` and holds no tool result yet is answered with one call of it. `"stream": true` is
refused with 400, so that no subject streams unnoticed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
from typing import Any, cast

import uvloop
import workload

BACKLOG = 8192
MAX_HEAD_BYTES = 65_536


class Stats:
    """Counters behind GET /stats; `peak_in_flight` starts anew at each reading."""

    requests = 0
    in_flight = 0
    peak_in_flight = 0
    connections = 0


class Endpoint(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, latency_s: float, stats: Stats) -> None:
        self.loop = loop
        self.latency_s = latency_s
        self.stats = stats
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.stats.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while self.buffer:
            head_end = self.buffer.find(b"\r\n\r\n")
            if head_end < 0:
                if len(self.buffer) > MAX_HEAD_BYTES:
                    self.send(_response(431, b"{}"))
                return
            head = self.buffer[:head_end].lower()
            end = head_end + 4 + _content_length(head)
            if len(self.buffer) < end:
                return
            body = self.buffer[head_end + 4 : end]
            path = self.buffer[: head_end + 1].split(b" ", 2)[1]
            self.buffer = self.buffer[end:]
            self.answer(path, body, chunked=b"transfer-encoding: chunked" in head)

    def answer(self, path: bytes, body: bytes, *, chunked: bool) -> None:
        if chunked:
            self.send(_response(411, b'{"error":{"message":"send a Content-Length"}}'))
            return
        latency_s = self.latency_s
        if prefix := re.match(rb"/(\d{1,6})ms/", path):
            latency_s = int(prefix[1]) / 1000
            path = path[prefix.end() - 1 :]
        if path.endswith(b"/chat/completions"):
            reply = chat_reply(body)
        elif path.endswith(b"/responses"):
            reply = responses_reply(body)
        elif path.endswith(b"/models"):
            listing = {"object": "list", "data": [{"id": workload.MODEL, "object": "model"}]}
            self.send(_response(200, json.dumps(listing).encode()))
            return
        elif path == b"/stats":
            self.send(_response(200, self.read_stats()))
            return
        else:
            self.send(_response(404, b'{"error":{"message":"no such route"}}'))
            return
        stats = self.stats
        stats.requests += 1
        if latency_s <= 0:
            self.send(reply)
            return
        stats.in_flight += 1
        stats.peak_in_flight = max(stats.peak_in_flight, stats.in_flight)
        self.loop.call_later(latency_s, self.send_late, reply)

    def send_late(self, reply: bytes) -> None:
        self.stats.in_flight -= 1
        self.send(reply)

    def send(self, reply: bytes) -> None:
        if self.transport is not None:
            self.transport.write(reply)

    def read_stats(self) -> bytes:
        stats = self.stats
        reading = {
            "requests": stats.requests,
            "peak_in_flight": stats.peak_in_flight,
            "connections": stats.connections,
        }
        stats.peak_in_flight = stats.in_flight
        return json.dumps(reading).encode()


def chat_reply(body: bytes) -> bytes:
    """The HTTP response to a Chat Completions body."""
    if _streams(body):
        return _STREAM_REFUSED
    template = _CHAT_CALL if _wants_call(body) else _CHAT_TEXT
    return template.replace(_HOLE, _token(body))


def responses_reply(body: bytes) -> bytes:
    """The HTTP response to a Responses body."""
    if _streams(body):
        return _STREAM_REFUSED
    template = _RESPONSES_CALL if _wants_call(body) else _RESPONSES_TEXT
    return template.replace(_HOLE, _token(body))


def main() -> None:
    """Serve until SIGTERM or SIGINT; prints `listening on PORT` when ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    args = parser.parse_args()
    uvloop.run(_serve(args.port, args.latency_ms / 1000))


async def _serve(port: int, latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    stats = Stats()
    server = await loop.create_server(
        lambda: Endpoint(loop, latency_s, stats), "127.0.0.1", port, backlog=BACKLOG
    )
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()


_HOLE = b"-" * workload.TOKEN_CHARS
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 411: "Length Required", 431: "Header Too Large"}
_STREAM = re.compile(rb'"stream":\s*true')
_MARK = workload.MARK.encode()


def _content_length(head: bytes) -> int:
    start = head.find(b"content-length:")
    if start < 0:
        return 0
    line_end = head.find(b"\r\n", start)
    return int(head[start + 15 : line_end if line_end >= 0 else len(head)])


def _streams(body: bytes) -> bool:
    return _STREAM.search(body) is not None


def _wants_call(body: bytes) -> bool:
    return b'"get_weather"' in body and b"tool_call_id" not in body and b"function_call_output" not in body


def _token(body: bytes) -> bytes:
    start = body.find(_MARK)
    if start < 0:
        return _HOLE
    start += len(_MARK)
    return body[start : start + workload.TOKEN_CHARS]


def _response(status: int, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _json_response(value: Any) -> bytes:
    return _response(200, json.dumps(value, separators=(",", ":")).encode())


def _chat_template(message: dict[str, Any], finish_reason: str) -> bytes:
    return _json_response(
        {
            "id": "chatcmpl-" + _HOLE.decode(),
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": workload.MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "refusal": None, "annotations": [], **message},
                    "logprobs": None,
                    "finish_reason": finish_reason,
                }
            ],
            "usage": {
                "prompt_tokens": 330,
                "completion_tokens": 320,
                "total_tokens": 650,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": "fp_bench",
        }
    )


def _responses_template(item: dict[str, Any]) -> bytes:
    return _json_response(
        {
            "id": "resp_" + _HOLE.decode(),
            "object": "response",
            "created_at": 1_760_000_000,
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": 1024,
            "metadata": {},
            "model": workload.MODEL,
            "output": [item],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": {
                "input_tokens": 330,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 320,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 650,
            },
            "user": None,
        }
    )


_ARGUMENTS = json.dumps({"city": _HOLE.decode()}, separators=(",", ":"))
_CHAT_TEXT = _chat_template({"content": workload.reply_text(_HOLE.decode())}, "stop")
_CHAT_CALL = _chat_template(
    {
        "content": None,
        "tool_calls": [
            {
                "id": "call_" + _HOLE.decode(),
                "type": "function",
                "function": {"name": "get_weather", "arguments": _ARGUMENTS},
            }
        ],
    },
    "tool_calls",
)
_RESPONSES_TEXT = _responses_template(
    {
        "id": "msg_" + _HOLE.decode(),
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": workload.reply_text(_HOLE.decode()),
                "annotations": [],
                "logprobs": [],
            }
        ],
    }
)
_RESPONSES_CALL = _responses_template(
    {
        "id": "fc_" + _HOLE.decode(),
        "type": "function_call",
        "call_id": "call_" + _HOLE.decode(),
        "name": "get_weather",
        "arguments": _ARGUMENTS,
        "status": "completed",
    }
)
_STREAM_REFUSED = _response(400, b'{"error":{"message":"the mock endpoint does not stream"}}')


if __name__ == "__main__":
    main()
