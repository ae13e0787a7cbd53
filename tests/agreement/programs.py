"""The verdicts of `evalplus` and of evalplus's own checker on the same programs: the reference solutions, and
solutions that a small change breaks or leaves right."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from evalplus.eval import PASS, untrusted_check

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.coding.evalplus.environment import EvalPlus, Problem
from nemo_gym.wire.items import assistant
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import task_to_row

MUTANTS = 14
"""The most changed solutions of one problem."""
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
WRAPPERS = ("str({})", "[{}]", "({}) or None", "list({})", "tuple({})")
LOOK_ALIKES = ("int({})", "float({})")
"""They equal the expected value with `==` and may have another type. Their verdicts are counted apart."""

OURS_IS_RIGHT = "its type is not that of the expected value, and evalplus compares with =="


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
    yield from (f"{head}return {wrapper.format(value.strip())}\n" for wrapper in WRAPPERS + LOOK_ALIKES)


async def verdicts() -> list[tuple[str, str, bool, bool]]:
    environment = EvalPlus({"min_time_limit": 5})
    link = LocalEnvironment(environment)
    found: list[tuple[str, str, bool, bool]] = []
    tasks = [
        task
        for split in ("train", "validation", "test", "example")
        for task in environment.tasks(split, 0, None)
    ]
    for task in tasks:
        problem = environment.problem(task)
        codes = list(dict.fromkeys(mutants(problem)))
        for code in [codes[0], *codes[1:][-MUTANTS:]]:
            async with link.session(task_to_row(task)) as session:
                answer = Response.of([assistant(f"```python\n{code}\n```")])
                ours = (await link.verify(session, answer)).value == 1.0
                expected = await environment.expected(problem, session)
            inputs = json.loads(json.dumps([*problem.base_input, *problem.plus_input]))
            status, _ = await asyncio.to_thread(
                untrusted_check,
                "own",
                code,
                inputs,
                problem.entry_point,
                [each.value for each in expected],
                0,
                [1.0] * len(inputs),
                True,
            )
            found.append((problem.task_id, code, ours, status == PASS))
    return found


async def test_at_least_99_in_100_verdicts_agree() -> None:
    every = await verdicts()
    disagreements = [each for each in every if each[2] != each[3]]
    rights = sum(each[3] for each in every)
    print(f"\n{len(every)} programs, {rights} right by evalplus, {len(disagreements)} disagreements")
    for name, code, ours, theirs in disagreements:
        print(f"| {name} | {code.rpartition('return ')[2].strip()} | ours {ours} | evalplus {theirs} |")
    every = [each for each in every if not each[1].rpartition("return ")[2].startswith(("int(", "float("))]
    plain = [each for each in every if each[2] != each[3]]
    assert len(every) >= 500
    assert 50 < rights < len(every) - 200
    assert len(plain) <= len(every) / 100
    assert {(ours, theirs) for *_, ours, theirs in disagreements} <= {(False, True)}, OURS_IS_RIGHT


if __name__ == "__main__":
    pytest.main([__file__, "-s"])
