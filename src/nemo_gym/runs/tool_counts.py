"""How often each tool was called in a rollout, and how often the answer was an error: a tool that always
raises must not look like a model that can't solve the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec

from nemo_gym.environments.tool import is_tool_error
from nemo_gym.wire.rollout import Rollout

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
"""A count, and not something else that another program wrote."""


class ToolCount(msgspec.Struct, omit_defaults=True):
    """The calls of one tool."""

    calls: Number = 0
    errors: Number = 0
    error: str = ""
    """The text of one of the errors, shortened."""


class ToolCounts:
    """The calls of every tool, added up over rollouts. Tools that do not exist count as one."""

    def __init__(self) -> None:
        self.by_name: dict[str, ToolCount] = {}

    def add(self, name: str, counted: ToolCount) -> None:
        """Take in what one rollout did with a tool."""
        name = name[:_MOST_NAME]
        total = self.by_name.get(name)
        if total is None:
            if len(self.by_name) >= _MOST_NAMES:
                name = OTHERS
            total = self.by_name.setdefault(name, ToolCount())
        total.calls += counted.calls
        total.errors += counted.errors
        total.error = total.error or counted.error


def count_tools(rollout: Rollout) -> None:
    """Note on a rollout which tools were called in it; nothing where none was. A trajectory that another
    program made may hold anything."""
    output: Any = None if rollout.response is None else rollout.response.data.get("output")
    if not isinstance(output, list):
        return
    counts = ToolCounts()
    waiting: dict[str, list[str]] = {}
    for each in cast("list[Any]", output):
        item = cast("dict[str, Any]", each) if isinstance(each, dict) else _NOTHING
        kind = item.get("type")
        if kind not in _OF_TOOLS:
            continue
        id, name = item.get("call_id"), item.get("name")
        if not isinstance(id, str):
            continue
        if kind == "function_call_output":
            if names := waiting.get(id):
                _count(counts, names.pop(0) if len(names) > 1 else names[0], item.get("output"))
        elif isinstance(name, str):
            waiting.setdefault(id, []).append(name)
    if waiting:
        rollout.tool_calls = msgspec.to_builtins(counts.by_name)


def _count(counts: ToolCounts, name: str, text: object) -> None:
    if not isinstance(text, str) or not is_tool_error(text):
        counts.add(name, ToolCount(1))
    elif text.startswith(_NO_SUCH):
        counts.add(NO_SUCH_TOOL, ToolCount(1, 1, text[:_MOST_TEXT]))
    else:
        counts.add(name, ToolCount(1, 1, text[:_MOST_TEXT]))


def read_counts(raw: bytes) -> Mapping[str, ToolCount]:
    """What a row says of its tools; nothing where another program wrote something else there."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


NO_SUCH_TOOL: Final = "(no such tool)"
OTHERS: Final = "(others)"
_NOTHING: Final[dict[str, Any]] = {}
_OF_TOOLS: Final = ("function_call", "function_call_output")
_NO_SUCH: Final = '{"error":"There is no tool '
_MOST_NAMES: Final = 100
_MOST_NAME: Final = 64
_MOST_TEXT: Final = 200
_decoder: Final = msgspec.json.Decoder(dict[str, ToolCount])
