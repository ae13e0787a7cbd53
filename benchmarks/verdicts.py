"""Verdicts of the verifiers and isolated runs of code, in a second.

    python benchmarks/verdicts.py

Each verifier scores texts that all differ, so that no cache helps. One process does it, and its CPU time
counts. For runs of code, which use every core, there are two figures: by the clock, and by the CPU time of
all their processes on two cores, which does not depend on what else the machine does.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

import nemo_gym
from nemo_gym.sandbox import Program, SandboxPool
from nemo_gym.verifiers.choice import grade_choice
from nemo_gym.verifiers.exact import extract_answer, match_strings
from nemo_gym.verifiers.math import grade

N = 10_000
PROGRAMS = 1_000
ROLLOUTS = 200
STARTS = 5
CORES = 2
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
    first = min([await _first_program() for _ in range(STARTS)])
    programs = await _timed("isolated programs", 150, PROGRAMS, _programs())
    what = "rollouts of `code_gen`, 12 hidden tests each"
    return [
        Rate(f"first isolated program, best of {STARTS} (1 / its seconds)", 1 / first, 1 / 0.060),
        *programs,
        *await _timed(what, 100, ROLLOUTS, _rollouts()),
    ]


async def _timed(what: str, aim: float, n: int, work: Coroutine[None, None, None]) -> list[Rate]:
    """The rate of some work by the clock and by CPU time."""
    start, cpu = time.perf_counter(), _cpu_seconds()
    await work
    return [
        Rate(what, n / (time.perf_counter() - start), aim),
        Rate(f"{what}, by CPU time on {CORES} cores", CORES * n / (_cpu_seconds() - cpu), aim),
    ]


async def _first_program() -> float:
    pool = SandboxPool()
    start = time.perf_counter()
    result = await pool.run_python(Program("print(1)"))
    seconds = time.perf_counter() - start
    assert result.stdout == "1\n"
    await pool.aclose()
    return seconds


async def _programs() -> None:
    pool = SandboxPool()
    programs = (Program("print(int(input()) * 2)", stdin=str(n)) for n in range(PROGRAMS))
    results = await asyncio.gather(*map(pool.run_python, programs))
    assert [result.stdout for result in results] == [f"{2 * n}\n" for n in range(PROGRAMS)]
    await pool.aclose()


async def _rollouts() -> None:
    rollouts = [one async for one in nemo_gym.collect("code_gen", "oracle", limit=ROLLOUTS, seed=1)]
    assert {one.reward for one in rollouts} == {1.0}


def _cpu_seconds() -> float:
    """The CPU time of this process and of the processes that it has waited for, as those of a closed pool."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    print("\n".join(markdown(measure())))
