"""A Chat Completions endpoint for tests, over real HTTP, whose answers fit what a request asks for.

- A prompt with a JSON Schema between `<response_schema>` tags is answered with a JSON block of that schema.
- A request with tools is answered with one call, then, after its result, with text.
- Any other request is answered with text.

Everything follows from the request, so the same request always has the same answer.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.json_server import json_server

Writer = Callable[[str, random.Random], Any]
"""Makes the value of a property, or a whole text, of the prompt."""
WORDS = ("amber", "basket", "candle", "dragon", "engine", "feather", "garden", "hammer", "insect")


class SchemaEndpoint:
    """The answers, and the requests so far.

    Args:
        properties: makers of values by the name of a property.
        text: makes the text of an answer without a schema.
        call: makes the call of a request with tools: a name and arguments.
    """

    def __init__(
        self,
        *,
        properties: dict[str, Writer] | None = None,
        text: Writer | None = None,
        call: Callable[[list[dict[str, Any]], str, random.Random], tuple[str, dict[str, Any]]] | None = None,
    ) -> None:
        self.properties = properties or {}
        self.text = text or (lambda _, rng: sentence(rng))
        self.call = call or self.first_call
        self.requests: list[dict[str, Any]] = []

    def message(self, request: dict[str, Any]) -> dict[str, Any]:
        prompt = "\n".join(plain(one.get("content")) for one in request["messages"])
        rng = random.Random(json.dumps(request, sort_keys=True))
        if schema := re.search(r"<response_schema>\n(.*?)\n</response_schema>", prompt, re.DOTALL):
            value = self.value(json.loads(schema[1]), prompt, rng)
            return {"content": f"```json\n{json.dumps(value)}\n```"}
        if request.get("tools") and not any(one["role"] == "tool" for one in request["messages"]):
            name, arguments = self.call(request["tools"], prompt, rng)
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"id": f"call_{rng.randrange(10**9)}", "type": "function", "function": function}
            return {"content": None, "tool_calls": [call]}
        return {"content": self.text(prompt, rng)}

    def value(self, schema: dict[str, Any], prompt: str, rng: random.Random) -> Any:
        if "enum" in schema:
            return rng.choice(schema["enum"])
        match schema.get("type"):
            case "object":
                return {
                    name: self.properties[name](prompt, rng)
                    if name in self.properties
                    else self.value(one, prompt, rng)
                    for name, one in schema.get("properties", {}).items()
                }
            case "array":
                return [self.value(schema["items"], prompt, rng) for _ in range(rng.randint(1, 3))]
            case "integer":
                return rng.randrange(1, 100)
            case "number":
                return rng.randrange(1, 1000) / 8
            case "boolean":
                return rng.random() < 0.5
            case _:
                return sentence(rng)

    def first_call(
        self, tools: list[dict[str, Any]], prompt: str, rng: random.Random
    ) -> tuple[str, dict[str, Any]]:
        function = rng.choice(tools)["function"]
        schema = function.get("parameters") or {}
        required = {name: schema["properties"][name] for name in schema.get("required", ())}
        return function["name"], self.value({"type": "object", "properties": required}, prompt, rng)


def sentence(rng: random.Random) -> str:
    return f'The {rng.choice(WORDS)} is beside the {rng.choice(WORDS)}, "not" in the {rng.choice(WORDS)} <1>.'


def plain(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


@contextmanager
def schema_endpoint(answers: SchemaEndpoint) -> Iterator[str]:
    """The base URL of the endpoint, for the length of the block."""

    def answer(path: str, request: dict[str, Any] | None, headers: object) -> tuple[int, Any]:
        if request is None:
            return 404, {"error": {"message": f"there is no {path}"}}
        answers.requests.append(request)
        message = {"role": "assistant", **answers.message(request)}
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        return 200, {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
        }

    with json_server(answer) as url:
        yield f"{url}/v1"
