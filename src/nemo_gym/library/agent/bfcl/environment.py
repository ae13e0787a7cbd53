"""Function calls, each argument of which may have one of several values, or no call at all."""

import json
import random
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, cast

from msgspec import Meta

from nemo_gym import Environment, Response, Reward, Session, Task, ask, generate_tasks
from nemo_gym.environments import generated_calls
from nemo_gym.environments.generated_tasks import last_message
from nemo_gym.verifiers.possible_calls import match_possible
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.verifiers.tool_calls import read_calls
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import FunctionCall, Item, function_call

INSTRUCTIONS = (
    "Answer with every tool call that the request needs, all at once, and no other. If no tool fits the "
    "request, call none and say why in a sentence."
)


class Bfcl(Environment):
    """Make the function calls that a request needs, or none where no function fits."""

    domain = "agent"
    stateless = True

    class Config(Environment.Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """Difficulty of the generated tasks: from one tool and one call to twelve tools and four calls."""

    class Task(Task):
        functions: list[dict[str, Any]]
        """The descriptions with `name` and `parameters`, in the types of the leaderboard."""
        possible_calls: list[dict[str, dict[str, list[Any]]]]
        """The calls: for each argument the possible values. Empty when no function fits."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[Task]:
        return generate_tasks(self, self.draw, question, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> Task:
        """A task of the level of the settings. In one of six none of the functions fits."""
        request = generated_calls.draw_request(rng, self.config.level)
        names = {name for name, _ in request.calls}
        tools: list[dict[str, Any]] = [dict(tool) for tool in request.tools]
        if fits := rng.randrange(6) > 0 or all(tool["name"] in names for tool in tools):
            possible = [
                {name: {key: [value] for key, value in arguments.items()}}
                for name, arguments in request.calls
            ]
        else:
            possible = []
        offers = tools if fits else [tool for tool in tools if tool["name"] not in names]
        params: dict[str, Any] = {**ask(request.text, instructions=INSTRUCTIONS), "tools": offers}
        return self.Task(responses_create_params=params, functions=offers, possible_calls=possible)

    async def call_tool(self, call: FunctionCall, session: Session) -> str | None:
        return "The call is recorded."

    def seed(self, task: Task, session: Session) -> None:
        """Refuse a row whose calls name no function of it."""
        names = {str(function.get("name")) for function in task.functions}
        for call in task.possible_calls:
            if len(call) != 1 or not call.keys() <= names:
                raise TaskUnfit(
                    f"possible_calls: expected one of {', '.join(sorted(names))}, got {list(call)}"
                )

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        calls = read_calls(response.function_calls)
        if calls is None:
            return Reward(0.0, details={"extracted_answer": None, "reason": "too_many_calls"})
        details: dict[str, Any] = {"extracted_answer": [call._asdict() for call in calls] or None}
        if task.possible_calls:
            score = match_possible(task.functions, task.possible_calls, calls)
            return Reward(score.value, details={**details, "reason": score.reason})
        text = strip_reasoning(response.final_text)
        reason = "unneeded_call" if calls else "right" if says_why(text) else "no_answer"
        return Reward(float(reason == "right"), details={**details, "reason": reason})

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        if not task.possible_calls:
            return "I can't do that with the tools that I have."
        if session.state.setdefault("answered", False):
            return "That is done."
        session.state["answered"] = True
        required = {one["name"]: one.get("parameters", {}).get("required", ()) for one in task.functions}
        return [
            function_call(name, json.dumps(arguments_of(values, required[name])), call_id=f"call_{index}")
            for index, call in enumerate(task.possible_calls)
            for name, values in call.items()
        ]


MIN_WORDS = 5
"""The words of the shortest sentence that says why no function fits."""


def says_why(text: str) -> bool:
    """Whether a text has enough words to be a reason; it is not judged further."""
    return len(text.split()) >= MIN_WORDS


def arguments_of(values: Mapping[str, Any], required: Collection[str] = ()) -> dict[str, Any]:
    """The first possible value of each argument. One that may be left out is left out, unless required."""
    arguments: dict[str, Any] = {}
    for name, choices in values.items():
        texts = cast("list[Any]", choices) if isinstance(choices, list) else [choices]
        options = [choice for choice in texts if choice != ""]
        if options and (name in required or len(options) == len(texts)):
            arguments[name] = plain(options[0])
    return arguments


def plain(value: Any) -> Any:
    """A possible value without the lists of choices inside of it."""
    if isinstance(value, dict):
        return arguments_of(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, list):
        return [plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def question(task: Bfcl.Task) -> str:
    """What makes a task a different one."""
    return f"{last_message(task)} {bool(task.possible_calls)}"
