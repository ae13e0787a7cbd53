"""Solve mathematics with a Python interpreter that keeps its variables."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from nemo_gym import (
    Environment,
    Response,
    Reward,
    Session,
    Task,
    ToolError,
    ask,
    blocking,
    generate_tasks,
    tool,
)
from nemo_gym.environments.base import Config
from nemo_gym.environments.python_interpreter import Interpreter
from nemo_gym.library.math.math_with_code.problems import draw_problem
from nemo_gym.verifiers.exact import extract_answer
from nemo_gym.verifiers.text import last_boxed
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, function_call

PROMPT: Final = (
    "Solve the problem. The tool `execute_python` runs Python code; its variables stay for the next call.\n\n"
    "Problem: {question}\n\nEnd with the answer alone in \\boxed{{}}, for example \\boxed{{7}}."
)
TOLERANCE: Final = Fraction(1, 1_000_000)
"""The largest difference of a number that is not whole."""
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)


class MathTask(Task):
    """A problem and its answer."""

    expected_result: str | int | float
    solution: str | None = None
    """Code that prints the answer."""


class MathWithCode(Environment):
    """Solve mathematics with a Python interpreter that keeps its variables; the answer is in a box."""

    domain = "math"
    stateless = True
    answer_key = "extracted_answer"
    Task = MathTask

    class Config(Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """0 adds two small numbers; 1 multiplies; 2 to 4 need loops over ever more numbers."""
        max_execution_time: Annotated[float, Meta(gt=0, le=300)] = 10.0
        """The most seconds of one call of the tool."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[MathTask]:
        return generate_tasks(self, self.draw, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> MathTask:
        """A task of the level of the settings, whose prompt does not have its answer."""
        while True:
            problem = draw_problem(rng, self.config.level)
            text = PROMPT.format(question=problem.question)
            if problem.answer not in re.findall(r"[0-9]+", text):
                return MathTask(
                    responses_create_params=dict(ask(text)),
                    expected_result=problem.answer,
                    solution=problem.solution,
                )

    def seed(self, task: MathTask, session: Session) -> None:
        """Prepare the interpreter, which starts at the first call.

        Raises:
            TaskUnfit: there is no expected result.
        """
        if not str(task.expected_result).strip():
            raise TaskUnfit("expected_result is blank: give the right answer of the problem")
        session.state["interpreter"] = Interpreter(session, {}, self.config.max_execution_time)

    @tool
    async def execute_python(self, session: Session, code: str) -> dict[str, Any]:
        """Run Python code. Variables stay for the next call, and the value of a last expression is the
        `result`.

        Args:
            code: The code.
        """
        interpreter: Interpreter = session.state["interpreter"]
        try:
            outcome = await interpreter.run(code)
        except ToolError as error:
            return {"success": False, "stdout": "", "stderr": "", "error_message": str(error)}
        parts = {"error_message": outcome.error, "result": outcome.result}
        return {
            "success": outcome.error is None,
            "stdout": outcome.stdout,
            "stderr": outcome.stderr,
            **{name: text for name, text in parts.items() if text is not None},
        }

    @blocking
    def verify(self, task: MathTask, response: Response, session: Session) -> Reward:
        answer = extract_answer(response.final_text, "boxed") or box_of_last_output(response)
        right = answer is not None and same_result(answer, str(task.expected_result))
        reason = "no_answer" if answer is None else "right" if right else "wrong"
        return Reward(float(right), details={"extracted_answer": answer and answer[:200], "reason": reason})

    async def close(self, session: Session) -> None:
        """End the interpreter."""
        if interpreter := session.state.get("interpreter"):
            await interpreter.close()

    def oracle(self, task: MathTask, session: Session) -> str | list[Item]:
        if task.solution and not session.state.get("has_run"):
            session.state["has_run"] = True
            return [function_call("execute_python", json.dumps({"code": task.solution}), call_id="call_0")]
        return f"\\boxed{{{task.expected_result}}}"


def box_of_last_output(response: Response) -> str | None:
    """The last box that the code printed, when the rollout ends with the output of the tool."""
    last = response.output[-1] if response.output else None
    if last is None or last["type"] != "function_call_output":
        return None
    try:
        return last_boxed(msgspec.json.decode(str(last["output"]).encode(), type=_Output).stdout)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


class _Output(msgspec.Struct):
    stdout: str


def same_result(answer: str, expected: str) -> bool:
    """Whether two results are the same text or number. A number that is not whole may differ by a millionth,
    and near zero by a thousandth of itself."""
    answer, expected = plain(answer), plain(expected)
    if answer == expected:
        return True
    if not (_NUMBER.fullmatch(answer) and _NUMBER.fullmatch(expected)):
        return False
    value, right = Fraction(Decimal(answer)), Fraction(Decimal(expected))
    if right.denominator == 1:
        return abs(value - right) < TOLERANCE and (value.denominator > 1 or value == right)
    return abs(value - right) < min(TOLERANCE, abs(right) / 1000)


def plain(text: str) -> str:
    """A result without dollar signs, blanks around it, and commas between thousands."""
    text = text.strip().strip("$").strip()
    return re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", text) if "," in text[:600] else text
