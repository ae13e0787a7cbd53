"""Two baseline models: one guesses at random, and one knows the answer."""

from __future__ import annotations

import inspect
import random
import re
from typing import Any, Final

from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import LocalEnvironment, raise_fault
from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.models.chatml import offered_tools
from nemo_gym.models.replay import request_digest
from nemo_gym.models.schema_values import random_value
from nemo_gym.models.scripted import as_response
from nemo_gym.wire import keys
from nemo_gym.wire.errors import EnvironmentFault, ModelRejected
from nemo_gym.wire.items import Item, function_call, message_text
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response

MAX_RANDOM_CALLS: Final = 4
"""After this many tool calls the random model only answers."""


class RandomModel(Model):
    """Guesses an option or number like those in the question, and calls tools with arguments that fit.

    The same seed, task and repeat give the same guesses.
    """

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def for_session(self, session: Session) -> Model:
        row = session.row
        identity = f"{row.get(keys.TASK_INDEX, 0)}:{row.get(keys.ROLLOUT_INDEX, 0)}"
        return _Guesser(random.Random(f"{self.seed}:{identity}"))

    async def responses(self, params: RequestParams) -> Response:
        return await _Guesser(random.Random(f"{self.seed}:{request_digest(params)}")).responses(params)


class OracleModel(Model):
    """Answers with the environment's own `oracle`; it works only inside a rollout."""

    name = "oracle"

    def __init__(self, link: LocalEnvironment) -> None:
        self._environment = link.environment

    def for_session(self, session: Session) -> Model:
        return _SessionOracle(self._environment, session)

    async def responses(self, params: RequestParams) -> Response:
        raise ModelRejected("the oracle answers only inside a rollout: the agent must call for_session")


class _Guesser(Model):
    name = RandomModel.name

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    async def responses(self, params: RequestParams) -> Response:
        rng, items, tools = self._rng, input_items(params), offered_tools(params)
        calls = sum(item.get("type") == "function_call" for item in items)
        must = params.get("tool_choice") not in (None, "auto", "none")
        if tools and (must or (calls < MAX_RANDOM_CALLS and rng.random() < 0.5)):
            tool = rng.choice(tools)
            arguments = random_value(tool.get("parameters") or {"type": "object"}, rng)
            call_id = f"call_{rng.getrandbits(64):016x}"
            call: Item = function_call(tool.get("name", ""), encode(arguments).decode(), call_id=call_id)
            return as_response([call], self.name)
        return as_response(_guess(_question(items), rng), self.name)


class _SessionOracle(Model):
    name = OracleModel.name

    def __init__(self, environment: Environment, session: Session) -> None:
        self._environment = environment
        self._session = session

    async def responses(self, params: RequestParams) -> Response:
        environment = self._environment
        try:
            answer: Any = environment.oracle(self._session.task, self._session)
            if inspect.isawaitable(answer):
                answer = await answer
        except BaseException as error:
            raise_fault(error, EnvironmentFault, "oracle")
        if answer is None:
            raise ModelRejected(f"environment {environment.name()} has no oracle answer for this task")
        return as_response(answer, self.name)


_MAX_QUESTION: Final = 20_000
"""The most characters of a question that are searched for options and numbers."""
_OPTION = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]", re.MULTILINE)
_NUMBER = re.compile(r"\d{1,9}")
_WORD = re.compile(r"[A-Za-z]{2,20}")


def _question(items: list[Item]) -> str:
    """The end of the last user message."""
    for item in reversed(items):
        if item.get("type", "message") == "message" and item.get("role") == "user":  # type: ignore[union-attr]
            return message_text(item)[-_MAX_QUESTION:]  # type: ignore[arg-type]
    return ""


def _guess(question: str, rng: random.Random) -> str:
    options = sorted(set(_OPTION.findall(question)))
    numbers = [int(number) for number in _NUMBER.findall(question)]
    if len(options) > 1:
        answer = rng.choice(options)
    elif numbers:
        answer = str(rng.randint(0, 2 * max(numbers) + 1))
    else:
        answer = rng.choice(_WORD.findall(question) or ["yes", "no"])
    if "\\boxed" in question:
        return f"\\boxed{{{answer}}}"
    return f"<answer>{answer}</answer>" if "<answer>" in question else answer
