"""Answer questions over CSV files with a stateful Python interpreter."""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from nemo_gym import Environment, Response, Reward, Session, Task, ask, generate_tasks, tool
from nemo_gym.environments.base import Config
from nemo_gym.environments.python_interpreter import Interpreter
from nemo_gym.library.coding.data_analysis.questions import Case, draw_case
from nemo_gym.verifiers.exact import extract_answer, normalize
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, function_call

MAX_FILES: Final = 4 << 20
"""The most characters of all files of a row."""
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,60}\.csv")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)


class AnalysisTask(Task):
    """Files, and a question about them."""

    files: dict[str, str]
    """The text of each CSV file, by its name."""
    question: str
    expected_answer: str
    """A text, or a number with as many decimals as the question asks for."""
    solution: str | None = None
    """Code that prints the answer."""


class DataAnalysis(Environment):
    """Answer questions over CSV files with a Python interpreter that keeps its variables."""

    domain = "coding"
    stateless = True
    answer_key = "extracted_answer"
    Task = AnalysisTask

    class Config(Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """0 shows a file of ten rows; 1 filters; 2 groups; 3 joins two files; 4 has missing values."""
        seconds: Annotated[float, Meta(gt=0, le=300)] = 20.0
        """The time limit of one call."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[AnalysisTask]:
        return generate_tasks(self, self.draw, key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> AnalysisTask:
        """A task of the level of the settings."""
        level: int = self.config.level
        while True:
            case = draw_case(rng, level)
            text = prompt(case, shows_file=level == 0)
            if f" {case.answer} " not in re.sub(r"[^\w.\-]", " ", text):
                break
        return AnalysisTask(
            responses_create_params=dict(ask(text)),
            files=case.files,
            question=case.question,
            expected_answer=case.answer,
            solution=case.solution,
        )

    def seed(self, task: AnalysisTask, session: Session) -> None:
        """Prepare the interpreter, which starts at the first call.

        Raises:
            TaskUnfit: a file has no plain name, the files are too large, or there is no answer.
        """
        for name in task.files:
            if not _NAME.fullmatch(name):
                raise TaskUnfit(f"files: {name[:80]!r} is no plain name that ends in .csv")
        if sum(map(len, task.files.values())) > MAX_FILES:
            raise TaskUnfit(f"files: together more than {MAX_FILES} characters")
        if not task.expected_answer.strip():
            raise TaskUnfit("expected_answer is empty")
        session.state["interpreter"] = Interpreter(session, task.files, self.config.seconds)

    @tool
    async def run_python(self, session: Session, code: str) -> str:
        """Run Python code and return its output. Variables stay for the next call, and the CSV files are in
        the working directory. The value of a last expression is printed.

        Args:
            code: The code.
        """
        interpreter: Interpreter = session.state["interpreter"]
        return (await interpreter.run(code)).text

    def verify(self, task: AnalysisTask, response: Response, session: Session) -> Reward:
        answer = extract_answer(response.final_text, "final_answer")
        right = answer is not None and "?" not in answer and same_answer(answer, task.expected_answer)
        reason = "no_answer" if answer is None else "right" if right else "wrong"
        return Reward(float(right), details={"extracted_answer": answer and answer[:200], "reason": reason})

    async def close(self, session: Session) -> None:
        """End the interpreter."""
        if interpreter := session.state.get("interpreter"):
            await interpreter.close()

    def oracle(self, task: AnalysisTask, session: Session) -> str | list[Item]:
        if task.solution and not session.state.get("has_run"):
            session.state["has_run"] = True
            return [function_call("run_python", json.dumps({"code": task.solution}), call_id="call_0")]
        return f"Answer: {task.expected_answer}"


def same_answer(answer: str, expected: str) -> bool:
    """Whether an answer is the expected text or number; a number may differ by half of its last decimal."""
    if not _NUMBER.fullmatch(expected):
        return normalize(answer) == normalize(expected)
    number = normalize(answer).replace(",", "").rstrip("%").strip()
    if not _NUMBER.fullmatch(number):
        return False
    decimals = len(expected.partition(".")[2])
    tolerance = 0.5000001 * 10**-decimals if decimals else 0.0
    return abs(float(number) - float(expected)) <= tolerance if decimals else float(number) == float(expected)


def key(task: AnalysisTask) -> str:
    """What makes a task a different one: its question and files."""
    return f"{task.question} {zlib.crc32(''.join(task.files.values()).encode())}"


def prompt(case: Case, *, shows_file: bool) -> str:
    """The question and the files."""
    lines = [
        f"{name} has the columns {text.partition(chr(10))[0].replace(',', ', ')}."
        if not shows_file
        else f"{name}:\n{text}"
        for name, text in case.files.items()
    ]
    return (
        "Answer the question about the CSV files in your working directory; the tool `run_python` runs "
        "code there.\n"
        + "\n".join(lines)
        + f"\n\nQuestion: {case.question}\n\nEnd with the line `Answer: ...`, with the answer alone."
    )
