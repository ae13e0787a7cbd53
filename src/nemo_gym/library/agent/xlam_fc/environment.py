"""Function calling: the calls of the answer must be the ones that the request needs."""

import json
import random
from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct

from nemo_gym import Environment, Response, Reward, Session, generate_tasks
from nemo_gym.environments import generated_calls
from nemo_gym.environments.base import Config
from nemo_gym.environments.generated_tasks import last_message
from nemo_gym.verifiers.tool_calls import Call, match_all, read_arguments, read_calls
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import FunctionCall, Item, function_call
from nemo_gym.wire.params import ask
from nemo_gym.wire.task import Task


class ExpectedCall(Struct):
    """A call that the answer needs; `arguments` is an object, or its JSON text."""

    name: str
    arguments: dict[str, Any] | str = {}


class XlamFc(Environment):
    """Answer a request with the right tool calls, all of them and no other."""

    domain = "agent"
    stateless = True

    class Config(Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """Difficulty: from one tool and one call to twelve tools and four calls."""

    class Task(Task):
        expected_answers: list[ExpectedCall]
        """The calls, in any order."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[Task]:
        return generate_tasks(self, self._draw, last_message, split=split, seed=seed, n=n)

    async def call_tool(self, call: FunctionCall, session: Session) -> str | None:
        return "The call is recorded."

    def seed(self, task: Task, session: Session) -> None:
        expected_calls(task.expected_answers)

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        expected = expected_calls(task.expected_answers)
        actual = read_calls(response.function_calls)
        if actual is None:
            return Reward(0.0, details={"extracted_answer": None, "reason": "too_many_calls"})
        score = match_all(expected, actual)
        answer = [call._asdict() for call in actual] or None
        return Reward(score.value, details={"extracted_answer": answer, "reason": score.reason})

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        if session.state.setdefault("answered", False):
            return "That is done."
        session.state["answered"] = True
        calls = expected_calls(task.expected_answers)
        return [
            function_call(call.name, json.dumps(call.arguments), call_id=f"call_{index}")
            for index, call in enumerate(calls)
        ]

    def _draw(self, rng: random.Random) -> Task:
        request = generated_calls.draw_request(rng, self.config.level)
        params: dict[str, Any] = {**ask(request.text, instructions=INSTRUCTIONS), "tools": request.tools}
        expected = [ExpectedCall(name, arguments) for name, arguments in request.calls]
        return self.Task(responses_create_params=params, expected_answers=expected)


INSTRUCTIONS = "Answer with tool calls only: every call that the request needs, all at once, and no other."


def expected_calls(answers: list[ExpectedCall]) -> list[Call]:
    """The expected calls with their arguments as objects.

    Raises:
        TaskUnfit: there is no call, or the arguments of one are no JSON object.
    """
    if not answers:
        raise TaskUnfit("expected_answers is empty: a row needs at least one expected call")
    calls: list[Call] = []
    for answer in answers:
        arguments = (
            read_arguments(answer.arguments) if isinstance(answer.arguments, str) else answer.arguments
        )
        if arguments is None:
            raise TaskUnfit(f"expected_answers: the arguments of {answer.name} are not a JSON object")
        calls.append(Call(answer.name, arguments))
    return calls
