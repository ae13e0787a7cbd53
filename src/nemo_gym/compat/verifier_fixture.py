"""Known requests of a verifier with their expected results; `gym env test` runs them too."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast
from uuid import uuid4

import msgspec
from fastapi import Request
from pydantic import BaseModel

from nemo_gym.compat.server_utils import SESSION_ID_KEY
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.workloads.exported_fixture import CaseResult

Kind = Literal["full_reward", "zero_reward", "malformed", "determinism"]


class VerifierFixtureError(UsageError, ValueError):
    """A fixture lacks something, or a verifier doesn't do what its fixture says."""


class VerifierFixtureCase(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of the file of cases."""

    name: str
    kind: Kind
    request: dict[str, Any]
    """The body of `/verify`."""
    expected_reward: float | None = None
    """Of `malformed` and `determinism`; the other kinds mean the ends of the reward range."""
    expected_error: str | None = None
    """Of `malformed`: what the message of the exception contains."""
    expected_error_type: str | None = None
    """The name of its class, or of one above that."""


@dataclass(frozen=True, slots=True)
class VerifierFixtureResult:
    """What came of a case."""

    name: str
    kind: Kind
    observed_rewards: tuple[float, ...]
    """Empty for a request that was refused, two for `determinism`."""
    error: str = ""
    passed: bool = True


@dataclass(frozen=True)
class VerifierFixture:
    """Export one from a server's module as `VERIFIER_FIXTURE`.

    Args:
        server_factory: makes a server, or anything with its `verify`, for each time that a case is tried.
        request_model: what the request of a case is read as.
        cases_path: JSONL of cases.
        invoke: called with server and request instead of `server.verify`.
        reseed: called with server and request before, to fix what is random.
    """

    server_factory: Callable[[], Any]
    request_model: type[BaseModel]
    cases_path: Path
    invoke: Callable[[Any, Any], Any] | None = None
    reseed: Callable[[Any, Any], Any] | None = None

    def cases(self, *, seeded: bool = False) -> list[VerifierFixtureCase]:
        """The cases in the file.

        Raises:
            VerifierFixtureError: there is none of a kind that is needed, or no file.
            DataError: a line is none, naming it.
        """
        path, fixture_cases = Path(self.cases_path), list[VerifierFixtureCase]()
        if not path.is_file():
            raise VerifierFixtureError(f"{path}: there is no such file of cases")
        for number, row in read_rows(path):
            try:
                fixture_cases.append(msgspec.convert(row, VerifierFixtureCase))
            except msgspec.ValidationError as error:
                raise DataError(f"{path}:{number}: {error}") from None
        needed = {"full_reward", "zero_reward", "malformed"}
        if seeded or self.reseed is not None:
            needed.add("determinism")
        if lacking := needed - {case.kind for case in fixture_cases}:
            raise VerifierFixtureError(f"{path}: has no case of the kind {', '.join(sorted(lacking))}")
        return fixture_cases

    async def __gym_cases__(
        self, *, full: float, zero: float, seeded: bool, update: bool
    ) -> list[CaseResult]:
        """What `gym env test` asks for: see `nemo_gym.workloads.exported_fixture`."""
        tried = await _exercise(self, full=full, zero=zero, seeded=seeded, update=update)
        return [_shown(case, result, full, zero) for case, result in tried]


async def exercise_verifier_fixture(
    fixture: VerifierFixture,
    *,
    reward_range: Sequence[float],
    higher_is_better: bool = True,
    determinism: str = "unknown",
    update_expected: bool = False,
) -> list[VerifierFixtureResult]:
    """Try every case, in the order of the file.

    Args:
        reward_range: lowest and highest reward; `full_reward` and `zero_reward` must hit its ends.
        determinism: `seeded` asks for a case of that kind.
        update_expected: write what came of `malformed` and `determinism` into the file, as what is expected.

    Raises:
        VerifierFixtureError: naming every case whose expectation was not met.
    """
    zero, full = reward_range if higher_is_better else reversed(reward_range)
    seeded = determinism == "seeded"
    tried = await _exercise(fixture, full=full, zero=zero, seeded=seeded, update=update_expected)
    if wrong := [str(_shown(*one, full, zero)) for one in tried if not one[1].passed]:
        raise VerifierFixtureError(f"{fixture.cases_path}: {'; '.join(wrong)}")
    return [result for _, result in tried]


async def _exercise(
    fixture: VerifierFixture, *, full: float, zero: float, seeded: bool, update: bool
) -> list[tuple[VerifierFixtureCase, VerifierFixtureResult]]:
    cases = fixture.cases(seeded=seeded)
    tried = [(case, await _try(fixture, case, full, zero, update=update)) for case in cases]
    if update:
        with whole_file(Path(fixture.cases_path)) as file:
            file.writelines(encode(msgspec.to_builtins(case)) + b"\n" for case in cases)
    return tried


async def _try(
    fixture: VerifierFixture, case: VerifierFixtureCase, full: float, zero: float, *, update: bool
) -> VerifierFixtureResult:
    rewards: list[float] = []
    raised: Exception | None = None
    try:
        for _ in range(2 if case.kind == "determinism" else 1):
            rewards.append(await _reward(fixture, case.request))
    except Exception as error:
        raised = error
    if update and case.kind in ("malformed", "determinism"):
        _expect(case, rewards, raised)
    if raised is not None:
        error = f"{type(raised).__name__}: {raised}"
        return VerifierFixtureResult(case.name, case.kind, (), error, _is_expected(case, raised))
    if len(set(rewards)) > 1:
        error = f"{rewards[0]:g} and then {rewards[1]:g}"
        return VerifierFixtureResult(case.name, case.kind, tuple(rewards), error, passed=False)
    expected = _expectation(case, full, zero)
    passed = expected is None or rewards[0] == expected
    return VerifierFixtureResult(case.name, case.kind, tuple(rewards), passed=passed)


async def _reward(fixture: VerifierFixture, body: dict[str, Any]) -> float:
    request = fixture.request_model.model_validate(body)
    server = fixture.server_factory()
    if fixture.reseed is not None:
        await _settled(fixture.reseed(server, request))
    if fixture.invoke is not None:
        answer = await _settled(fixture.invoke(server, request))
    elif "request" in inspect.signature(server.verify).parameters:
        scope: dict[str, Any] = {"type": "http", "headers": [], "session": {SESSION_ID_KEY: str(uuid4())}}
        answer = await _settled(server.verify(Request(scope), request))
    else:
        answer = await _settled(server.verify(request))
    return float(cast("Any", answer)["reward"] if isinstance(answer, Mapping) else answer.reward)


async def _settled(result: Awaitable[Any] | Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _expectation(case: VerifierFixtureCase, full: float, zero: float) -> float | str | None:
    """The reward, or what the error says; None when any reward will do."""
    match case.kind:
        case "full_reward":
            return full
        case "zero_reward":
            return zero
        case "determinism":
            return case.expected_reward
        case "malformed":
            if case.expected_reward is not None:
                return case.expected_reward
            texts = [text for text in (case.expected_error_type, case.expected_error) if text]
            return ": ".join(texts) or "an error"


def _is_expected(case: VerifierFixtureCase, raised: Exception) -> bool:
    if case.kind != "malformed" or case.expected_reward is not None:
        return False
    names = {one.__name__ for one in type(raised).__mro__}
    return (case.expected_error_type or type(raised).__name__) in names and (
        case.expected_error or ""
    ) in str(raised)


def _expect(case: VerifierFixtureCase, rewards: list[float], raised: Exception | None) -> None:
    case.expected_reward = rewards[0] if raised is None else None
    case.expected_error = None if raised is None else str(raised)
    case.expected_error_type = None if raised is None else type(raised).__name__


def _shown(case: VerifierFixtureCase, result: VerifierFixtureResult, full: float, zero: float) -> CaseResult:
    reward = result.observed_rewards[0] if result.observed_rewards else None
    return CaseResult(case.name, _expectation(case, full, zero), reward, result.error, result.passed)
