"""Test requests for a verifier with their expected results. `gym env test` runs them too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast
from uuid import uuid4

import msgspec
from fastapi import Request
from pydantic import BaseModel

from nemo_gym.compat.handlers import value_of
from nemo_gym.compat.server_utils import SESSION_ID_KEY
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.workloads.exported_fixture import CaseResult

Kind = Literal["full_reward", "zero_reward", "malformed", "determinism"]


class VerifierFixtureError(UsageError, ValueError):
    """A fixture is incomplete, or a verifier does not behave as its fixture says."""


class VerifierFixtureCase(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the file of cases."""

    name: str
    kind: Kind
    request: dict[str, Any]
    """The body of `/verify`."""
    expected_reward: float | None = None
    """For `malformed` and `determinism`. The other kinds expect an end of the reward range."""
    expected_error: str | None = None
    """For `malformed`: a part of the exception's message."""
    expected_error_type: str | None = None
    """The name of the exception's class or of a base class."""


@dataclass(frozen=True, slots=True)
class VerifierFixtureResult:
    """The result of a case."""

    name: str
    kind: Kind
    observed_rewards: tuple[float, ...]
    """Empty for a request that raises an error, two rewards for `determinism`."""
    error: str = ""
    passed: bool = True


@dataclass(frozen=True)
class VerifierFixture:
    """The test cases of a verifier. A server's module exports one as `VERIFIER_FIXTURE`.

    Args:
        server_factory: builds a server, or another object with `verify`, for each request.
        request_model: the model of the requests.
        cases_path: a JSONL file of cases.
        invoke: called with server and request instead of `server.verify`.
        reseed: called with server and request before `verify`, to set random seeds.
    """

    server_factory: Callable[[], Any]
    request_model: type[BaseModel]
    cases_path: Path
    invoke: Callable[[Any, Any], Any] | None = None
    reseed: Callable[[Any, Any], Any] | None = None

    def cases(self, *, seeded: bool = False) -> list[VerifierFixtureCase]:
        """The cases in the file.

        Args:
            seeded: whether a case of the kind `determinism` is required.

        Raises:
            VerifierFixtureError: there is no file, or a required kind has no case.
            DataError: a line is not a case; the message names it.
        """
        path, fixture_cases = Path(self.cases_path), list[VerifierFixtureCase]()
        if not path.is_file():
            raise VerifierFixtureError(f"{path}: there is no such file of cases")
        for number, row in read_rows(path):
            try:
                fixture_cases.append(msgspec.convert(row, VerifierFixtureCase))
            except msgspec.ValidationError as error:
                raise DataError(f"{path}:{number}: {error}") from None
        required = {"full_reward", "zero_reward", "malformed"}
        if seeded or self.reseed is not None:
            required.add("determinism")
        if missing := required - {case.kind for case in fixture_cases}:
            raise VerifierFixtureError(f"{path}: has no case of the kind {', '.join(sorted(missing))}")
        return fixture_cases

    async def __gym_cases__(
        self, *, full: float, zero: float, seeded: bool, update: bool
    ) -> list[CaseResult]:
        """The results for `gym env test`; see `nemo_gym.workloads.exported_fixture`."""
        results = await _exercise(self, full=full, zero=zero, seeded=seeded, update=update)
        return [_case_result(case, result, full, zero) for case, result in results]


async def exercise_verifier_fixture(
    fixture: VerifierFixture,
    *,
    reward_range: Sequence[float],
    higher_is_better: bool = True,
    determinism: str = "unknown",
    update_expected: bool = False,
) -> list[VerifierFixtureResult]:
    """Run every case, in the order of the file.

    Args:
        reward_range: lowest and highest reward; `full_reward` and `zero_reward` must reach its ends.
        determinism: `seeded` requires a case of the kind `determinism`.
        update_expected: write the results of `malformed` and `determinism` into the file as expectations.

    Raises:
        VerifierFixtureError: a case fails; the message names every such case.
    """
    zero, full = reward_range if higher_is_better else reversed(reward_range)
    seeded = determinism == "seeded"
    results = await _exercise(fixture, full=full, zero=zero, seeded=seeded, update=update_expected)
    if failures := [str(_case_result(*one, full, zero)) for one in results if not one[1].passed]:
        raise VerifierFixtureError(f"{fixture.cases_path}: {'; '.join(failures)}")
    return [result for _, result in results]


async def _exercise(
    fixture: VerifierFixture, *, full: float, zero: float, seeded: bool, update: bool
) -> list[tuple[VerifierFixtureCase, VerifierFixtureResult]]:
    cases = fixture.cases(seeded=seeded)
    results = [(case, await _try(fixture, case, full, zero, update=update)) for case in cases]
    if update:
        with whole_file(Path(fixture.cases_path)) as file:
            file.writelines(encode(msgspec.to_builtins(case)) + b"\n" for case in cases)
    return results


async def _try(
    fixture: VerifierFixture, case: VerifierFixtureCase, full: float, zero: float, *, update: bool
) -> VerifierFixtureResult:
    rewards: list[float] = []
    exception: Exception | None = None
    try:
        for _ in range(2 if case.kind == "determinism" else 1):
            rewards.append(await _reward(fixture, case.request))
    except Exception as error:
        exception = error
    if update and case.kind in ("malformed", "determinism"):
        case.expected_reward = rewards[0] if exception is None else None
        case.expected_error = None if exception is None else str(exception)
        case.expected_error_type = None if exception is None else type(exception).__name__
    if exception is not None:
        error = f"{type(exception).__name__}: {exception}"
        return VerifierFixtureResult(case.name, case.kind, (), error, _is_expected(case, exception))
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
        await value_of(fixture.reseed(server, request))
    if fixture.invoke is not None:
        answer = await value_of(fixture.invoke(server, request))
    elif "request" in inspect.signature(server.verify).parameters:
        scope: dict[str, Any] = {"type": "http", "headers": [], "session": {SESSION_ID_KEY: str(uuid4())}}
        answer = await value_of(server.verify(Request(scope), request))
    else:
        answer = await value_of(server.verify(request))
    return float(cast("Any", answer)["reward"] if isinstance(answer, Mapping) else answer.reward)


def _expectation(case: VerifierFixtureCase, full: float, zero: float) -> float | str | None:
    """The expected reward, or a description of the expected error; None for any reward."""
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


def _is_expected(case: VerifierFixtureCase, error: Exception) -> bool:
    if case.kind != "malformed" or case.expected_reward is not None:
        return False
    names = [kind.__name__ for kind in type(error).__mro__]
    return (case.expected_error_type or names[0]) in names and (case.expected_error or "") in str(error)


def _case_result(
    case: VerifierFixtureCase, result: VerifierFixtureResult, full: float, zero: float
) -> CaseResult:
    reward = result.observed_rewards[0] if result.observed_rewards else None
    return CaseResult(case.name, _expectation(case, full, zero), reward, result.error, result.passed)
