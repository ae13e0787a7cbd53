"""Runs, in a separate process, the fixture that a server's program exports as `VERIFIER_FIXTURE`:
`python -m nemo_gym.workloads.exported_fixture FILE` turns an `Exported` into the results of its cases."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from nemo_gym.support.module_programs import answer_request, run_module
from nemo_gym.wire.errors import UsageError

NAME: Final = "VERIFIER_FIXTURE"
TRIAL_S: Final = 300.0
"""Seconds for all cases."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one known answer."""

    name: str
    expected: float | str | None
    """The reward, or a text that its error has; None when any reward will do that is always the same."""
    reward: float | None
    error: str
    passed: bool

    def __str__(self) -> str:
        expected = f"{self.expected:g}" if isinstance(self.expected, float) else self.expected
        return f"{self.name}: expected {expected}, got {self.error or self.reward}"


class Exported(msgspec.Struct, kw_only=True):
    """A fixture and what it is measured by."""

    program: str
    full: float
    zero: float
    seeded: bool
    """Whether a case of the kind `determinism` is needed."""
    update: bool


class Fixture(Protocol):
    """What is under `NAME`."""

    async def __gym_cases__(
        self, *, full: float, zero: float, seeded: bool, update: bool
    ) -> list[CaseResult]:
        """The result of every case, in the order of the fixture.

        Raises:
            UsageError: the cases can't be read, or one is lacking.
        """
        ...


def exports_fixture(program: Path) -> bool:
    """Whether a program has such a name, read from its source."""
    try:
        tree = ast.parse(program.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return any(isinstance(target, ast.Name) and target.id == NAME for target in targets)


async def run_exported(exported: Exported, python: str) -> list[CaseResult]:
    """Try the cases.

    Args:
        python: the interpreter that has what the program needs.

    Raises:
        GymError: its process ended early or ran out of time.
    """
    return await run_module(
        "nemo_gym.workloads.exported_fixture",
        exported,
        list[CaseResult],
        what=f"{NAME} of {exported.program}",
        python=python,
        folder=Path(exported.program).parent,
        seconds=TRIAL_S,
    )


async def _results(exported: Exported) -> list[CaseResult]:
    return await _loaded(Path(exported.program)).__gym_cases__(
        full=exported.full, zero=exported.zero, seeded=exported.seeded, update=exported.update
    )


def _loaded(program: Path) -> Fixture:
    sys.path[:0] = [str(program.parent)]
    sys.path.append(str(program.parents[2]))
    spec = importlib.util.spec_from_file_location(program.stem, program)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[program.stem] = module
    spec.loader.exec_module(module)
    fixture: Fixture | None = getattr(module, NAME, None)
    if not hasattr(fixture, "__gym_cases__") or fixture is None:
        raise UsageError(f"{program}: {NAME} is no nemo_gym.verifier_fixture.VerifierFixture")
    return fixture


if __name__ == "__main__":
    answer_request(Exported, lambda exported: asyncio.run(_results(exported)))
