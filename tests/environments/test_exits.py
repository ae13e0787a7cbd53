"""Whatever an author's hooks raise is that rollout's failure, with the author's line; the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NoReturn

import pytest

from nemo_gym import (
    Environment,
    Observation,
    Response,
    Rollout,
    Session,
    Step,
    StepEnvironment,
    ask,
    collect,
    tool,
)
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.errors import RolloutError
from nemo_gym.wire.items import function_call
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.rollout import Partial, take_partial


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Numeric(Exception):
    def __str__(self) -> str:
        return 7  # type: ignore[return-value]


class Quitter(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Frozen(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


class Bare(BaseException):
    pass


def ring() -> BaseException:
    """An exception that is its own cause's cause."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


RAISED: Final[dict[str, Callable[[], BaseException]]] = {
    "no text": Wordless,
    "text that is no text": Numeric,
    "text that exits": Quitter,
    "no attributes": lambda: Frozen("x"),
    "sys.exit()": lambda: SystemExit("bye"),
    "GeneratorExit": GeneratorExit,
    "CancelledError without a cancel": asyncio.CancelledError,
    "BaseException": lambda: Bare("b"),
    "a group": lambda: ExceptionGroup("g", [ExceptionGroup("h", [KeyError("k")])]),
    "a group of base exceptions": lambda: BaseExceptionGroup("g", [KeyboardInterrupt()]),
    "a ring of causes": ring,
    "a lone surrogate": lambda: ValueError("a\ud800b"),
    "fifty megabytes": lambda: ValueError("x" * 50_000_000),
}


def fail(kind: str) -> NoReturn:
    raise RAISED[kind]()


LINE: Final = f"{__file__}:{fail.__code__.co_firstlineno + 1}"
QUICK: Final = ScriptedModel(lambda _: "x")
ROWS: Final = [{"responses_create_params": ask("x"), "breaks": breaks} for breaks in (True, False, False)]


class Fragile(Environment):
    """Breaks in one hook, in the rollouts whose row says so."""

    def __init__(self, kind: str, hook: str) -> None:
        super().__init__()
        self.kind = kind
        self.hook = hook

    def at(self, hook: str, session: Session) -> None:
        if hook == self.hook and session.row["breaks"]:
            fail(self.kind)

    def seed(self, task: Any, session: Session) -> None:
        self.at("seed", session)

    def close(self, session: Session) -> None:
        self.at("close", session)

    @tool
    def look(self, session: Session) -> str:
        """Look."""
        self.at("tool", session)
        return "ok"

    async def call_tool(self, call: Any, session: Session) -> str | None:
        self.at("call_tool", session)
        return "ok"

    def oracle(self, task: Any, session: Session) -> Any:
        self.at("oracle", session)
        if self.hook.endswith("tool") and session.state.setdefault("turn", 0) == 0:
            session.state["turn"] = 1
            return [function_call("look" if self.hook == "tool" else "elsewhere", "{}", call_id="c1")]
        return "x"

    async def verify(self, task: Any, response: Response, session: Session) -> float:
        await asyncio.sleep(0)
        self.at("verify", session)
        return 1.0


class FragileSteps(StepEnvironment):
    def __init__(self, kind: str, hook: str) -> None:
        super().__init__()
        self.kind = kind
        self.hook = hook

    def at(self, hook: str, session: Session) -> None:
        if hook == self.hook and session.row["breaks"]:
            fail(self.kind)

    async def reset(self, task: Any, session: Session) -> Observation:
        self.at("reset", session)
        return Observation("go")

    def step(self, action: Response, session: Session) -> Step:
        self.at("step", session)
        return Step(None, 1.0, terminated=True)

    def oracle(self, task: Any, session: Session) -> str:
        return "x"


async def rollouts_of(environment: Environment) -> tuple[Rollout, list[Rollout]]:
    """The rollout that breaks, and the others."""
    ended = [one async for one in collect(environment, "oracle", ROWS, concurrency=3, rollout_timeout=30.0)]
    assert len(ended) == len(ROWS)
    broken = [one for one in ended if one.row["breaks"]]
    return broken[0], [one for one in ended if not one.row["breaks"]]


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize(
    ("hook", "failure_class"),
    [
        ("verify", "verifier_error"),
        ("seed", "environment_error"),
        ("oracle", "environment_error"),
        ("reset", "environment_error"),
        ("step", "environment_error"),
    ],
)
async def test_a_hook_that_breaks_fails_its_rollout_and_no_other(
    kind: str, hook: str, failure_class: str
) -> None:
    made = FragileSteps if hook in ("reset", "step") else Fragile
    broken, others = await rollouts_of(made(kind, hook))
    assert [one.reward for one in others] == [1.0, 1.0]
    assert broken.failure is not None
    assert broken.failure.failure_class == failure_class
    assert str(broken.failure).startswith(f"{hook} raised ")
    assert LINE in str(broken.failure)
    assert LINE in str(broken.failure.traceback)
    assert len(encode(broken.to_row())) < 10_000


@pytest.mark.parametrize("kind", RAISED)
async def test_a_close_that_breaks_is_a_note(kind: str) -> None:
    broken, others = await rollouts_of(Fragile(kind, "close"))
    assert [one.reward for one in (broken, *others)] == [1.0, 1.0, 1.0]
    warning = broken.details["cleanup_warning"]
    assert isinstance(warning, dict)
    assert LINE in warning["message"]


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("hook", ["tool", "call_tool"])
async def test_a_tool_that_breaks_answers_the_model_and_counts_as_an_error(kind: str, hook: str) -> None:
    broken, others = await rollouts_of(Fragile(kind, hook))
    assert [one.reward for one in (broken, *others)] == [1.0, 1.0, 1.0]
    name = "look" if hook == "tool" else "elsewhere"
    assert broken.tool_calls is not None
    assert (broken.tool_calls[name]["calls"], broken.tool_calls[name]["errors"]) == (1, 1)
    assert str(broken.tool_calls[name]["error"]).startswith(f'{{"error":"{name} failed: ')
    assert len(encode(broken.to_row())) < 10_000


async def test_of_a_group_the_first_exception_and_its_line_are_named() -> None:
    class Parallel(Environment):
        async def part(self) -> None:
            raise LookupError("no such part")

        async def verify(self, task: Any, response: Response, session: Session) -> float:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.part())
            return 1.0

    line = Parallel.part.__code__.co_firstlineno + 1
    (rollout,) = [one async for one in collect(Parallel(), QUICK, [{"responses_create_params": ask("x")}])]
    assert "the first is LookupError: no such part" in str(rollout.failure)
    assert str(rollout.failure).endswith(f"({__file__}:{line})")


async def test_a_group_that_fails_costs_neither_its_rollout_nor_a_later_one() -> None:
    class Swallowing(Environment):
        async def part(self) -> None:
            raise LookupError("no such part")

        async def verify(self, task: Any, response: Response, session: Session) -> float:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.part())
            except* LookupError:
                if session.row["breaks"]:
                    raise ValueError("broken") from None
            return 1.0

    rows = [*ROWS[1:], *ROWS]
    ended = [one async for one in collect(Swallowing(), QUICK, rows, concurrency=1)]
    assert [one.reward for one in ended] == [1.0, 1.0, None, 1.0, 1.0]
    assert ended[2].failure is not None
    assert ended[2].failure.failure_class == "verifier_error"


async def test_a_seed_s_own_error_is_not_hidden_by_a_close_that_fails_after_it() -> None:
    class Both(Environment):
        def seed(self, task: Any, session: Session) -> None:
            raise LookupError("no seed")

        def close(self, session: Session) -> None:
            raise LookupError("nothing to close")

        def verify(self, task: Any, response: Response, session: Session) -> float:
            return 1.0

    (rollout,) = [one async for one in collect(Both(), QUICK, [{"responses_create_params": ask("x")}])]
    assert str(rollout.failure).startswith("seed raised LookupError: no seed")


async def test_a_cancelled_rollout_is_not_a_failure() -> None:
    class Slow(Environment):
        async def verify(self, task: Any, response: Response, session: Session) -> float:
            await asyncio.sleep(60)
            return 1.0

    stream = collect(Slow(), QUICK, [{"responses_create_params": ask("x")}])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(stream)
    await stream.aclose()


def test_a_ring_of_causes_ends_the_search_for_what_a_rollout_had_done() -> None:
    assert take_partial(ring(), {}) == Partial({})
    failure = RolloutError("x")
    failure.__cause__ = ring()
    assert take_partial(failure, {}) == Partial({})
