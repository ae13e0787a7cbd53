"""The two tasks that every subject of the benchmark runs, and the rule that makes an answer right.

Each task carries its own twelve-character token between markers. The mock endpoint copies the token
into its reply, so that every answer is right, different, and can be checked without any state.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

Kind = Literal["single", "tool"]

MODEL = "bench-model"
MARK = "@@"
TOKEN_CHARS = 12
TOOL_RESULT = "18 degrees, light wind from the west, no rain"

TOOL_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Name of the city."}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL_DESCRIPTION = "Return today's weather in a city."

_FILLER = (
    "The clerk wrote the ledger by hand, one column for the harbour, one for the mill, and one for "
    "whatever did not fit. Nobody has asked for it since, and the ink has faded unevenly. "
)


def token(index: int) -> str:
    """The answer of task `index`: twelve characters."""
    return f"amber-{index:06d}"


def prompt(kind: Kind, index: int) -> str:
    """The user message of task `index`, about 2,000 characters."""
    note = _FILLER * 10
    if kind == "tool":
        return (
            f"{note}\nWhat is the weather today in the city called {MARK}{token(index)}{MARK}? "
            "Call the tool get_weather once, then reply. "
            "End with the line 'Final answer: <name of the city>'."
        )
    return (
        f"{note}\nThe code word of this note is {MARK}{token(index)}{MARK}. Think about the note, then "
        "end your reply with the line 'Final answer: <code word>'."
    )


def reply_text(answer: str) -> str:
    """The final reply of the mock endpoint, about 1,500 characters."""
    return f"{_FILLER * 8}\nFinal answer: {answer}"


def chat_body(kind: Kind, index: int) -> dict[str, Any]:
    """The Chat Completions request of task `index`: its first, and for `single` its only one."""
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt(kind, index)}],
        "temperature": 1.0,
        "max_tokens": 1024,
    }
    if kind == "tool":
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": TOOL_DESCRIPTION,
                    "parameters": TOOL_PARAMETERS,
                },
            }
        ]
    return body


def gym_row(kind: Kind, index: int) -> dict[str, Any]:
    """Task `index` as a NeMo Gym task row."""
    params: dict[str, Any] = {
        "input": [{"role": "user", "content": prompt(kind, index)}],
        "temperature": 1.0,
        "max_output_tokens": 1024,
    }
    if kind == "tool":
        params["tools"] = [
            {
                "type": "function",
                "name": "get_weather",
                "description": TOOL_DESCRIPTION,
                "parameters": TOOL_PARAMETERS,
                "strict": True,
            }
        ]
    return {"responses_create_params": params, "expected_answer": token(index)}


def plain_row(kind: Kind, index: int) -> dict[str, Any]:
    """Task `index` as `{prompt, answer, reply}`, for subjects that bring their own format."""
    answer = token(index)
    return {"prompt": prompt(kind, index), "answer": answer, "reply": reply_text(answer)}


def write_rows(path: Path, rows: Any) -> None:
    """Write an iterable of JSON values, one a line."""
    with path.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, separators=(",", ":")))
            out.write("\n")
