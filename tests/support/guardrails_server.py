"""A guardrails server for tests: the routes of NeMo Guardrails 0.24 with two regular expressions and a mask.

Its verdicts are those that the real one gave for the configuration in `tests/siblings/guardrails`, its odd
ones too: content in parts makes a rail fail, and a last message of a tool is "modified" to nothing.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

SORRY = "I'm sorry, I can't respond to that."
FAILED = "I'm sorry, an internal error has occurred."
INPUT, OUTPUT = re.compile(r"\bignore (all )?previous instructions\b", re.I), re.compile(r"\bsecret\b")
NUMBER = re.compile(r"\d{8,}")
CONFIG = "ours"


class GuardrailsServer:
    """The app, and what it was asked. `upstream` is the base URL of the model that it asks itself."""

    def __init__(self, upstream: str = "") -> None:
        self.upstream = upstream
        self.checks: list[dict[str, Any]] = []
        self.app = Starlette(
            routes=[
                Route("/v1/checks", self.check, methods=["POST"]),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/rails/configs", lambda _: JSONResponse([{"id": CONFIG}])),
                Route("/v1/models", lambda _: JSONResponse({"data": []})),
            ]
        )

    async def check(self, request: Request) -> JSONResponse:
        body = await request.json()
        self.checks.append(body)
        if problem := refusal(body):
            return problem
        (stage,) = body["guardrails"]["rail_types"]
        status, content, rail = verdict(stage, body["messages"])
        answer = {"status": status, "content": content, "rail": rail}
        return JSONResponse({name: value for name, value in answer.items() if value is not None})

    async def chat(self, request: Request) -> JSONResponse:
        body = await request.json()
        if problem := refusal(body):
            return problem
        status, content, rail = verdict("input", body["messages"])
        rails = [activated("input", rail or "regex check input", status)]
        if status != "blocked":
            passed_on = {name: body[name] for name in ("model", "messages", "temperature") if name in body}
            async with httpx.AsyncClient() as client:
                answer = await client.post(f"{self.upstream}/chat/completions", json=passed_on)
            content = answer.json()["choices"][0]["message"]["content"]
            message = {"role": "assistant", "content": content}
            status, content, rail = verdict("output", [*body["messages"], message])
            rails += [
                activated("generation", "generate user intent", "passed"),
                activated("output", rail or "regex check output", status),
            ]
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        wanted = body["guardrails"].get("options", {}).get("log", {}).get("activated_rails")
        log = {"log": {"activated_rails": rails}} if wanted else {}
        return JSONResponse(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [choice],
                "guardrails": {"config_id": CONFIG, **log},
            }
        )


def refusal(body: dict[str, Any]) -> JSONResponse | None:
    """The answer 422 to a request that the real server's types refuse."""
    if not isinstance(body.get("model"), str):
        return problem("body.model: Field required")
    if body["guardrails"].get("config_id", CONFIG) != CONFIG:
        return problem(f"Invalid config path /rails/{body['guardrails']['config_id']}.")
    if not body["messages"]:
        return problem("messages must be non-empty")
    return None


def problem(message: str) -> JSONResponse:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, 422)


def verdict(stage: str, messages: list[dict[str, Any]]) -> tuple[str, str, str | None]:
    role, pattern = ("user", INPUT) if stage == "input" else ("assistant", OUTPUT)
    text = next((message["content"] for message in reversed(messages) if message["role"] == role), "")
    rail = f"regex check {stage}"
    if not isinstance(text, str):
        return "blocked", FAILED, rail
    if messages[-1]["role"] == "tool":
        return "modified", "", None
    if pattern.search(text):
        return "blocked", SORRY, rail
    masked = NUMBER.sub("<NUMBER>", text)
    return ("passed" if masked == text else "modified"), masked, None


def activated(type: str, name: str, status: str) -> dict[str, Any]:
    stop = status == "blocked"
    return {
        "type": type,
        "name": name,
        "decisions": [],
        "executed_actions": [],
        "stop": stop,
        "duration": 0.1,
    }
