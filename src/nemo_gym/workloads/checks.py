"""Checks a workload: its manifest, its configuration, whether the two agree, and its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from nemo_gym.config.datasets import Dataset
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.implementations import check_implementations
from nemo_gym.config.integration_profile import infer_profile, prepare_problem
from nemo_gym.config.manifest import Manifest, Profile
from nemo_gym.config.manifest_composition import differences, main_agent, shared_fields, sync_fields
from nemo_gym.config.manifest_file import MANIFEST, Place, problem_text, read_manifest
from nemo_gym.config.prompts import load_prompt
from nemo_gym.config.resolve import Config
from nemo_gym.config.sources import find_file, search_roots
from nemo_gym.config.workloads import Workload
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import read_rows
from nemo_gym.wire.task import Row
from nemo_gym.workloads.verifier_cases import try_verifier

ROWS: Final = 64
"""The number of rows of each data set that the environment checks."""


@dataclass(slots=True)
class Verdict:
    """The problems of a workload, and notices about it."""

    workload: Workload
    manifest: Manifest | None = None
    config: Config | None = None
    profile: Profile | None = None
    """The profile inferred from the configuration and the code."""
    problems: list[str] = field(default_factory=list[str])
    notices: list[str] = field(default_factory=list[str])
    synced: bool = False
    """Whether the manifest was rewritten."""


async def check_workload(
    workload: Workload, overrides: Sequence[str] = (), search_dirs: Sequence[Path] = (), *, sync: bool = False
) -> Verdict:
    """All problems of a workload. Its code is imported in another process only.

    Args:
        sync: update the fields of the manifest that repeat the configuration.
    """
    verdict = Verdict(workload)
    roots = search_roots(search_dirs)
    try:
        config = workload.resolve(overrides, search_dirs)
        config.require_instances()
        check_implementations(config.instances.values(), roots)
        expected = shared_fields(config)
        verdict.config = config
        verdict.profile = infer_profile(config, main_agent(config), roots)
        verdict.notices += config.notices
    except GymError as error:
        verdict.problems.append(str(error))
        expected = None
    if not workload.manifest.is_file():
        verdict.problems.append(f"{workload.folder}: has no {MANIFEST}; `gym env init` writes one")
    else:
        if sync and expected is not None:
            verdict.synced = _sync(workload.manifest, expected)
        try:
            verdict.manifest = read_manifest(workload.manifest)
        except GymError as error:
            verdict.problems.append(str(error))
    if verdict.manifest and expected is not None:
        problems = [*_own_problems(verdict, verdict.manifest), *differences(verdict.manifest, expected)]
        if problems:
            verdict.problems.append(problem_text(workload.manifest, problems))
    if verdict.config:
        await _check_data(verdict, verdict.config, roots)
    return verdict


def _sync(path: Path, expected: dict[str, object]) -> bool:
    """Update a manifest, and return whether it changed."""
    before = path.read_text(encoding="utf-8")
    after = sync_fields(before, expected)
    if after == before:
        return False
    with whole_file(path) as file:
        file.write(after.encode())
    return True


def _own_problems(verdict: Verdict, manifest: Manifest) -> Iterator[tuple[Place, str]]:
    workload = verdict.workload
    if manifest.name != workload.name:
        yield ("name",), f"says {manifest.name!r}, the folder is {workload.name!r}"
    if manifest.kind != workload.kind:
        yield ("kind",), f"says {manifest.kind!r}, the folder is among the {workload.folder.parent.name}"
    if manifest.integration_profile != verdict.profile:
        profile = manifest.integration_profile
        yield (
            ("integration_profile",),
            f"says {profile!r}, the configuration and the code show {verdict.profile!r}",
        )


async def _check_data(verdict: Verdict, config: Config, roots: Sequence[Path]) -> None:
    agent = main_agent(config)
    cases: list[tuple[str, Row]] = []
    for dataset in agent.datasets if agent else ():
        if dataset.prepare_script:
            script = find_file(dataset.prepare_script, roots)
            problem = prepare_problem(script or Path(dataset.prepare_script))
            if problem:
                verdict.problems.append(f"{dataset.prepare_script}: {problem}")
        path = find_file(dataset.jsonl_fpath, roots)
        if path is None:
            missing = f"data set {dataset.name}: there is no file {dataset.jsonl_fpath}"
            (verdict.problems if dataset.type == "example" else verdict.notices).append(missing)
            continue
        try:
            cases += _rows(dataset, path, roots)
        except GymError as error:
            verdict.problems.append(str(error))
    if not cases:
        return
    try:
        outcome = await try_verifier(config, roots, rows=[row for _, row in cases])
    except GymError as error:
        verdict.problems.append(str(error))
        return
    checks = zip(cases, outcome.bad_rows, strict=True)
    verdict.problems += [f"{where}: {problem}" for (where, _), problem in checks if problem]


def _rows(dataset: Dataset, path: Path, roots: Sequence[Path]) -> Iterator[tuple[str, Row]]:
    prompt = load_prompt(dataset.prompt_config, roots) if dataset.prompt_config else None
    for number, row in islice(read_rows(path), ROWS):
        where = f"{path}:{number}"
        try:
            yield where, prompt.apply(row) if prompt else row
        except UsageError as error:
            raise ConfigError(f"{where}: {error}") from None
