"""The answer of a model, or a whole trajectory, as a Responses API object."""

from __future__ import annotations

from typing import Final, TypedDict

from nemo_gym.wire.items import FunctionCall, Item, Json, Message, message_text

UNNAMED: Final = "resp_0"
"""The id of a response without an id of its own."""


class Usage(TypedDict):
    """Token counts; a detail of null is unknown, and so is every sum with it."""

    input_tokens: int
    input_tokens_details: dict[str, int | None]
    output_tokens: int
    output_tokens_details: dict[str, int | None]
    total_tokens: int


class Response:
    """A view on a Responses API object. `data` is the JSON object itself and the only state."""

    __slots__ = ("data",)

    def __init__(self, data: dict[str, Json]) -> None:
        self.data = data

    @classmethod
    def of(
        cls,
        output: list[Item],
        *,
        model: str = "",
        id: str = UNNAMED,
        created_at: float = 0.0,
        usage: Usage | None = None,
        incomplete: str | None = None,
    ) -> Response:
        """A response with `output`; `incomplete` is the reason why the model stopped early, if it did."""
        return cls(
            {
                "id": id,
                "created_at": created_at,
                "model": model,
                "object": "response",
                "output": output,
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "tools": [],
                "status": "incomplete" if incomplete else "completed",
                "incomplete_details": {"reason": incomplete} if incomplete else None,
                "usage": usage,
            }
        )

    @property
    def output(self) -> list[Item]:
        return self.data["output"]

    @property
    def model(self) -> str:
        return self.data.get("model") or ""

    @property
    def usage(self) -> Usage | None:
        return self.data.get("usage")

    @property
    def incomplete_reason(self) -> str | None:
        """`max_output_tokens`, `content_filter`, or None for an answer that ended by itself."""
        details = self.data.get("incomplete_details")
        return details.get("reason") if details else None

    @property
    def output_text(self) -> str:
        """The text of every assistant message, joined."""
        return "".join(message_text(message) for message in self.messages)

    @property
    def final_text(self) -> str:
        """The text of the last assistant messages in a row, which a verifier should read."""
        texts: list[str] = []
        for item in reversed(self.output):
            if item["type"] == "message" and item["role"] == "assistant":
                texts.append(message_text(item))
            elif texts:
                break
        return "".join(reversed(texts))

    @property
    def messages(self) -> list[Message]:
        """The assistant messages, in order."""
        return [item for item in self.output if item["type"] == "message" and item["role"] == "assistant"]

    @property
    def function_calls(self) -> list[FunctionCall]:
        """The function calls of the model, in order."""
        return [item for item in self.output if item["type"] == "function_call"]

    @property
    def open_calls(self) -> list[FunctionCall]:
        """The function calls that have no output yet."""
        calls = self.function_calls
        if not calls:
            return calls
        outputs = {item["call_id"] for item in self.output if item["type"] == "function_call_output"}
        return [call for call in calls if call["call_id"] not in outputs] if outputs else calls


def add_usage(total: Usage | None, new: Usage | None) -> Usage | None:
    """The sum of two usages; an unknown detail on either side makes that detail unknown."""
    if total is None or new is None:
        return new if total is None else total
    return {
        "input_tokens": total["input_tokens"] + new["input_tokens"],
        "input_tokens_details": _sums(total.get("input_tokens_details"), new.get("input_tokens_details")),
        "output_tokens": total["output_tokens"] + new["output_tokens"],
        "output_tokens_details": _sums(total.get("output_tokens_details"), new.get("output_tokens_details")),
        "total_tokens": total["total_tokens"] + new["total_tokens"],
    }


def _sums(left: dict[str, int | None] | None, right: dict[str, int | None] | None) -> dict[str, int | None]:
    """The sums of details; other programs may leave them out."""
    sums: dict[str, int | None] = dict.fromkeys(left or ())
    for name, b in (right or {}).items():
        a = left.get(name) if left else None
        sums[name] = None if a is None or b is None else a + b
    return sums
