"""No hook of a built-in environment keeps the event loop for more than 5 ms, whatever the answer is.

The limit is CPU time of the loop's thread. A loaded or slower processor takes more of it for the same work,
so the limit grows with the time that a known piece of work takes at the same moment.
"""

from __future__ import annotations

import asyncio
from time import thread_time

import pytest

from nemo_gym import Environment, Golden, Response, Session, Task
from nemo_gym.environments.conformance.replay import Script, Stage, as_items, stage
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.environment_info import library
from nemo_gym.environments.redteam.hacks import read_hacks
from nemo_gym.wire.items import assistant

LIMIT_S = 0.005
KNOWN_WORK, KNOWN_WORK_S = 100_000, 0.001
"""How many numbers are added up, and the seconds that it takes where the limit is as it stands."""
CONFIRMATIONS = 12
"""A hook that took longer is tried again so often: its first call may import something, and processes beside
it slow it down."""
NOT_IN_A_RUN = {"oracle"}
SLOW = {
    "bigcodebench", "bird_sql", "calendar", "code_gen", "data_analysis", "evalplus", "example_repair",
    "math_with_code", "spider2_lite", "sql", "swe_mini", "tau2", "terminal",
}  # fmt: skip
"""Each script of these runs programs or a long conversation, so only some are played."""
UNITS = (
    "\\boxed{",
    "<answer>",
    "Answer: ",
    "</think>",
    "<think>",
    "```\n",
    "{[(",
    "a ",
    "1,",
    "\u0130",
    "\\",
)
MEBIBYTE = 1 << 20


@pytest.mark.parametrize("name", list(library()))
def test_no_hook_keeps_the_event_loop(name: str) -> None:
    kind = find_environment(name, roots=[])
    assert asyncio.run(stalls_of(kind)) == {}


class Slow(Environment):
    """Counts the letters of the answer for a long time."""

    def golden(self) -> list[Golden]:
        return [
            Golden(
                name="the answer",
                kind="full_reward",
                task={"responses_create_params": {"input": "Count."}},
                output="a" * MEBIBYTE,
            )
        ]

    def verify(self, task: Task, response: Response, session: Session) -> float:
        text = response.final_text
        return float(text.startswith("aa") and sum(map(ord, text)) > 0)


def test_a_verifier_that_keeps_the_event_loop_is_reported() -> None:
    assert ("verify", "the answer") in asyncio.run(stalls_of(Slow))


async def stalls_of(kind: type[Environment]) -> dict[tuple[str, str], float]:
    """Seconds by hook and script."""
    stalls: dict[tuple[str, str], float] = {}
    async with stage(lambda: kind({}), 0) as on:
        for script in scripts_of(on.environment):
            for hook, seconds in (await measure(on, script)).items():
                stalls[hook, script.name] = seconds
    return stalls


async def measure(on: Stage, script: Script) -> dict[str, float]:
    """The hooks that keep the loop for too long each time, with their shortest time."""
    slow: dict[str, float] = {}
    for attempt in range(1 + CONFIRMATIONS):
        stalls = (await on.play(script)).stalls
        before, limit = slow, LIMIT_S * slowness()
        slow = {
            hook: min(stall.cpu, before.get(hook, stall.cpu))
            for hook, stall in stalls.items()
            if stall.cpu > limit and hook not in NOT_IN_A_RUN and (attempt == 0 or hook in before)
        }
        if not slow:
            break
    return slow


def slowness() -> float:
    """How much slower than usual this thread computes just now; at least 1."""

    def seconds() -> float:
        start = thread_time()
        sum(range(KNOWN_WORK))
        return thread_time() - start

    return max(1.0, min(seconds() for _ in range(3)) / KNOWN_WORK_S)


def scripts_of(environment: Environment) -> list[Script]:
    """The known cases, the known hacks, and very long answers."""
    most = 2 if environment.name() in SLOW else None
    golden = list(environment.golden())[:most]
    hacks = read_hacks(environment.folder() / "redteam.jsonl").hacks[:most]
    scripts = [Script(case.name, case.task, as_items(case.output, "output"), case.models) for case in golden]
    scripts += [Script(hack.name, hack.task, as_items(hack.output, "output"), hack.models) for hack in hacks]
    for unit in UNITS[:most] if golden else ():
        text = (unit * (MEBIBYTE // len(unit)))[:MEBIBYTE]
        scripts.append(Script(f"1 MB of {unit!r}", golden[0].task, [assistant(text)], golden[0].models))
    return scripts
