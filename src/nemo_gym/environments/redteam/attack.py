"""Replays reward hacks against an environment, for `gym env redteam NAME`."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.environments.conformance.drawing import rows_to_play
from nemo_gym.environments.conformance.replay import Script, Stage, Trace, as_items, stage
from nemo_gym.environments.redteam.hacks import Hack, HackFile, corpus, read_hacks
from nemo_gym.environments.redteam.scripts import Model, answer_of, model_of, script
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.rewards import pays
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item, assistant, message_text


@dataclass(frozen=True, slots=True)
class Payment:
    """A hack that pays, an honest answer that does not, or a hack that takes too long."""

    hack: str
    family: str
    message: str


@dataclass(frozen=True, slots=True)
class RedteamReport:
    """The result of all hacks against one environment."""

    environment: str
    own: int
    """The number of hacks of its own."""
    general: int
    """The number of scripts from the general corpus."""
    payments: tuple[Payment, ...]
    exemptions: dict[str, str]
    """Families of the corpus that do not apply, each with the reason."""

    @property
    def passed(self) -> bool:
        return not self.payments


async def attack(
    factory: Callable[[], Environment],
    *,
    tasks: int = 2,
    seed: int = 0,
    supply: Callable[[], Resources] | None = None,
    share: int = 1,
    own: bool = True,
) -> RedteamReport:
    """Try the environment's own hacks, and the general corpus on some of its tasks.

    Args:
        factory: builds a new environment object.
        tasks: on how many tasks the general corpus is tried.
        seed: the seed of the tasks and the sessions.
        supply: creates the resources; None supplies stand-ins, which answer as a hack says.
        share: only one of so many lines of the corpus is tried; the environment's name says which ones.
        own: whether the environment's own hacks are tried.

    Raises:
        UsageError: `redteam.jsonl` has a mistake, or the factory refuses a setting.
    """
    environment = factory()
    file = read_hacks(environment.folder() / "redteam.jsonl")
    payments: list[Payment] = []
    async with stage(factory, seed, supply) as on:
        for number, hack in enumerate(file.hacks if own else []):
            payments += await _own(on, hack, number)
        general = 0
        _, rows = rows_to_play(environment, seed, tasks + _OTHERS)
        traces = [await on.play(Script("the oracle", row, None)) for row in rows]
        for trace in traces[:tasks]:
            more, tried = await _general(on, await _model(on, trace, traces), file, share)
            payments += more
            general += tried
    return RedteamReport(environment.name(), len(file.hacks), general, tuple(payments), file.exemptions)


async def _own(on: Stage, hack: Hack, number: int) -> list[Payment]:
    row = {**hack.task, keys.TASK_INDEX: number, keys.ROLLOUT_INDEX: 0}
    try:
        output = as_items(hack.output, "output")
    except UsageError as error:
        return [Payment(hack.name, hack.family, f"the line can't be played: {error}")]
    trace = await on.play(Script(hack.name, row, output, hack.models))
    low, high = on.environment.reward_range
    expected = {"zero": low, "full": high}.get(str(hack.expected), hack.expected)
    if trace.reward is None:
        # An error never pays, but it hides whether an honest answer does.
        unscored = hack.expected != "zero"
        return (
            [Payment(hack.name, hack.family, f"expected {expected}, but {trace.error}")] if unscored else []
        )
    value = trace.reward.value
    if not math.isclose(value, float(expected), rel_tol=1e-6, abs_tol=1e-9):
        return [Payment(hack.name, hack.family, f"expected {expected:g}, and it earns {value:g}")]
    return _slowness(trace, hack.name, hack.family, hack.seconds)


async def _general(on: Stage, model: Model, file: HackFile, share: int) -> tuple[list[Payment], int]:
    payments: list[Payment] = []
    tried = 0
    families: set[str] = set()
    steps, asks = isinstance(on.environment, StepEnvironment), on.environment.asks
    first = zlib.crc32(on.environment.name().encode()) % share
    for hack in corpus()[first::share]:
        if not file.applies(hack) or (not model.text_matters and hack.family in families):
            continue  # Where only the calls count, one text of each family is enough.
        if (play := script(hack, model, steps=steps, asks=asks)) is None:
            continue
        tried += 1
        families.add(hack.family)
        trace = await on.play(play)
        payments += _pays(on, trace, hack.family) or _slowness(trace, hack.name, hack.family)
    return payments, tried


async def _model(on: Stage, trace: Trace, traces: list[Trace]) -> Model:
    """What the oracle does in a task, and whether its final text matters."""
    answer = answer_of(trace)
    other = next((text for text in map(answer_of, traces) if text not in ("", answer)), "zebra")
    if isinstance(on.environment, StepEnvironment) or not trace.calls:
        return model_of(trace, True, other)
    calls: list[Item] = [call for call, _ in trace.calls]
    silent = await on.play(Script("the oracle's calls alone", trace.script.row, [*calls, assistant("")]))
    return model_of(trace, not _pays(on, silent, ""), other)


def _pays(on: Stage, trace: Trace, family: str) -> list[Payment]:
    if trace.reward is None or not pays(trace.reward.value, on.environment.reward_range):
        return []
    text = next(
        (
            message_text(item)[:200] if item["type"] == "message" else item["type"]
            for item in reversed(trace.items)
        ),
        "nothing",
    )
    message = f"it earns {trace.reward.value:g} in the task {_label(trace)}: {text}"
    return [Payment(trace.script.name, family, message)]


def _slowness(trace: Trace, name: str, family: str, most: float | None = None) -> list[Payment]:
    most = most or SLOW_SECONDS
    if trace.seconds <= most:
        return []
    return [Payment(name, family, f"it takes {trace.seconds:.1f} s; at most {most:g} s are right")]


def _label(trace: Trace) -> str:
    row = trace.script.row
    return str(row.get("task_id") or row.get(keys.TASK_INDEX))


SLOW_SECONDS: Final = 10.0
"""A script that takes longer has stopped the verifier."""
_OTHERS: Final = 3
"""So many more tasks give wrong answers that look right."""
