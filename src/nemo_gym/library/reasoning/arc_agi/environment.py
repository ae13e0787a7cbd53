"""Grid puzzles: pairs of grids show a rule, which the answer applies to another grid."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from nemo_gym import Reward, Session, Task, ask, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.code_tests import MAX_CODE, CodeCase, run_cases
from nemo_gym.library.reasoning.arc_agi.transformations import draw_change
from nemo_gym.verifiers.grids import Grid, grid_text, is_grid, read_last_grid
from nemo_gym.verifiers.text import last_code_block, strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.response import Response

Mode = Literal["transductive", "inductive"]
LEVELS: Final = ((2, 3, 3), (3, 4, 4), (4, 7, 6), (4, 7, 6), (8, 12, 9))
"""At each level: the least and the most cells of a side, and the colours."""
PAIRS: Final = 3
MAX_PAIRS: Final = 100
PROGRAM_SECONDS: Final = 30.0


class ArcAgiTask(Task):
    """Pairs of grids, and the grid to change."""

    train: list[dict[str, Any]]
    test_input: Grid
    expected_output: Grid
    mode: Mode | None = None


class ArcAgi(Environment):
    """Find the rule of some pairs of grids, and apply it to another grid or write it as a program."""

    domain: ClassVar[str] = "reasoning"
    stateless: ClassVar[bool | None] = True

    Task = ArcAgiTask

    class Config(Config):
        mode: Mode = "transductive"
        """The answer is the grid, or (`inductive`) Python code with a function `transform(grid)`. A row's
        own mode comes first."""
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """Grids of 2x2 to 12x12 cells; from level 3 on a rule has two parts."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[ArcAgiTask]:
        return generate_tasks(
            self,
            self.make,
            lambda task: json.dumps([task.train, task.test_input]),
            split=split,
            seed=seed,
            n=n,
        )

    def make(self, rng: random.Random) -> ArcAgiTask:
        """Draw a rule and grids, each of which it changes."""
        while True:
            names, change = draw_change(rng, self.config.level)
            grids = [self.grid(rng) for _ in range(PAIRS + 1)]
            results = [change(grid) for grid in grids]
            pairs = list(zip(grids, results, strict=True))
            if all(grid != result and is_grid(result) for grid, result in pairs):
                break
        train = [{"input": grid, "output": result} for grid, result in pairs[:-1]]
        grid, result = pairs[-1]
        return ArcAgiTask(
            responses_create_params={**ask(prompt(train, grid, self.config.mode))},
            train=train,
            test_input=grid,
            expected_output=result,
            mode=self.config.mode,
            verifier_metadata={"families": names},
        )

    def grid(self, rng: random.Random) -> Grid:
        """A grid, of which about half of the cells are 0."""
        level: int = self.config.level
        least, most, colours = LEVELS[level]
        palette = rng.sample(range(1, 10), rng.randint(2, colours))
        height, width = rng.randint(least, most), rng.randint(least, most)
        return [[rng.choice([0, rng.choice(palette)]) for _ in range(width)] for _ in range(height)]

    def seed(self, task: ArcAgiTask, session: Session) -> None:
        """Refuse a row whose grids are none.

        Raises:
            TaskUnfit: with the reason.
        """
        for name in ("test_input", "expected_output"):
            if not is_grid(getattr(task, name)):
                raise TaskUnfit(f"{name} is not a grid: rows of one length with numbers from 0 to 99")
        if len(task.train) > MAX_PAIRS:
            raise TaskUnfit(f"train has {len(task.train)} pairs: at most {MAX_PAIRS} are read")

    async def verify(self, task: ArcAgiTask, response: Response, session: Session) -> Reward:
        if (task.mode or self.config.mode) == "inductive":
            answer, reason = await run_transform(response.final_text, task.test_input, session)
        else:
            answer = await asyncio.to_thread(read_last_grid, response.final_text)
            reason = "no_answer" if answer is None else ""
        reason = reason or ("right" if answer == task.expected_output else "wrong")
        details = {"extracted_answer": answer and grid_text(answer), "reason": reason}
        return Reward(float(reason == "right"), details=details)

    def oracle(self, task: ArcAgiTask, session: Session) -> str:
        if (task.mode or self.config.mode) == "transductive":
            return grid_text(task.expected_output)
        return f"```python\ndef transform(grid):\n    return {task.expected_output}\n```"


async def run_transform(text: str, grid: Grid, session: Session) -> tuple[Grid | None, str]:
    """What the program of an answer makes of a grid, or the reason why it makes nothing.

    It runs in a sandbox, which never sees the expected grid.
    """
    code = last_code_block(strip_reasoning(text))
    if not code or len(code) > MAX_CODE:
        return None, "no_answer"
    case = CodeCase(arguments=[grid], seconds=PROGRAM_SECONDS)
    (run,) = [run async for run in run_cases(session, code, [case], function="transform")]
    if run.status != "ok":
        return None, run.status
    try:
        value = run.value()
    except ValueError:
        return None, "malformed"
    return (value, "") if is_grid(value) else (None, "malformed")


def prompt(train: list[dict[str, Any]], grid: Grid, mode: Mode) -> str:
    """The pairs and the request."""
    examples = "\n\n".join(
        f"Example {number}\nInput:\n{grid_text(pair['input'])}\nOutput:\n{grid_text(pair['output'])}"
        for number, pair in enumerate(train, 1)
    )
    if mode == "inductive":
        request = (
            "Write the rule as a Python function transform(grid), which takes and returns a list of rows of "
            "whole numbers. Answer with one block of code."
        )
    else:
        request = "Answer with the output of the last input: rows of numbers, and nothing after them."
    return (
        f"One rule turns every input into its output.\n\n{examples}\n\n"
        f"Now the input:\n{grid_text(grid)}\n\n{request}"
    )
