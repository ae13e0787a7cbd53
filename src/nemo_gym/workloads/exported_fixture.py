"""Runs the fixture that a server's program exports as `VERIFIER_FIXTURE`, in a process of its own:
`python -m nemo_gym.workloads.exported_fixture FILE` turns a `FixtureRequest` into the results of its
cases."""

from __future__ import annotations

import ast
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from nemo_gym.support.module_programs import answer_request, run_module
from nemo_gym.support.modules import load_file
from nemo_gym.wire.errors import UsageError

NAME: Final = "VERIFIER_FIXTURE"
TRIAL_S: Final = 300.0
"""Seconds for all cases."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case."""

    name: str
    expected: float | str | None
    """The reward, or a part of the error's text. None for any reward that is always the same."""
    reward: float | None
    error: str
    passed: bool

    def __str__(self) -> str:
        expected = f"{self.expected:g}" if isinstance(self.expected, float) else self.expected
        return f"{self.name}: expected {expected}, got {self.error or self.reward}"


class FixtureRequest(msgspec.Struct, kw_only=True):
    """A program with a fixture, and the scale of its rewards."""

    program: str
    full: float
    zero: float
    seeded: bool
    """Whether a case of the kind `determinism` is required."""
    update: bool


class Fixture(Protocol):
    """The object that a program exports."""

    async def __gym_cases__(
        self, *, full: float, zero: float, seeded: bool, update: bool
    ) -> list[CaseResult]:
        """The result of every case, in the order of the fixture.

        Raises:
            UsageError: the cases can't be read, or a case is missing.
        """
        ...


def exports_fixture(program: Path) -> bool:
    """Whether a program's source assigns the name."""
    try:
        tree = ast.parse(program.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return any(isinstance(target, ast.Name) and target.id == NAME for target in targets)


async def run_exported_fixture(request: FixtureRequest, python: str) -> list[CaseResult]:
    """Run the cases of a fixture.

    Args:
        python: the interpreter with the program's requirements.

    Raises:
        GymError: the process ended early or ran out of time.
    """
    return await run_module(
        "nemo_gym.workloads.exported_fixture",
        request,
        list[CaseResult],
        what=f"{NAME} of {request.program}",
        python=python,
        folder=Path(request.program).parent,
        seconds=TRIAL_S,
    )


async def _results(request: FixtureRequest) -> list[CaseResult]:
    return await _load(Path(request.program)).__gym_cases__(
        full=request.full, zero=request.zero, seeded=request.seeded, update=request.update
    )


def _load(program: Path) -> Fixture:
    sys.path[:0] = [str(program.parent)]
    sys.path.append(str(program.parents[2]))
    fixture: Fixture | None = getattr(load_file(program), NAME, None)
    if not hasattr(fixture, "__gym_cases__") or fixture is None:
        raise UsageError(f"{program}: {NAME} is not a nemo_gym.verifier_fixture.VerifierFixture")
    return fixture


if __name__ == "__main__":
    answer_request(FixtureRequest, lambda request: asyncio.run(_results(request)))
