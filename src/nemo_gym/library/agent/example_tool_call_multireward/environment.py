"""A reward with several parts, so that trainers can weigh them and people can see which part is missing."""

import json
import re
from typing import Any

import msgspec

from nemo_gym import Environment, Response, Reward, Session, Task, tool
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import FunctionCall, Item, function_call, message_text
from nemo_gym.wire.task import Row


class ExpectedCall(msgspec.Struct):
    """The only right call, of a tool in the row's `responses_create_params.tools`."""

    name: str
    arguments: dict[str, Any] = {}


class KitchenTimer(Environment):
    """Tutorial: set one timer; correctness, valid arguments and answer format are rewarded separately."""

    domain = "agent"
    stateless = False
    reward_range = (0.0, 3.0)
    reward_components = {"correctness": (0.0, 1.0), "schema_valid": (0.0, 1.0), "format": (0.0, 1.0)}

    class Task(Task):
        """A timer to set, or an `expected_call` of a tool that the row offers."""

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
        """Answer a call of a tool that only the row offers."""
        if row_parameters(session.row, call["name"]) is None:
            return None
        session.state["called"] = True
        return "Done."

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        calls = response.function_calls
        if task.expected_call is not None:
            parts = grade_call(task.expected_call, response, session.row)
        else:
            timers = session.state.get("timers", [])
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
        call = task.expected_call
        if call is not None:
            arguments = json.dumps(call.arguments)
            return (
                "" if "called" in session.state else [function_call(call.name, arguments, call_id="call_1")]
            )
        if "timers" not in session.state:
            arguments = json.dumps({"minutes": task.minutes, "label": task.label})
            return [function_call("set_timer", arguments, call_id="call_1")]
        return f"Timer: {task.minutes} min"


def grade_call(expected: ExpectedCall, response: Response, row: Row) -> dict[str, float]:
    """The three parts for a row with an `expected_call`, whose answer must be that call and no text."""
    calls = [(call["name"], parse_arguments(call)) for call in response.function_calls]
    correct = any(
        name == expected.name and arguments is not None and expected.arguments.items() <= arguments.items()
        for name, arguments in calls
    )
    valid = False
    for name, arguments in calls[:1]:
        parameters = row_parameters(row, name)
        if parameters is not None and arguments is not None:
            valid = all(field in arguments for field in parameters.get("required") or ())
    texts = [message_text(item).strip() for item in response.output if item["type"] == "message"]
    return {
        "correctness": float(correct),
        "schema_valid": float(valid),
        "format": float(len(calls) == 1 and not any(texts)),
    }


def parse_arguments(call: FunctionCall) -> dict[str, Any] | None:
    """The arguments of a call; None when they are not a JSON object."""
    try:
        return msgspec.json.decode(call["arguments"], type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def row_parameters(row: Row, name: str) -> dict[str, Any] | None:
    """The parameters of a tool that the row offers; None when the row does not offer it."""
    for schema in row.get("responses_create_params", {}).get("tools") or ():
        if schema.get("name") == name:
            return schema.get("parameters") or {}
    return None
