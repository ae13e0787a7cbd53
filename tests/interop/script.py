"""A model that does as its prompt says, for all three environments: a function, and an endpoint around it.

`python script.py` serves it as `POST /v1/responses` on a free port and prints the port.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4


def answer(params: dict[str, Any]) -> str | list[dict[str, Any]]:
    """The next answer: the last line of the last user message holds a plan, a JSON list of answers.

    An answer is text, or a list of `[tool, arguments]` to be called together.
    """
    items = params["input"]
    prompt = next(item["content"] for item in reversed(items) if item.get("role") == "user")
    text = prompt if isinstance(prompt, str) else prompt[0]["text"]
    plan = json.loads(text.splitlines()[-1])
    given = [item for item in items if item.get("type") == "function_call"]
    for step in plan:
        if isinstance(step, str):
            return step
        if not given:
            return [call(name, arguments) for name, arguments in step]
        given = given[len(step) :]
    raise AssertionError("the plan has no text at its end")


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A function call item."""
    return {
        "type": "function_call",
        "id": f"fc_{uuid4().hex}",
        "call_id": f"call_{uuid4().hex}",
        "name": name,
        "arguments": json.dumps(arguments),
        "status": "completed",
    }


def response(params: dict[str, Any]) -> dict[str, Any]:
    """The answer as a Responses object."""
    said = answer(params)
    if isinstance(said, str):
        part = {"type": "output_text", "text": said, "annotations": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        said = [{**message, "content": [part]}]
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1.0,
        "model": "script",
        "status": "completed",
        "output": said,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 5,
        },
    }


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        content = json.dumps(response(json.loads(body))).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    print(server.server_address[1], flush=True)
    server.serve_forever()
