"""A reward with parts, for trainers that weigh them and people who want to see which part was lost."""

import json
import re

from nemo_gym import Environment, Response, Reward, Session, Task, tool
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import Item, function_call


class KitchenTimer(Environment):
    """Tutorial: set one timer; correctness, valid arguments and answer format are rewarded separately."""

    domain = "agent"
    stateless = False
    reward_range = (0.0, 3.0)

    class Task(Task):
        minutes: int
        label: str

    @tool
    def set_timer(self, session: Session, minutes: int, label: str) -> str:
        """Set a kitchen timer.

        Args:
            minutes: How long, in minutes.
            label: What is cooking, one word.
        """
        session.state.setdefault("timers", []).append((minutes, label))
        return "Timer set."

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
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
        if "timers" not in session.state:
            arguments = json.dumps({"minutes": task.minutes, "label": task.label})
            return [function_call("set_timer", arguments, call_id="call_1")]
        return f"Timer: {task.minutes} min"
