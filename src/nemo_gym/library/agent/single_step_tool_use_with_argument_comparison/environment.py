"""One step of an agent: a message to the user, a tool call, or several, compared with the expected action."""

import json
import random
from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct

from nemo_gym import Environment, Response, Reward, Session, generate_tasks
from nemo_gym.environments import generated_calls
from nemo_gym.environments.base import Config
from nemo_gym.environments.generated_tasks import last_message
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.verifiers.tool_calls import (
    BatchMode,
    Call,
    CallScore,
    compare_call,
    read_arguments,
    read_calls,
    score_batch,
)
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import FunctionCall, Item, function_call
from nemo_gym.wire.params import ask
from nemo_gym.wire.task import Task


class MessageAction(Struct, tag_field="type", tag="message"):
    """A message to the user; any text is right."""

    content: str = ""


class CallAction(Struct, tag_field="type", tag="function_call"):
    """A tool call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


class BatchAction(Struct, tag_field="type", tag="function_call_batch"):
    """Several tool calls in any order."""

    calls: Annotated[list[CallAction], Meta(min_length=1)]


Action = MessageAction | CallAction | BatchAction


class Comparator(Struct, frozen=True, forbid_unknown_fields=True):
    """How calls are compared."""

    parallel_tool_call_reward_mode: BatchMode = "binary_strict"
    allow_subset: bool = False
    """Whether fewer calls than expected can earn a reward."""
    allow_superset: bool = False
    """Whether more calls than expected can earn a reward."""
    string_similarity_threshold: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.3
    """The least share of common words for texts of several words; equal texts have 0.5."""


class SingleStepToolUseWithArgumentComparison(Environment):
    """Take the next step of a conversation: a message, a tool call, or several, as expected."""

    domain = "agent"
    stateless = True

    class Config(Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """Difficulty: from one tool and one call to twelve tools and four calls."""
        tool_call_comparator_config: Comparator = Comparator()

    class Task(Task):
        expected_action: Action

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[Task]:
        return generate_tasks(self, self._draw, last_message, split=split, seed=seed, n=n)

    async def call_tool(self, call: FunctionCall, session: Session) -> str | None:
        return "The call is recorded."

    def seed(self, task: Task, session: Session) -> None:
        expected_calls(task.expected_action)

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        actual = read_calls(response.function_calls)
        if actual is None:
            score = CallScore(0.0, "too_many_calls")
        elif isinstance(task.expected_action, MessageAction):
            score = _score_message(actual, strip_reasoning(response.final_text))
        else:
            score = self._score_calls(task.expected_action, actual)
        answer = [call._asdict() for call in actual or ()] or None
        details = {"extracted_answer": answer, "category": score.reason, "reason": score.reason}
        return Reward(score.value, details=details)

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        if isinstance(task.expected_action, MessageAction) or session.state.setdefault("answered", False):
            return "That is done."
        session.state["answered"] = True
        calls = expected_calls(task.expected_action)
        return [
            function_call(call.name, json.dumps(call.arguments), call_id=f"call_{index}")
            for index, call in enumerate(calls)
        ]

    def _score_calls(self, action: CallAction | BatchAction, actual: list[Call]) -> CallScore:
        expected = expected_calls(action)
        rules: Comparator = self.config.tool_call_comparator_config
        if isinstance(action, BatchAction):
            return score_batch(
                expected,
                actual,
                mode=rules.parallel_tool_call_reward_mode,
                allow_subset=rules.allow_subset,
                allow_superset=rules.allow_superset,
                threshold=rules.string_similarity_threshold,
            )
        if len(actual) != 1:
            return CallScore(0.0, "too_many_calls" if actual else "no_call")
        problem = compare_call(expected[0], actual[0], rules.string_similarity_threshold)
        return CallScore(0.0, problem) if problem else CallScore(1.0, "right")

    def _draw(self, rng: random.Random) -> Task:
        request = generated_calls.draw_request(rng, self.config.level)
        actions = [CallAction(name, json.dumps(arguments)) for name, arguments in request.calls]
        action: Action = actions[0] if len(actions) == 1 else BatchAction(actions)
        text = request.text
        if rng.random() < MESSAGE_SHARE:
            action, text = MessageAction(), f"Call no tool. Just repeat this sentence: {text}"
        params: dict[str, Any] = {**ask(text, instructions=INSTRUCTIONS), "tools": request.tools}
        return self.Task(responses_create_params=params, expected_action=action)


MESSAGE_SHARE = 0.03
"""The share of tasks without a call. Any message solves them, so there are few."""
INSTRUCTIONS = "Take the next step: call the tools that the request needs, all at once, or answer in words."


def expected_calls(action: Action) -> list[Call]:
    """The calls of an action.

    Raises:
        TaskUnfit: the arguments of a call are no JSON object.
    """
    actions = action.calls if isinstance(action, BatchAction) else [action]
    calls: list[Call] = []
    for item in actions:
        if isinstance(item, MessageAction):
            continue
        if (arguments := read_arguments(item.arguments)) is None:
            raise TaskUnfit(f"expected_action: the arguments of {item.name} are not a JSON object")
        calls.append(Call(item.name, arguments))
    return calls


def _score_message(calls: list[Call], text: str) -> CallScore:
    if calls:
        return CallScore(0.0, "call_instead_of_message")
    return CallScore(1.0, "right") if text.strip() else CallScore(0.0, "no_answer")
