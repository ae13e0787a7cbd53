"""A model endpoint for tests of long rollouts: the Responses API over real HTTP, in a process of its own.

It calls the tool `push` until the conversation has `--turns` outputs of tools, then ends with a message.
Without tools it says `push N` until there are that many answers. The token ids of an answer are the number of
its request, from 1. The requests whose numbers are in `--hold` are never answered; each `GET /held` waits for
one of them. `GET` of any other path gives the number of requests.
"""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, turns: int, hold: set[int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.turns = turns
        self.hold = hold
        self.requests = 0
        self.lock = threading.Lock()
        self.held = threading.Semaphore(0)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.endswith("/held"):
            self.server.held.acquire()
        self.send({"requests": self.server.requests})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.requests += 1
            number = self.server.requests
        if number in self.server.hold:
            self.server.held.release()
            threading.Event().wait()
        self.send(answer(request, number, self.server.turns))

    def send(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def answer(request: dict[str, Any], number: int, turns: int) -> dict[str, Any]:
    kind = "function_call_output" if request.get("tools") else "message"
    done = sum(
        item.get("type", "message") == kind and item.get("role") != "user" for item in request["input"]
    )
    tokens = {"prompt_token_ids": [done], "generation_token_ids": [number], "generation_log_probs": [-0.5]}
    if done < turns and request.get("tools"):
        arguments = json.dumps({"value": 3 * done + 1})
        item = {"type": "function_call", "id": f"fc_{done}", "call_id": f"call_{done}", "name": "push"}
        output = {**item, "arguments": arguments, "status": "completed", **tokens}
    else:
        text = f"push {3 * done + 1}" if done < turns else "done"
        part = {"type": "output_text", "text": text, "annotations": []}
        message = {"type": "message", "id": f"m_{done}", "role": "assistant", "status": "completed"}
        output = {**message, "content": [part], **tokens}
    usage = {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    }
    return {
        "id": f"r{number}",
        "object": "response",
        "created_at": 1,
        "model": request["model"],
        "output": [output],
        "status": "completed",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--hold", default="0")
    options = parser.parse_args()
    server = Server(options.turns, {int(number) for number in options.hold.split(",")})
    print(server.server_address[1], flush=True)
    server.serve_forever()
