"""Runs the verifier of a workload on its known answers, in the server's own environment of packages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.config.implementations import environment_reference, implementation_folder
from nemo_gym.config.manifest_composition import main_agent, main_server
from nemo_gym.config.manifest_file import read_manifest
from nemo_gym.config.resolve import Config
from nemo_gym.config.workloads import Workload
from nemo_gym.environments.base import Golden
from nemo_gym.environments.case_runner import Outcome, Scored, Trial, try_out
from nemo_gym.runs.paths import whole_file
from nemo_gym.serving.virtualenvs import python_for, virtualenvs_in
from nemo_gym.wire.errors import DataError, GymError, UsageError
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.task import Row
from nemo_gym.workloads.exported_fixture import (
    CaseResult,
    FixtureRequest,
    exports_fixture,
    run_exported_fixture,
)


async def try_verifier(
    config: Config, roots: Sequence[Path], *, cases: Sequence[Golden] = (), rows: Sequence[Row] = ()
) -> Outcome:
    """Run cases and check rows with the resources server of a configuration's agent.

    Raises:
        GymError: there is no such server, or it can't be built.
    """
    server = main_server(config, main_agent(config))
    if server is None:
        raise GymError("the configuration has no resources server with a verifier")
    folder = implementation_folder(server, roots)
    trial = Trial(
        environment=environment_reference(server) if folder is None else str(folder / server.entrypoint),
        settings=server.settings,
        cases=list(cases),
        rows=list(rows),
    )
    return await try_out(trial, sys.executable if folder is None else await _python_for(folder, config))


async def run_fixture(
    workload: Workload, config: Config, roots: Sequence[Path], *, update: bool = False
) -> list[CaseResult]:
    """Score every known answer: those of the workload's `golden.jsonl`, or else of the fixture that the
    server's program exports.

    Args:
        update: write the rewards into the fixture as the expected rewards.

    Raises:
        UsageError: there is no fixture, or a line of it is wrong.
        GymError: the verifier can't run; with `update` also if it fails on a case.
    """
    manifest = read_manifest(workload.manifest) if workload.manifest.exists() else None
    low, high = manifest.reward.range if manifest else (0.0, 1.0)
    program = _fixture_program(config, roots)
    if program and not workload.fixture.exists():
        zero, full = (low, high) if manifest is None or manifest.reward.higher_is_better else (high, low)
        seeded = manifest is not None and manifest.determinism == "seeded"
        request = FixtureRequest(program=str(program), full=full, zero=zero, seeded=seeded, update=update)
        return await run_exported_fixture(request, await _python_for(program.parent, config))
    cases = read_fixture(workload.fixture)
    outcome = await try_verifier(config, roots, cases=cases)
    if update:
        cases = [
            _with_reward(case, scored, low, high) for case, scored in zip(cases, outcome.scored, strict=True)
        ]
        with whole_file(workload.fixture) as file:
            file.writelines(encode(golden_row(case)) + b"\n" for case in cases)
    return [
        CaseResult(case.name, expected, scored.reward, scored.error, scored.reward == expected)
        for case, scored in zip(cases, outcome.scored, strict=True)
        for expected in [_expected(case, low, high)]
    ]


def read_fixture(path: Path) -> list[Golden]:
    """The known answers in a file.

    Raises:
        UsageError: there is no such file, or it is empty.
        DataError: a line is not a known answer; the message names it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no verifier fixture, a file with a known answer on each line")
    cases: list[Golden] = []
    for number, row in read_rows(path):
        try:
            cases.append(msgspec.convert(row, Golden))
        except msgspec.ValidationError as error:
            raise DataError(f"{path}:{number}: {error}") from None
    if not cases:
        raise UsageError(f"{path}: has no cases")
    return cases


def golden_row(case: Golden) -> dict[str, Any]:
    """A known answer as a line of a fixture."""
    return {key: value for key, value in msgspec.to_builtins(case).items() if value is not None}


def _fixture_program(config: Config, roots: Sequence[Path]) -> Path | None:
    """The program of the agent's resources server, if it exports a fixture."""
    server = main_server(config, main_agent(config))
    folder = implementation_folder(server, roots) if server else None
    program = folder / server.entrypoint if server and folder else None
    return program if program and exports_fixture(program) else None


async def _python_for(folder: Path, config: Config) -> str:
    return await python_for(folder, virtualenvs_in(config.tree["cache_dir"]))


def _expected(case: Golden, low: float, high: float) -> float:
    if case.expected_reward is not None:
        return case.expected_reward
    return high if case.kind == "full_reward" else low


def _with_reward(case: Golden, scored: Scored, low: float, high: float) -> Golden:
    if scored.reward is None:
        raise GymError(f"case {case.name!r}: {scored.error}: the fixture is left as it is")
    if scored.reward == _expected(case, low, high):
        return case
    return msgspec.structs.replace(case, kind="partial_reward", expected_reward=scored.reward)
