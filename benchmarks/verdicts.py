"""Verdicts of the verifiers and isolated runs of code, in a second.

    python benchmarks/verdicts.py

Each verifier scores texts that all differ, so that no cache helps. One process does it, and its CPU time
counts. For runs of code, which use every core, the time on the clock counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import nemo_gym
from nemo_gym.sandbox import Program, SandboxPool
from nemo_gym.verifiers.choice import grade_choice
from nemo_gym.verifiers.exact import extract_answer, match_strings
from nemo_gym.verifiers.math import grade

N = 2_000
PROGRAMS = 1_000
ROLLOUTS = 200
WORDS = "After some thought about the question, we see what the answer must be"
OPTIONS = {"A": "oxygen", "B": "carbon dioxide", "C": "helium", "D": "nitrogen"}


@dataclass(frozen=True)
class Rate:
    """How many of one thing are done in a second, and the aim."""

    what: str
    per_second: float
    aim: float


def measure() -> list[Rate]:
    """Measure everything; under a minute."""
    return [*_verifiers(), *asyncio.run(_code())]


def markdown(rates: Sequence[Rate]) -> list[str]:
    """The table."""
    lines = ["| what | in a second | aim |", "| --- | ---: | ---: |"]
    return lines + [f"| {one.what} | {one.per_second:,.0f} | {one.aim:,.0f} |" for one in rates]


def _verifiers() -> list[Rate]:
    choices = [f"{WORDS}, {i}. \\boxed{{B}}" for i in range(N)]
    texts = [f"{WORDS}, {i}.\nFinal Answer: city {i}" for i in range(N)]
    numbers = [f"{WORDS}, {i}. \\boxed{{{i}}}" for i in range(N)]

    def exact(i: int) -> object:
        return match_strings(extract_answer(texts[i], "final_answer") or "", f"City {i}")

    return [
        Rate(
            "choice",
            _rate(lambda i: grade_choice(choices[i], OPTIONS, "strict_single_letter_boxed", None)),
            1e5,
        ),
        Rate("exact", _rate(exact), 1e5),
        Rate("mathematics, equal numbers", _rate(lambda i: grade(numbers[i], str(i))), 2e4),
        Rate("mathematics, unequal numbers", _rate(lambda i: grade(numbers[i], str(i + 1))), 2e4),
    ]


def _rate(verdict: Callable[[int], object]) -> float:
    start = time.process_time()
    for i in range(N):
        verdict(i)
    return N / (time.process_time() - start)


async def _code() -> list[Rate]:
    """One-shot programs, and rollouts of `code_gen` whose answers are right."""
    SandboxPool().provider()  # The imports are not part of the first run.
    pool = SandboxPool()
    start = time.perf_counter()
    await pool.run_python(Program("print(1)"))
    first = time.perf_counter() - start
    start = time.perf_counter()
    programs = (Program("print(int(input()) * 2)", stdin=str(n)) for n in range(PROGRAMS))
    results = await asyncio.gather(*map(pool.run_python, programs))
    rate = PROGRAMS / (time.perf_counter() - start)
    assert [result.stdout for result in results] == [f"{2 * n}\n" for n in range(PROGRAMS)]
    await pool.aclose()
    start = time.perf_counter()
    rollouts = [one async for one in nemo_gym.collect("code_gen", "oracle", limit=ROLLOUTS, seed=1)]
    verified = ROLLOUTS / (time.perf_counter() - start)
    assert {one.reward for one in rollouts} == {1.0}
    return [
        Rate("isolated programs", rate, 150),
        Rate("first isolated program (1 / its seconds)", 1 / first, 1 / 0.060),
        Rate("rollouts of `code_gen`, 12 hidden tests each", verified, 100),
    ]


if __name__ == "__main__":
    print("\n".join(markdown(measure())))
