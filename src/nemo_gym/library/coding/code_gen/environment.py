"""Programming problems: a program in Python passes hidden tests, in a sandbox."""

import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import islice
from typing import Annotated, Any

import msgspec

from nemo_gym import Environment, Response, Reward, Session, Task, ask, generate_tasks
from nemo_gym.environments.code_tests import CodeCase, CodeRun, run_cases
from nemo_gym.library.coding.code_gen.problems import (
    EXAMPLES,
    FAMILY_OF,
    Family,
    Pairs,
    draw_pairs,
    draw_problem,
)
from nemo_gym.stats.passes import compute_pass_majority_metrics, highest_k_metrics
from nemo_gym.verifiers.plain_values import same_value
from nemo_gym.verifiers.program_output import TOLERANCE, same_output
from nemo_gym.verifiers.text import last_code_block, strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.task import Row

PROMPT = """\
Write a Python program that reads standard input and prints the answer.

{statement}

{examples}

Reply with the whole program in one ```python block."""
MAX_TESTS = 1000
MAX_TASKS = 1_000_000
DEFAULT_N = 1000
WRONG_ANSWER, TIME_LIMIT, RUNTIME_ERROR, NO_CODE = -2, -3, -4, -1
"""The codes of `result` and `metadata.error_code`."""


class UnitTests(msgspec.Struct):
    """Inputs, and the outputs for them."""

    inputs: list[str]
    """Texts for standard input; for a function, its arguments as JSON, one on each line."""
    outputs: list[str]
    """Texts for standard output; for a function, what it returns, as JSON."""
    fn_name: str | None = None
    """The function, or the method of a class `Solution`."""


class VerifierMetadata(msgspec.Struct):
    unit_tests: UnitTests
    difficulty: str | int | None = None
    family: str | None = None
    """The kind of a generated problem."""
    parameters: list[Any] = []


class CodeGen(Environment):
    """Write a Python program or function that passes hidden tests."""

    domain = "coding"
    stateless = True
    answer_key = "extracted_model_code"

    class Config(Environment.Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """The difficulty of generated problems."""
        unit_test_timeout_secs: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
        """The most seconds of one test."""
        reasoning_format_penalty: Annotated[float, msgspec.Meta(ge=-1, le=0)] | None = None
        """The reward of an answer that shows its reasoning tags, or has them twice; None ignores them."""

    class Task(Task):
        verifier_metadata: VerifierMetadata  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        if self.config.reasoning_format_penalty:
            vars(self)["reward_range"] = (self.config.reasoning_format_penalty, 1.0)

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        drafts = generate_tasks(self, self._draft, _key, split=split, seed=seed, n=MAX_TASKS)
        complete = (task for draft in drafts if (task := self._with_tests(draft)))
        return islice(complete, DEFAULT_N if n is None else n)

    def _draft(self, rng: random.Random) -> Task:
        """A task without tests."""
        family, parameters = draw_problem(rng, self.config.level)
        difficulty = f"level {self.config.level}"
        metadata = VerifierMetadata(UnitTests([], []), difficulty, family.name, list(parameters))
        return self.Task(verifier_metadata=metadata)

    def _with_tests(self, task: Task) -> Task | None:
        """The task with tests, which depend only on its problem; None if the problem has too few outputs."""
        family, parameters = _problem(task)
        pairs = draw_pairs(family, parameters, random.Random(_key(task)))
        if pairs is None:
            return None
        inputs, outputs = map(list, zip(*pairs[EXAMPLES:], strict=True))
        task.verifier_metadata.unit_tests = UnitTests(inputs, outputs)
        statement = family.text.format(a=parameters[0], b=parameters[1])
        task.responses_create_params = dict(ask(_prompt(statement, pairs[:EXAMPLES])))
        return task

    def seed(self, task: Task, session: Session) -> None:
        """Refuse a row whose tests say nothing.

        Raises:
            TaskUnfit: there are no tests, or they don't fit together.
        """
        read_cases(task.verifier_metadata.unit_tests)

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        metadata = task.verifier_metadata
        cases = read_cases(metadata.unit_tests)
        text = strip_reasoning(response.final_text)
        code = last_code_block(text, "python") or last_code_block(text)
        details: dict[str, Any] = {
            "extracted_model_code": code,
            "extracted_answer": code,
            "difficulty": metadata.difficulty,
            "result": [],
            "metadata": {"error_code": NO_CODE, "error_message": "The answer has no closed code block."},
            "unit_tests_time_taken": 0.0,
            "reason": "no_answer",
        }
        penalty = self.config.reasoning_format_penalty
        if penalty is not None and shows_reasoning(response.final_text):
            return Reward(penalty, details={**details, "reason": "malformed"})
        if not code:
            return Reward(0.0, details=details)
        function = metadata.unit_tests.fn_name
        seconds = self.config.unit_test_timeout_secs
        inputs = [case.code_case(seconds) for case in cases]

        def is_right(number: int, run: CodeRun) -> bool:
            return cases[number].is_right(run)

        runs = run_cases(session, code, inputs, is_right, function=function)
        outcome = await grade(runs)
        passed = len(outcome["result"]) == len(cases) and all(each is True for each in outcome["result"])
        return Reward(float(passed), details={**details, **outcome, "reason": "right" if passed else "wrong"})

    def compute_metrics(self, tasks: list[list[Row]]) -> dict[str, Any]:
        return compute_pass_majority_metrics(tasks, scores_of, self.answer_key)[0]

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        names = {name.rpartition("/")[2] for name in agent_metrics if "/accuracy" in name}
        return {
            **super().get_key_metrics(agent_metrics),
            **highest_k_metrics(agent_metrics, "pass@{k}", sorted(names)),
        }

    def oracle(self, task: Task, session: Session) -> str | None:
        if task.verifier_metadata.family not in FAMILY_OF:
            return None
        family, parameters = _problem(task)
        return f"```python\n{family.program(parameters)}\n```"


class Case(msgspec.Struct, frozen=True):
    """A test. With arguments it calls a function."""

    text: str
    expected: Any
    arguments: list[Any] | None = None

    def code_case(self, seconds: float) -> CodeCase:
        """Its input with a time limit."""
        return CodeCase(self.text, self.arguments, seconds)

    def is_right(self, run: CodeRun) -> bool:
        """Whether the program's output is the expected one."""
        if self.arguments is None:
            return same_output(run.output, self.expected)
        try:
            return same_value(run.value(), self.expected, tolerance=TOLERANCE, alike=True)
        except ValueError:
            return False


def read_cases(tests: UnitTests) -> list[Case]:
    """The tests of a row.

    Raises:
        TaskUnfit: there are none or too many, they don't fit together, or a program without output passes.
    """
    inputs, outputs = tests.inputs, tests.outputs
    if not inputs or len(inputs) != len(outputs) or len(inputs) > MAX_TESTS:
        raise TaskUnfit(
            f"unit_tests: expected 1 to {MAX_TESTS} inputs and as many outputs, not {len(inputs)} and "
            f"{len(outputs)}"
        )
    if tests.fn_name is None:
        if not any(output.strip() for output in outputs):
            raise TaskUnfit("unit_tests: every output is blank, so a program without output would pass")
        return [Case(*pair) for pair in zip(inputs, outputs, strict=True)]
    if not tests.fn_name.isidentifier():
        raise TaskUnfit(f"unit_tests.fn_name: expected the name of a function, not {tests.fn_name[:80]!r}")
    try:
        return [
            Case(text, json.loads(output), [json.loads(line) for line in text.splitlines() if line.strip()])
            for text, output in zip(inputs, outputs, strict=True)
        ]
    except (ValueError, RecursionError) as error:
        raise TaskUnfit(f"unit_tests: expected JSON, an argument on each line: {error}") from None


async def grade(runs: AsyncIterator[CodeRun]) -> dict[str, Any]:
    """The columns about the tests, which end with the first one that is not passed."""
    result: list[bool | int] = []
    taken = 0.0
    metadata: dict[str, Any] = {}
    async for run in runs:
        taken += run.seconds
        code, message = code_of(run)
        if code:
            metadata = {"error_code": code, "error_message": message, "test": len(result)}
        result.append(code or True)
    return {"result": result, "metadata": metadata, "unit_tests_time_taken": round(taken, 4)}


def code_of(run: CodeRun) -> tuple[int, str]:
    """A code and a message; the code is 0 for a right output."""
    match run.status:
        case "ok":
            return 0, ""
        case "wrong":
            return WRONG_ANSWER, "Wrong Answer"
        case "timeout":
            return TIME_LIMIT, "Time Limit Exceeded"
        case _:
            return RUNTIME_ERROR, f"Runtime Error: {run.error.strip()[-300:] or run.status}"


def shows_reasoning(text: str) -> bool:
    """Whether reasoning tags are in the answer itself: more than one block, or one that is not closed at its
    beginning."""
    lowered = text.lower().lstrip()
    opened, closed = lowered.count("<think>"), lowered.count("</think>")
    if opened == closed == 0:
        return False
    return not (closed == 1 and (opened == 0 or (opened == 1 and lowered.startswith("<think>"))))


def scores_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The accuracy of a row, also under the name of its difficulty."""
    if "result" not in row:
        return {}
    accuracy = float(row.get("reason") == "right")
    difficulty = row.get("difficulty")
    return {"accuracy": accuracy, **({} if difficulty is None else {f"accuracy_{difficulty}": accuracy})}


def _problem(task: CodeGen.Task) -> tuple[Family, tuple[Any, Any]]:
    first, second = task.verifier_metadata.parameters
    return FAMILY_OF[task.verifier_metadata.family or ""], (first, second)


def _key(task: CodeGen.Task) -> str:
    return f"{task.verifier_metadata.family} {task.verifier_metadata.parameters}"


def _prompt(statement: str, examples: Pairs) -> str:
    parts = [
        f"Example input:\n```\n{text.rstrip()}\n```\nIts output:\n```\n{output}\n```"
        for text, output in examples
    ]
    return PROMPT.format(statement=statement, examples="\n\n".join(parts))
