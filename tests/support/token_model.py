"""A model that says what a function says, with tokens: one for every byte of a plain rendering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from nemo_gym.models.base import Model
from nemo_gym.models.scripted import Answer, as_response
from nemo_gym.wire.items import Item, message_text
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response


class TokenModel(Model):
    """Answers by script. The prompt's tokens are those of its rendering, so an answer that comes back in the
    next prompt unchanged has the tokens that it was sampled with."""

    name = "tokens"

    def __init__(self, script: Callable[[RequestParams], Answer]) -> None:
        self._script = script
        self.asked: list[RequestParams] = []

    async def responses(self, params: RequestParams) -> Response:
        self.asked.append(params)
        response = as_response(self._script(params), self.name)
        prompt, made = render(input_items(params)), render(response.output)
        last = cast("dict[str, Any]", response.output[-1])
        last["prompt_token_ids"] = list(prompt)
        last["generation_token_ids"] = list(made)
        last["generation_log_probs"] = [-0.5] * len(made)
        response.data["usage"] = {
            "input_tokens": len(prompt),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": len(made),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": len(prompt) + len(made),
        }
        return response


def render(items: list[Item]) -> bytes:
    """What the items say, as the bytes that stand for tokens."""
    lines: list[str] = []
    for item in items:
        match item["type"]:
            case "message":
                lines.append(f"<{item['role']}>{message_text(item)}\n")
            case "function_call":
                lines.append(f"<call>{item['name']} {item['arguments']}\n")
            case "function_call_output":
                output = item["output"]
                text = output if isinstance(output, str) else "".join(part["text"] for part in output)
                lines.append(f"<output>{text}\n")
            case _:
                pass
    return "".join(lines).encode()
