"""How often each tool was called in a rollout, and how often its answer was an error. Without these counts a
tool that always raises looks like a model that can't solve the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from nemo_gym.environments.tool import is_tool_error
from nemo_gym.wire.json_values import objects_of
from nemo_gym.wire.rollout import Rollout

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
"""A count in a row, which another program may have written."""


class ToolCount(msgspec.Struct, omit_defaults=True):
    """The calls of one tool."""

    calls: Number = 0
    errors: Number = 0
    error: str = ""
    """The text of one of the errors, shortened."""


class ToolCounts:
    """The calls of every tool, added up over rollouts. All tools that do not exist count as one tool."""

    def __init__(self) -> None:
        self.by_name: dict[str, ToolCount] = {}

    def add(self, name: str, count: ToolCount) -> None:
        """Add the calls of a tool in one rollout."""
        total = self.by_name.setdefault(_label(name, self.by_name), ToolCount())
        total.calls += count.calls
        total.errors += count.errors
        total.error = total.error or count.error


def count_tools(rollout: Rollout) -> None:
    """Set the counts of a rollout with tool calls. Another program may have made its items."""
    if rollout.response is None:
        return
    counts: dict[str, dict[str, Any]] = {}
    waiting: dict[str, list[str]] = {}
    for item in objects_of(rollout.response.data.get("output")):
        kind = item.get("type")
        if kind == "function_call":
            id, name = item.get("call_id"), item.get("name")
            if isinstance(id, str) and isinstance(name, str):
                waiting.setdefault(id, []).append(name)
        elif kind == "function_call_output":
            id = item.get("call_id")
            if isinstance(id, str) and (names := waiting.get(id)):
                _count(counts, names.pop(0) if len(names) > 1 else names[0], item.get("output"))
    if waiting:
        rollout.tool_calls = counts


def _count(counts: dict[str, dict[str, Any]], name: str, text: object) -> None:
    """Count one call. The fields are those of `ToolCount`."""
    error = text if isinstance(text, str) and is_tool_error(text) else None
    if error is not None and error.startswith(_NO_SUCH):
        name = NO_SUCH_TOOL
    count = counts.setdefault(_label(name, counts), {"calls": 0})
    count["calls"] += 1
    if error is not None:
        count["errors"] = count.get("errors", 0) + 1
        count.setdefault("error", error[:_MOST_TEXT])


def _label(name: str, counts: Mapping[str, object]) -> str:
    """The name under which a tool is counted; a model may invent any number of names."""
    name = name[:_MOST_NAME]
    return name if name in counts or len(counts) < _MOST_NAMES else OTHERS


def read_counts(raw: bytes) -> Mapping[str, ToolCount]:
    """The counts in a row; none where another program wrote something else there."""
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
