"""The verdicts of `evalplus` and of evalplus's own checker on the same programs: the reference solutions, and
solutions that a small change breaks or leaves right."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from evalplus.eval import PASS, untrusted_check

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.coding.evalplus.environment import EvalPlus, Problem
from nemo_gym.wire.items import assistant
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import task_to_row

MUTANTS = 13
"""The most changed solutions of one problem."""
INPUTS = 4
"""The base inputs of a problem, and as many further ones, that both graders try."""
SECONDS = 2.0
"""The time limit of one input."""
AT_ONCE = 3
OPERATORS: dict[type[Any], Any] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Add(),
    ast.Mod: ast.FloorDiv(),
    ast.FloorDiv: ast.Div(),
    ast.Lt: ast.LtE(),
    ast.Gt: ast.GtE(),
    ast.LtE: ast.Lt(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.And: ast.Or(),
    ast.Or: ast.And(),
}
WRAPPERS = (
    *("str({})", "[{}]", "({}) or None", "list({})", "tuple({})"),
    *("int({})", "float({})", "bool({})", "({}) + 1e-7", "({}) + 1e-5"),
)


class Verdict(NamedTuple):
    problem: str
    code: str
    ours: bool
    theirs: bool

    @property
    def row(self) -> str:
        """It in the table of disagreements."""
        end = " ".join(self.code.rpartition("return ")[2].split())
        return f"| {self.problem} | {end} | ours {self.ours} | evalplus {self.theirs} |"


def mutants(problem: Problem) -> Iterator[str]:
    """The reference solution, then changed ones."""
    whole = problem.prompt + problem.canonical_solution
    yield whole
    for number, node in enumerate(ast.walk(ast.parse(whole))):
        tree = ast.parse(whole)
        copy: Any = list(ast.walk(tree))[number]
        if isinstance(node, ast.Constant) and type(node.value) is int:
            copy.value = node.value + 1
        elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in OPERATORS:
            copy.op = OPERATORS[type(node.op)]
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
            copy.ops[0] = OPERATORS[type(node.ops[0])]
        else:
            continue
        yield ast.unparse(tree)
    head, _, value = whole.rpartition("return ")
    yield from (f"{head}return {wrapper.format(value.strip())}\n" for wrapper in WRAPPERS)


def environment_in(folder: Path) -> EvalPlus:
    """The environment with the first inputs of each of its own problems."""
    path = folder / "problems.jsonl"
    problems = [
        msgspec.structs.replace(
            problem, base_input=problem.base_input[:INPUTS], plus_input=problem.plus_input[-INPUTS:]
        )
        for problem in EvalPlus().problems.values()
    ]
    path.write_bytes(b"".join(encode(msgspec.to_builtins(problem)) + b"\n" for problem in problems))
    return EvalPlus({"problems_file": str(path), "min_time_limit": SECONDS})


async def verdicts(environment: EvalPlus) -> list[Verdict]:
    """Both verdicts on the programs of every problem."""
    link, places = LocalEnvironment(environment), asyncio.Semaphore(AT_ONCE)

    async def of(task: Any) -> list[Verdict]:
        async with places:
            return [await verdict(link, task, code) for code in programs(environment.problem(task))]

    splits = ("train", "validation", "test", "example")
    tasks = [task for split in splits for task in environment.tasks(split, 0, None)]
    try:
        return [one for each in await asyncio.gather(*map(of, tasks)) for one in each]
    finally:
        await environment.resources.aclose()


def programs(problem: Problem) -> list[str]:
    codes = list(dict.fromkeys(mutants(problem)))
    return [codes[0], *codes[1:][-MUTANTS:]]


async def verdict(link: LocalEnvironment, task: Any, code: str) -> Verdict:
    environment: Any = link.environment
    problem: Problem = environment.problem(task)
    async with link.session(task_to_row(task)) as session:
        reward = await link.verify(session, Response.of([assistant(f"```python\n{code}\n```")]))
        expected = await environment.expected(problem, session)
    inputs = json.loads(json.dumps(problem.inputs))
    values = [each.value for each in expected]
    times = [SECONDS / 4] * len(inputs)  # evalplus allows four times as long.
    status, _ = await asyncio.to_thread(
        untrusted_check, "own", code, inputs, problem.entry_point, values, 0, times, True, SECONDS
    )
    return Verdict(problem.task_id, code, reward.value == 1.0, status == PASS)


async def test_all_verdicts_agree(tmp_path: Path) -> None:
    every = await verdicts(environment_in(tmp_path))

    disagreements = [each for each in every if each.ours != each.theirs]
    rights = sum(each.theirs for each in every)
    print(f"\n{len(every)} programs, {rights} right by evalplus, {len(disagreements)} disagreements")
    for each in disagreements:
        print(each.row)
    assert len(every) >= 500
    assert 50 < rights < len(every) - 200
    assert not disagreements


if __name__ == "__main__":
    pytest.main([__file__, "-s"])
