"""Plays known answers or an oracle's answers in an environment, as an agent does."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

from nemo_gym.environments.base import Environment
from nemo_gym.environments.conformance.stand_in import Answers, answer_as, stand_ins
from nemo_gym.environments.conformance.watch import Stall, Watch
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.session import Session
from nemo_gym.stats.reward_scale import UNKNOWN_SCALE
from nemo_gym.wire.errors import GymError, RolloutError
from nemo_gym.wire.exception_text import message_of, origin
from nemo_gym.wire.items import FunctionCall, Item, assistant, check_items, function_call_output
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row


@dataclass(frozen=True, slots=True)
class Script:
    """The answers to one task."""

    name: str
    row: Row
    output: list[Item] | None
    """The items, whose tool calls are run; for a step environment one item for each step. None asks the
    environment's oracle."""
    models: Answers = field(default_factory=dict[str, str | list[str]])
    """The answers of the models that the environment asks, as in a golden case."""


@dataclass(slots=True)
class Trace:
    """The result of a script: a reward or an error, and what happened before."""

    script: Script
    reward: Reward | None = None
    again: Reward | None = None
    """The reward of a second `verify` on the same session, if there was one."""
    error: str | None = None
    close_error: str | None = None
    has_answer: bool = False
    """False when the oracle has no answer."""
    tools: list[FunctionTool] = field(default_factory=list[FunctionTool])
    """The tools that the session offered to the model."""
    outputs: list[str] = field(default_factory=list[str])
    """The outputs of tools and steps."""
    calls: list[tuple[FunctionCall, str]] = field(default_factory=list[tuple[FunctionCall, str]])
    """The tool calls, each with its output."""
    items: list[Item] = field(default_factory=list[Item])
    """The model's items that were played, and the outputs of its calls."""
    seconds: float = 0.0
    stalls: dict[str, Stall] = field(default_factory=dict[str, Stall])

    @property
    def facts(self) -> tuple[object, ...]:
        """Everything that must be the same when the script is played again."""
        reward = self.reward and (self.reward.value, dict(self.reward.components or {}))
        return reward, self.error, self.outputs


class Stage:
    """One environment object, with a watch, in which scripts are played in turn or at once."""

    def __init__(
        self, environment: Environment, seed: int, supply: Callable[[], Resources] | None = None
    ) -> None:
        self.environment = environment
        self.watch = Watch(environment)
        resources = supply() if supply else stand_ins(environment.asks)
        self.link = LocalEnvironment(environment, seed=seed, scale=UNKNOWN_SCALE, resources=resources)

    async def play(self, script: Script, *, verify_twice: bool = False) -> Trace:
        """Play one script from seed to close; problems are in the trace."""
        self.watch.restart()
        answer_as(script.models)
        trace = Trace(script)
        start = perf_counter()
        try:
            async with asyncio.timeout(SCRIPT_SECONDS):
                await self._play(trace, verify_twice)
        except TimeoutError:
            trace.error = f"it did not end in {SCRIPT_SECONDS:.0f} s"
        trace.stalls, trace.seconds = self.watch.stalls, perf_counter() - start
        return trace

    async def play_all(self, scripts: list[Script], *, verify_twice: bool = False) -> list[Trace]:
        """Play scripts one after the other."""
        return [await self.play(script, verify_twice=verify_twice) for script in scripts]

    async def play_at_once(self, scripts: list[Script]) -> list[Trace]:
        """Play scripts at the same time; before each hook call of a script, the others may continue."""
        return await asyncio.gather(*(self.play(script) for script in scripts))

    async def _play(self, trace: Trace, verify_twice: bool) -> None:
        try:
            session = await self.link.open(copy.deepcopy(trace.script.row))
        except RolloutError as error:
            trace.error, trace.has_answer = str(error), True
            return
        trace.tools = session.tools
        try:
            play = self._play_steps if self.link.steps else self._play_tools
            await play(trace, session, verify_twice)
        except GymError as error:
            trace.error = str(error)
        except Exception as error:
            trace.error = f"{message_of(error)}{origin(error)}"
        finally:
            try:
                await self.link.close(session)
            except RolloutError as error:
                trace.close_error = str(error)

    async def _play_tools(self, trace: Trace, session: Session, verify_twice: bool) -> None:
        items = trace.items
        asks_oracle = trace.script.output is None
        turn = copy.deepcopy(trace.script.output)
        for _ in range(_ORACLE_TURNS):
            turn = await self._ask_oracle(trace, session) if asks_oracle else turn
            for item in turn or ():
                if item["type"] == "function_call":
                    await asyncio.sleep(0)
                    output = await self.link.call(session, item)
                    trace.outputs.append(output)
                    trace.calls.append((item, output))
                    items += [item, function_call_output(item["call_id"], output)]
                elif item["type"] != "function_call_output":
                    items.append(item)
            if not asks_oracle or not turn or turn[-1]["type"] != "function_call":
                break
        await asyncio.sleep(0)
        trace.reward = await self.link.verify(session, Response.of(items))
        if verify_twice:
            trace.again = await self.link.verify(session, Response.of(items))

    async def _play_steps(self, trace: Trace, session: Session, verify_twice: bool) -> None:
        trace.outputs.append((await self.link.reset(session)).text or "")
        total = 0.0
        answers = copy.deepcopy(trace.script.output)
        for number in range(len(answers) if answers is not None else self.link.max_steps):
            action = [answers[number]] if answers is not None else await self._ask_oracle(trace, session)
            if action is None:
                break
            await asyncio.sleep(0)
            trace.items += action
            step = await self.link.step(session, Response.of(action))
            trace.outputs.append(step.observation or "")
            total += step.reward
            if step.terminated or step.truncated:
                break
        trace.reward = Reward(total)

    async def _ask_oracle(self, trace: Trace, session: Session) -> list[Item] | None:
        before, trace.has_answer = trace.has_answer, True
        result: Any = self.environment.oracle(session.task, session)
        answer = await result if inspect.isawaitable(result) else result
        trace.has_answer = before or answer is not None
        return as_items(answer, "oracle") if answer is not None else None


@asynccontextmanager
async def stage(
    factory: Callable[[], Environment], seed: int, supply: Callable[[], Resources] | None = None
) -> AsyncGenerator[Stage, None]:
    """A stage with a new environment object, whose threads end with the block."""
    environment = factory()
    new_stage = Stage(environment, seed, supply)
    try:
        yield new_stage
    finally:
        await new_stage.link.aclose()


def as_items(output: str | list[Any], where: str) -> list[Item]:
    """A text as one assistant message, or a list as checked items.

    Raises:
        UsageError: an item is not well formed.
    """
    if isinstance(output, str):
        return [assistant(output)]
    for item in output:
        if isinstance(item, dict) and "role" in item:
            cast("dict[str, Any]", item).setdefault("type", "message")
    return check_items(output, where)


SCRIPT_SECONDS = 60.0
"""A script that takes longer has failed."""
_ORACLE_TURNS = 200
