"""A reward with parts, for trainers that weigh them and people who want to see which part was lost."""

import json
import re
from typing import Any

import msgspec

from nemo_gym import Environment, Response, Reward, Session, Task, tool
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import FunctionCall, Item, function_call, message_text
from nemo_gym.wire.task import Row


class ExpectedCall(msgspec.Struct):
    """The one call that is right, of a tool in the row's `responses_create_params.tools`."""

    name: str
    arguments: dict[str, Any] = {}


class KitchenTimer(Environment):
    """Tutorial: set one timer; correctness, valid arguments and answer format are rewarded separately."""

    domain = "agent"
    stateless = False
    reward_range = (0.0, 3.0)

    class Task(Task):
        """A timer to set, or an `expected_call` of any tool that the row itself offers."""

        minutes: int | None = None
        label: str | None = None
        expected_call: ExpectedCall | None = None

        def __post_init__(self) -> None:
            if self.expected_call is None and (self.minutes is None or self.label is None):
                raise ValueError("a task here needs minutes and label, or an expected_call")

    @tool
    def set_timer(self, session: Session, minutes: int, label: str) -> str:
        """Set a kitchen timer.

        Args:
            minutes: How long, in minutes.
            label: What is cooking, one word.
        """
        session.state.setdefault("timers", []).append((minutes, label))
        return "Timer set."

    async def call_tool(self, call: FunctionCall, session: Session) -> str | None:
        if _schema_of(call["name"], session.row) is None:
            return None
        session.state["called"] = True
        return "Done."

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        if task.expected_call is not None:
            parts = _parts_of_call(task.expected_call, response, session.row)
            return Reward(sum(parts.values()), components=parts, details=parts)
        timers = session.state.get("timers", [])
        calls = response.function_calls
        answer = strip_reasoning(response.final_text).strip()
        parts = {
            "correctness": float(timers == [(task.minutes, task.label)]),
            # Calls with invalid arguments never reach the tool, so they leave no timer.
            "schema_valid": float(0 < len(calls) == len(timers)),
            "format": float(bool(calls) and re.fullmatch(r"Timer: \d{1,4} min", answer) is not None),
        }
        # Details become columns of the result, so that each part gets its own statistics.
        return Reward(sum(parts.values()), components=parts, details=parts)

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        if task.expected_call is not None:
            return "" if "called" in session.state else _right_call(task.expected_call)
        if "timers" not in session.state:
            arguments = json.dumps({"minutes": task.minutes, "label": task.label})
            return [function_call("set_timer", arguments, call_id="call_1")]
        return f"Timer: {task.minutes} min"


def _parts_of_call(expected: ExpectedCall, response: Response, row: Row) -> dict[str, float]:
    """The same three parts for a row that names the call: here, the answer is to be the call and no text."""
    calls = response.function_calls
    arguments = [_arguments_of(call) for call in calls]
    schema = _schema_of(calls[0]["name"], row) if calls else None
    first = arguments[0] if arguments else None
    return {
        "correctness": float(
            any(
                call["name"] == expected.name
                and values is not None
                and all(
                    name in values and values[name] == value for name, value in expected.arguments.items()
                )
                for call, values in zip(calls, arguments, strict=True)
            )
        ),
        "schema_valid": float(
            schema is not None
            and first is not None
            and all(name in first for name in schema.get("required") or ())
        ),
        "format": float(len(calls) == 1 and not _says_anything(response)),
    }


def _says_anything(response: Response) -> bool:
    return any(item["type"] == "message" and message_text(item).strip() for item in response.output)


def _arguments_of(call: FunctionCall) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(call["arguments"], type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _schema_of(name: str, row: Row) -> dict[str, Any] | None:
    """The parameters of a tool that the row offers; None for another."""
    for offered in row.get("responses_create_params", {}).get("tools") or ():
        if offered.get("name") == name:
            return offered.get("parameters") or {}
    return None


def _right_call(expected: ExpectedCall) -> list[Item]:
    return [function_call(expected.name, json.dumps(expected.arguments), call_id="call_1")]
