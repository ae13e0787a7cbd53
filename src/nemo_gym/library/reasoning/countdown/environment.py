"""Countdown: combine numbers with + - * / to a target."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

import msgspec

from nemo_gym import Reward, Session, Task, ask, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import after_solved_tasks
from nemo_gym.verifiers.arithmetic_expression import Expression, read_expression
from nemo_gym.verifiers.exact import extract_answer
from nemo_gym.verifiers.opposition import is_opposed_before
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.response import Response

LEVELS: Final = ((2, 40), (4, 20), (4, 50), (5, 99), (6, 99))
"""How many numbers a task has, and the largest of them, at each level."""
MAX_TARGET: Final = 999
MAX_NUMBERS: Final = 12


class CountdownTask(Task):
    """Numbers to combine."""

    numbers: list[int]
    target: int
    solution: str | None = None
    """An expression that is right; only the oracle reads it."""


class Countdown(Environment):
    """Combine all numbers of a list, each exactly once, to a target with + - * / and brackets."""

    domain: ClassVar[str] = "reasoning"
    stateless: ClassVar[bool | None] = True
    answer_key: ClassVar[str | None] = "extracted_answer"

    Task = CountdownTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """From 2 numbers up to 40, after two solved tasks, to 6 numbers up to 99."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[CountdownTask]:
        return generate_tasks(
            self, self.make, lambda task: f"{task.numbers} {task.target}", split=split, seed=seed, n=n
        )

    def make(self, rng: random.Random) -> CountdownTask:
        """Draw a task that has a solution; at level 0 two solved ones come before it."""
        task = self.draw(rng)
        return task if self.config.level > 0 else after_solved_tasks(task, self.draw, solution)

    def draw(self, rng: random.Random) -> CountdownTask:
        """Draw a task without solved ones."""
        level: int = self.config.level
        count, largest = LEVELS[level]
        while True:
            numbers = sorted(rng.randint(1, largest) for _ in range(count))
            expression, target = _combine(rng, numbers)
            if target <= MAX_TARGET and target not in numbers:
                return CountdownTask(
                    responses_create_params={**ask(prompt(numbers, target))},
                    numbers=numbers,
                    target=target,
                    solution=expression,
                )

    def seed(self, task: CountdownTask, session: Session) -> None:
        """Refuse a row without usable numbers.

        Raises:
            TaskUnfit: with the reason.
        """
        if not 1 <= len(task.numbers) <= MAX_NUMBERS:
            raise TaskUnfit(f"numbers has {len(task.numbers)} entries: give 1 to {MAX_NUMBERS}")
        if not all(0 <= number < 10**9 for number in task.numbers):
            raise TaskUnfit("numbers has an entry below 0 or above 999999999")

    @blocking
    def verify(self, task: CountdownTask, response: Response, session: Session) -> Reward:
        answer = answer_in(response.final_text)
        expression = None if answer is None else _without_result(answer, task.target)
        reason = "no_answer" if answer is None else verdict(expression, task)
        return Reward(float(reason == "right"), details={"extracted_answer": answer, "reason": reason})

    def oracle(self, task: CountdownTask, session: Session) -> str | None:
        return task.solution and solution(task)


def solution(task: CountdownTask) -> str:
    """The right answer of a generated task."""
    return f"Answer: {task.solution}"


def prompt(numbers: list[int], target: int) -> str:
    """The question."""
    example = (
        "7 from 3 and 4:\nAnswer: 3 + 4" if len(numbers) < 3 else "14 from 2, 3 and 4:\nAnswer: 2 + 3 * 4"
    )
    return (
        f"Make {target} from the numbers {', '.join(map(str, numbers))}. Use every number exactly once, with "
        f"+ - * / and brackets. End with one line of this form, for example for {example}"
    )


def answer_in(text: str) -> str | None:
    r"""The expression that a response ends with: in `<answer>`, after `Answer:`, or in a box."""
    text = strip_reasoning(text).rstrip()
    if text.endswith("</answer>"):
        start = text.rfind("<answer>")
        if start < 0 or is_opposed_before(text, start, str):
            return None
        return text[start + len("<answer>") : -len("</answer>")].strip()[:1000]
    answer = extract_answer(text, "final_answer")
    return answer and answer.strip("$ ")[:1000]


def verdict(expression: Expression | None, task: CountdownTask) -> str:
    """`right`, or the rule that is broken."""
    if expression is None:
        return "malformed"
    if sorted(expression.numbers) != sorted(task.numbers):
        return "other_numbers"
    return "right" if expression.value == task.target else "wrong_value"


def _without_result(answer: str, target: int) -> Expression | None:
    """The expression of an answer, which may end with `= target`."""
    left, equals, right = answer.partition("=")
    if equals and right.strip() != str(target):
        return None
    return read_expression(left)


def _combine(rng: random.Random, numbers: list[int]) -> tuple[str, int]:
    """A random expression of all numbers and its value, which is a whole number above 0."""
    parts = [(str(number), number) for number in numbers]
    while len(parts) > 1:
        (left_text, left), (right_text, right) = (parts.pop(rng.randrange(len(parts))) for _ in range(2))
        signs = ["+", "+"] + ["-", "-"] * (left > right) + ["*"] * (left * right <= MAX_TARGET)
        signs += ["/", "/"] * (right > 1 and left % right == 0)
        sign = rng.choice(signs)
        value = {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[sign]
        parts.append((f"({left_text} {sign} {right_text})", value))
    return parts[0][0][1:-1], parts[0][1]
