"""How often each tool was called in a rollout, and how often the answer was an error: a tool that always
raises must not look like a model that can't solve the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from nemo_gym.environments.tool import is_tool_error
from nemo_gym.wire.rollout import Rollout


class ToolCount(msgspec.Struct, omit_defaults=True):
    """The calls of one tool."""

    calls: int = 0
    errors: int = 0
    error: str = ""
    """The text of one of the errors, shortened."""


class ToolCounts:
    """The calls of every tool, added up over rollouts. Tools that do not exist count as one."""

    def __init__(self) -> None:
        self.by_name: dict[str, ToolCount] = {}

    def add(self, name: str, counted: ToolCount) -> None:
        """Take in what one rollout did with a tool."""
        total = self.by_name.get(name)
        if total is None:
            if len(self.by_name) >= _MOST_NAMES:
                name = OTHERS
            total = self.by_name.setdefault(name, ToolCount())
        total.calls += counted.calls
        total.errors += counted.errors
        total.error = total.error or counted.error


def count_tools(rollout: Rollout) -> None:
    """Note on a rollout which tools were called in it; nothing where none was."""
    if rollout.response is None:
        return
    calls = rollout.response.function_calls
    if not calls:
        return
    names = {call["call_id"]: call["name"] for call in calls}
    counts = ToolCounts()
    for item in cast("list[dict[str, Any]]", rollout.response.output):
        if item["type"] == "function_call_output" and (name := names.get(item["call_id"])) is not None:
            text = item["output"]
            if not isinstance(text, str) or not is_tool_error(text):
                counts.add(name[:_MOST_NAME], ToolCount(1))
            elif text.startswith(_NO_SUCH):
                counts.add(NO_SUCH_TOOL, ToolCount(1, 1, text[:_MOST_TEXT]))
            else:
                counts.add(name[:_MOST_NAME], ToolCount(1, 1, text[:_MOST_TEXT]))
    rollout.tool_calls = msgspec.to_builtins(counts.by_name)


def read_counts(raw: bytes) -> Mapping[str, ToolCount]:
    """What a row says of its tools; nothing where another program wrote something else there."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


NO_SUCH_TOOL: Final = "(no such tool)"
OTHERS: Final = "(others)"
_NO_SUCH: Final = '{"error":"There is no tool '
_MOST_NAMES: Final = 100
_MOST_NAME: Final = 64
_MOST_TEXT: Final = 200
_decoder: Final = msgspec.json.Decoder(dict[str, ToolCount])
