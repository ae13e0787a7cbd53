"""An endpoint for tests that speaks the dialect of NVIDIA NIM: switches of reasoning, `nvext`, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.json_server import json_server

KEY = "nvapi-secret"
V1 = "nvidia/llama-3.1-nemotron-ultra-253b-v1"
V15 = "nvidia/llama-3.3-nemotron-super-49b-v1.5"
V2 = "nvidia/nvidia-nemotron-nano-9b-v2"
V3 = "nvidia/nemotron-3-nano-30b-a3b"
OTHER = "meta/llama-3.1-8b-instruct"
THOUGHTS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
FIELDS = frozenset(
    {
        "model", "messages", "temperature", "top_p", "top_k", "max_tokens", "tools", "tool_choice", "stop",
        "seed", "chat_template_kwargs", "nvext", "response_format",
    }
)  # fmt: skip
EXTENSIONS = frozenset({"max_thinking_tokens", "guided_json", "guided_regex", "guided_choice"})


class Nim:
    """Answers `4`, after thoughts when the system prompt or the template asks for them."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.window = 4096
        """In characters of the prompt."""

    def answer(self, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any]]:
        self.requests.append(body)
        if key != f"Bearer {KEY}":
            return 403, {"status": 403, "title": "Forbidden", "detail": "Authorization failed"}
        if body["model"] not in (V1, V15, V2, V3, OTHER):
            detail = f"Function '{body['model']}': Not found for account 'team'"
            return 404, {"status": 404, "title": "Not Found", "detail": detail}
        unknown = [["body", name] for name in body if name not in FIELDS]
        unknown += [["body", "nvext", name] for name in body.get("nvext", {}) if name not in EXTENSIONS]
        if unknown:
            text = "Extra inputs are not permitted"
            problems = [{"type": "extra_forbidden", "loc": loc, "msg": text} for loc in unknown]
            return 422, {"detail": problems}
        size = sum(len(str(message["content"])) for message in body["messages"])
        if size > self.window:
            text = (
                f"This model's maximum context length is {self.window} tokens. However, you requested {size}."
            )
            return 400, {"object": "error", "message": text, "type": "BadRequestError", "code": 400}
        return 200, self._completion(body)

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "4"}
        schema = body.get("nvext", {}).get("guided_json") or body.get("response_format")
        if schema:
            message["content"] = '{"answer": 4}'
        if thinks(body):
            budget = body.get("nvext", {}).get("max_thinking_tokens", len(THOUGHTS))
            thought = " ".join(THOUGHTS[: min(budget, len(THOUGHTS))])
            if body["model"] == V3:
                message["reasoning_content"] = thought
            else:
                message["content"] = f"<think>\n{thought}\n</think>\n\n{message['content']}"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "usage": usage,
        } | {"choices": [choice]}


def thinks(body: dict[str, Any]) -> bool:
    """Whether a model reasons about a request, as its model card says."""
    first = body["messages"][0]
    system = str(first["content"]) if first["role"] == "system" else ""
    match body["model"]:
        case "nvidia/llama-3.1-nemotron-ultra-253b-v1":
            return system.startswith("detailed thinking on")
        case "nvidia/llama-3.3-nemotron-super-49b-v1.5" | "nvidia/nvidia-nemotron-nano-9b-v2":
            return "/no_think" not in system
        case "nvidia/nemotron-3-nano-30b-a3b":
            return body.get("chat_template_kwargs", {}).get("enable_thinking", True)
        case _:
            return False


@contextmanager
def serving(nim: Nim) -> Iterator[str]:
    """Serve it; yields the base URL."""
    with json_server(lambda _, body, headers: nim.answer(body, headers["Authorization"])) as url:
        yield f"{url}/v1"
