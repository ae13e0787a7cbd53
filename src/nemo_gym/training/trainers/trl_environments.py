"""TRL's environment hook: `GRPOTrainer(environment_factory=...)`, where TRL samples and calls the tools.

TRL makes objects and uses each for one rollout after another: it calls `reset` with the row of the data set,
offers the public methods to the model as tools, and hands the objects to the reward functions. Here `reset`
starts a `Play`, the methods run its tools, and the reward function has it verified.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, Final

from nemo_gym.runs.collect import Collector
from nemo_gym.training.collected import ROW_ID
from nemo_gym.training.play import FAILED, Play
from nemo_gym.training.sequences import sequences
from nemo_gym.training.trainers.schema_methods import method_of
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import objects_of
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row

OTHER_HOOK: Final = "use rollout_func=Rollouts.trl_rollout_func()"


class TrlEnvironments:
    """Has three arguments of `GRPOTrainer`: `train_dataset`, `environment_factory` and `reward_funcs`.

    Args:
        rows: rows of `Rollouts.dataset`.
        row: the row of a rollout, from a row id and the number of the repeat.
        collector: runs the rollouts.
        run: the result of a coroutine in the collector's event loop.

    Raises:
        UsageError: the environment has no tasks, or something that TRL can't offer as methods.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        row: Callable[[int, int], Row],
        collector: Collector,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> None:
        if collector.agent.plays != "tools":
            raise UsageError(f"trl: an environment with reset and step has no tools: {OTHER_HOOK}")
        if not rows:
            raise UsageError("trl: the environment has no tasks")
        self._row = row
        self._collector = collector
        self.run = run
        self._repeats: Counter[int] = Counter()
        self._open: set[Play] = set()
        self.failures: Counter[str] = Counter()
        """The rollouts without a reward, by their reason."""
        tools = [row(one[ROW_ID], 0)[keys.PARAMS].get("tools") for one in rows]
        own: list[FunctionTool] = (
            run(self._own_tools(rows[tools.index(None)][ROW_ID])) if None in tools else []
        )
        texts = [_text_of(own if some is None else some) for some in tools]
        names = {text: f"tools_{number}" for number, text in enumerate(dict.fromkeys(texts))}
        self.environment_factory: Any = {name: _environment_class(self, text) for text, name in names.items()}
        """A class whose objects have the tools as methods. Where tasks have different tools, one class for
        each list of tools, by the name in the column `environment` of the data set."""
        self.rows = [
            {ROW_ID: one[ROW_ID], "prompt": _plain(one["prompt"]), "environment": names[text]}
            for one, text in zip(rows, texts, strict=True)
        ]
        """The rows of the data set."""
        if len(names) == 1:
            (self.environment_factory,) = self.environment_factory.values()
            for one in self.rows:
                del one["environment"]

    @cached_property
    def train_dataset(self) -> Any:
        """The rows as a `datasets.Dataset`."""
        try:
            library: Any = import_module("datasets")
        except ImportError:
            raise UsageError("trl: train_dataset needs datasets: pip install datasets") from None
        return library.Dataset.from_list(self.rows)

    @property
    def reward_funcs(self) -> Callable[..., list[float | None]]:
        """The rewards of the verifier, `ng_reward` in TRL's logs; None for a rollout that failed."""

        def ng_reward(
            completions: Sequence[Any], environments: Sequence[Any] = (), **further: Any
        ) -> list[float | None]:
            known = [one for one in environments if isinstance(one, _Environment)]
            if not len(completions) == len(known) == len(environments):
                raise UsageError("trl: this reward needs the environment_factory of the same Rollouts")
            rewards = [self._reward(one) for one in self.run(_finished(known, completions))]
            if log := further.get("log_metric"):
                log("ng_failed", sum(reward is None for reward in rewards) / max(len(rewards), 1))
            return rewards

        return ng_reward

    async def aclose(self) -> None:
        """End the rollouts that TRL has left open."""
        await asyncio.gather(*(play.aclose() for play in list(self._open)))

    def next_play(self, number: int, before: Play | None) -> Play:
        """The next rollout of a row, in place of one that may still be open."""
        repeat = self._repeats[number]
        self._repeats[number] += 1
        return self.run(self._play(self._row(number, repeat), before))

    async def _play(self, row: Row, before: Play | None = None) -> Play:
        if before is not None:
            await before.aclose()
        play = Play(self._collector, row)
        self._open.add(play)
        play.rollout.add_done_callback(lambda _: self._open.discard(play))
        return play

    async def _own_tools(self, number: int) -> list[FunctionTool]:
        """The tools of a session whose row has none."""
        play = await self._play(self._row(number, 0))
        try:
            if (tools := await play.tools()) is None:
                raise UsageError(f"trl: no session for row {number}: {play.rollout.result().failure}")
            return tools
        finally:
            await play.aclose()

    def _reward(self, rollout: Rollout) -> float | None:
        mask = sequences(rollout)[0].mask
        if mask == "no_tokens":  # TRL has them
            return rollout.reward
        self.failures[type(rollout.failure).__name__ if rollout.failure else str(mask)] += 1
        return None


class _Slot:
    """The rollout that one of TRL's objects plays now."""

    def __init__(self, owner: TrlEnvironments, tools: str) -> None:
        self._owner = owner
        self._tools = tools
        self._play: Play | None = None

    def reset(self, number: int) -> None:
        self._play = self._owner.next_play(number, self._play)

    def call(self, name: str, arguments: dict[str, Any]) -> str:
        return FAILED if self._play is None else self._owner.run(self._play.call(name, arguments))

    async def finish(self, completion: Any) -> Rollout:
        if self._play is None:
            raise UsageError("trl: a rollout without a reset before it")
        if (tools := await self._play.tools()) is not None and _text_of(tools) != self._tools:
            raise UsageError(f"trl: `seed` gives a task tools that TRL did not offer: {OTHER_HOOK}")
        return await self._play.finish(objects_of(completion))


class _Environment:
    """The base of the classes that TRL makes objects of. It takes every public method for a tool."""

    ng_slot: _Slot


def _environment_class(owner: TrlEnvironments, text: str) -> type[_Environment]:
    class Environment(_Environment):
        def __init__(self) -> None:
            self.ng_slot = _Slot(owner, text)

        def reset(self, **row: Any) -> None:
            self.ng_slot.reset(row[ROW_ID])

    for tool in json.loads(text):
        name = tool.get("name", "")
        if not name or name.startswith("_") or name in ("reset", "get_reward", "ng_slot"):
            raise UsageError(f"trl: no tool can have the name {name!r} in TRL: {OTHER_HOOK}")
        setattr(Environment, name, method_of(tool, _call))
    return Environment


def _call(environment: _Environment, name: str, arguments: dict[str, Any]) -> str:
    return environment.ng_slot.call(name, arguments)


async def _finished(environments: Sequence[_Environment], completions: Sequence[Any]) -> list[Rollout]:
    pairs = zip(environments, completions, strict=True)
    return await asyncio.gather(*(one.ng_slot.finish(completion) for one, completion in pairs))


def _text_of(tools: Sequence[FunctionTool]) -> str:
    return json.dumps(tools)


def _plain(prompt: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in message.items() if name != ROW_ID} for message in prompt]
