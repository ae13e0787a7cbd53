"""Calculations with odd calculators: their results must be used, not those of usual arithmetic."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

import msgspec

from nemo_gym import Reward, Session, Task, ToolError, ask, generate_tasks, tool
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import last_message
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, function_call
from nemo_gym.wire.response import Response

MAX_CALLS: Final = 200
"""The most results of a rollout that count."""


class MathAdvancedCalculationsTask(Task):
    """The results that the tools must give in the rollout."""

    ground_truth: str
    """The JSON text of a list of numbers."""
    calls: list[dict[str, Any]] = []
    """Calls that give them; only the oracle reads them."""


class MathAdvancedCalculations(Environment):
    """Calculate with tools that calculate otherwise than usual, and trust them."""

    domain: ClassVar[str] = "math"
    stateless: ClassVar[bool | None] = False

    Task = MathAdvancedCalculationsTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """Expressions with 1 to 5 operations, each of which needs the results before it."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[MathAdvancedCalculationsTask]:
        return generate_tasks(self, self.make, last_message, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> MathAdvancedCalculationsTask:
        """Draw an expression, whose value is not the usual one."""
        problem = draw_expression(rng, self.config.level + 1)
        question = (
            f"Calculate {problem.text} with the tools, one operation at a time. They calculate otherwise "
            "than usual, and only their results are right here. Then give the final result."
        )
        return MathAdvancedCalculationsTask(
            responses_create_params={**ask(question)},
            ground_truth=json.dumps([problem.value]),
            calls=problem.calls,
        )

    def seed(self, task: MathAdvancedCalculationsTask, session: Session) -> None:
        """Refuse a row without results.

        Raises:
            TaskUnfit: with the reason.
        """
        results(task)

    @tool
    def add(self, session: Session, a: float, b: float) -> str:
        """Add two numbers; a + b."""
        return calculate(session, "add", a, b)

    @tool
    def subtract(self, session: Session, a: float, b: float) -> str:
        """Subtract two numbers; a - b."""
        return calculate(session, "subtract", a, b)

    @tool
    def multiply(self, session: Session, a: float, b: float) -> str:
        """Multiply two numbers; a * b."""
        return calculate(session, "multiply", a, b)

    @tool
    def divide(self, session: Session, a: float, b: float) -> str:
        """Divide two numbers; a / b."""
        return calculate(session, "divide", a, b)

    @tool
    def power(self, session: Session, a: float, b: float) -> str:
        """Raise a number to a power; a ** b."""
        return calculate(session, "power", a, b)

    @tool
    def log(self, session: Session, a: float, base: float) -> str:
        """Take the logarithm of a number to a base."""
        return calculate(session, "log", a, base)

    @tool
    def sin(self, session: Session, radians: float) -> str:
        """Take the sine of an angle in radians."""
        return calculate(session, "sin", radians)

    @tool
    def cos(self, session: Session, radians: float) -> str:
        """Take the cosine of an angle in radians."""
        return calculate(session, "cos", radians)

    @tool
    def pi(self, session: Session) -> str:
        """Return the number pi."""
        return calculate(session, "pi")

    @tool
    def negate(self, session: Session, a: float) -> str:
        """Negate a number; -a."""
        return calculate(session, "negate", a)

    @tool
    def return_constant(self, session: Session, a: float) -> str:
        """Return a number as it is."""
        return calculate(session, "return_constant", a)

    def verify(self, task: MathAdvancedCalculationsTask, response: Response, session: Session) -> Reward:
        values: list[float] = session.state.get("values", [])
        expected = results(task)
        right = len(values) <= MAX_CALLS and all(one in values for one in expected)
        reason = "right" if right else "wrong" if values else "no_answer"
        details = {"extracted_answer": str(values[-1]) if values else None, "reason": reason}
        return Reward(float(right), details=details)

    def oracle(self, task: MathAdvancedCalculationsTask, session: Session) -> str | list[Item] | None:
        values: list[float] = session.state.get("values", [])
        if not task.calls:
            return None
        if len(values) == len(task.calls):
            return f"The result is {values[-1]}."
        call = task.calls[len(values)]
        named: dict[str, float | dict[str, int]] = call["arguments"]
        arguments = {
            name: values[one["result"]] if isinstance(one, dict) else one for name, one in named.items()
        }
        return [function_call(call["name"], json.dumps(arguments), call_id=f"call_{len(values)}")]


def _add(a: float, b: float) -> float:
    return a + b + 1.2


def _subtract(a: float, b: float) -> float:
    return a - b - 3


def _multiply(a: float, b: float) -> float:
    return 1.1 * a * b


def _divide(a: float, b: float) -> float:
    return 0.5 * a / b


def _power(a: float, b: float) -> float:
    return a ** (b + 2)


def _log(a: float, base: float) -> float:
    return math.log(a, abs(base + 1.5))


def _pi() -> float:
    return math.e


def _same(a: float) -> float:
    return a


OPERATIONS: Final[dict[str, Callable[..., float]]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "log": _log,
    "sin": math.cos,
    "cos": math.sin,
    "pi": _pi,
    "negate": _same,
    "return_constant": _same,
}
"""What the tools really calculate."""
SIGNS: Final = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
"""The operations of the generated tasks."""


@dataclass
class Expression:
    """An expression in usual notation, its value by the tools, and the calls that give it."""

    text: str
    value: float
    calls: list[dict[str, Any]]


def draw_expression(rng: random.Random, operations: int) -> Expression:
    """A chain of so many operations on whole numbers and the results so far."""
    number = rng.randint(2, 30)
    problem, operand = Expression(str(number), float(number), []), number
    for place in range(operations):
        name, number = rng.choice(list(SIGNS)), rng.randint(2, 30)
        is_swapped = name != "divide" and rng.random() < 0.4
        values = [problem.value, number][:: -1 if is_swapped else 1]
        texts = [problem.text, str(number)][:: -1 if is_swapped else 1]
        a, b = [operand, number][:: -1 if is_swapped else 1]
        call = {"name": name, "arguments": {"a": a, "b": b}}
        text = f"({texts[0]} {SIGNS[name]} {texts[1]})"
        problem = Expression(text, OPERATIONS[name](*values), [*problem.calls, call])
        operand = {"result": place}
    return problem


def calculate(session: Session, name: str, *arguments: float) -> str:
    """Apply an operation, remember its result for the verifier, and write it.

    Raises:
        ToolError: there is no result.
    """
    try:
        value = float(OPERATIONS[name](*arguments))
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ToolError(f"{name}: {error}") from None
    if not math.isfinite(value):
        raise ToolError(f"{name}: the result is not a finite number")
    session.state.setdefault("values", []).append(value)
    return json.dumps({"solution": value})


def results(task: MathAdvancedCalculationsTask) -> list[float]:
    """The results of a row.

    Raises:
        TaskUnfit: they are no list of numbers, or an empty one.
    """
    try:
        numbers = msgspec.json.decode(task.ground_truth, type=list[float])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise TaskUnfit("ground_truth is not the JSON text of a list of numbers") from None
    if not numbers:
        raise TaskUnfit("ground_truth is empty: any rollout would be right")
    return numbers
