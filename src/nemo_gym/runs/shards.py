"""Rollouts of several runs as one run."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Final

import msgspec

from nemo_gym import __version__
from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.runs.component_specs import EnvironmentSpec
from nemo_gym.runs.manifest import Identity, Manifest, load_manifest
from nemo_gym.runs.metrics_recompute import recompute
from nemo_gym.runs.paths import RunPaths, whole_file
from nemo_gym.runs.report import RunReport
from nemo_gym.runs.scorer_environments import recorded_scorer
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.row_identity import KeyedLine, Keys, keyed_lines


def find_shards(patterns: Sequence[str], output: RunPaths) -> list[RunPaths]:
    """The rollouts files that the patterns match, each once, in order of name. Files that belong to one of
    them (failures, inputs, ...) and the output itself are left out.

    Args:
        patterns: as of the shell, with `**` for any depth; each may be several, separated by commas.

    Raises:
        UsageError: a pattern matches nothing.
    """
    rollouts: dict[Path, Path] = {}
    for pattern in (one.strip() for several in patterns for one in several.split(",") if one.strip()):
        shards = [
            path for path in map(Path, glob.glob(pattern, recursive=True)) if _is_shard(path, output.rollouts)
        ]
        if not shards:
            raise UsageError(f"{pattern}: no rollouts file matches")
        rollouts |= {path.resolve(): path for path in sorted(shards)}
    if not rollouts:
        raise UsageError("which rollouts? -i GLOB")
    return [RunPaths.of(path) for path in sorted(rollouts.values())]


async def aggregate_shards(
    shards: Sequence[RunPaths],
    output: RunPaths,
    *,
    scorer: EnvironmentSpec | None,
    agents: RemoteRun | None,
    merge: bool = True,
) -> tuple[RunReport, list[str]]:
    """Write the metrics of all shards; the report, and notes for the user.

    Args:
        scorer: the environments that add their own metrics; None takes the one that all shards name.
        agents: running agents, for the metrics of rollouts whose environment is not in `scorer`.
        merge: also write the rollouts file.

    Raises:
        UsageError: as for `merge_shards`, or there is no such environment; then nothing is written.
        GymError: a hook of an environment raised.
    """
    if scorer is not None and scorer.ref:
        scorer.build()
    async with AsyncExitStack() as stack:
        if agents is not None:
            stack.push_async_callback(agents.aclose)
        target = output
        if not merge:
            folder = stack.enter_context(TemporaryDirectory())
            target = RunPaths.of(Path(folder) / output.rollouts.name)
        merge_shards(shards, target)
        report, notes = await recompute(target.rollouts, scorer or recorded_scorer(target), agents=agents)
        if not merge:
            with whole_file(output.metrics) as file:
                file.write(target.metrics.read_bytes())
        return replace(report, paths=output), notes


def merge_shards(shards: Sequence[RunPaths], output: RunPaths) -> None:
    """Write the rollouts of all shards into one file, with their failures, inputs and a manifest beside it.
    An error leaves no file.

    Raises:
        UsageError: a file can't be read, or the runs have different weights or shapes of the reward.
        DataError: a line is no row of a run, or two rollouts have the same identity.
    """
    identity = _identity(shards)
    scored, planned, failed = Keys(), Keys(), Keys()
    inputs = [shard.inputs for shard in shards]
    with ExitStack() as files:
        rollouts = files.enter_context(whole_file(output.rollouts))
        for row in _rows([shard.rollouts for shard in shards]):
            if not scored.add(row.stamp):
                raise DataError(f"{_first_place(shards, row)} and {row.place} are both {row.name}")
            rollouts.write(row.line.rstrip() + b"\n")
        failures = files.enter_context(whole_file(output.failures))
        for row in _rows([shard.failures for shard in shards if shard.failures.exists()]):
            failed.add(row.stamp)
            failures.write(row.line.rstrip() + b"\n")
        if all(path.exists() for path in inputs):
            plan = files.enter_context(whole_file(output.inputs))
            for row in _rows(inputs):
                if planned.add(row.stamp):
                    plan.write(row.line.rstrip() + b"\n")
        unscored = failed.without(scored)
        requested = len(planned) or len(scored) + len(unscored)
        manifest = Manifest(identity, requested, __version__, time(), "complete", time())
        pending = requested - len(scored) - len(unscored)
        manifest.counts = {"scored": len(scored), "failed": len(unscored), "pending": pending}
        manifest.save(output)


def _is_shard(path: Path, output: Path) -> bool:
    if path.suffix != ".jsonl" or not path.is_file() or path.resolve() == output.resolve():
        return False
    owners = (path.with_name(path.stem.removesuffix(suffix) + ".jsonl") for suffix in _COMPANIONS)
    return not any(owner != path and owner.exists() for owner in owners)


def _rows(paths: Iterable[Path]) -> Iterator[KeyedLine]:
    return chain.from_iterable(map(keyed_lines, paths))


def _first_place(shards: Sequence[RunPaths], twin: KeyedLine) -> str:
    """Where the first rollout with the same identity is."""
    rows = _rows([shard.rollouts for shard in shards])
    return next(row.place for row in rows if row.name == twin.name)


def _identity(shards: Sequence[RunPaths]) -> Identity:
    """The parts of the identity that all shards share."""
    identities = [load_manifest(shard.manifest).identity for shard in shards if shard.manifest.exists()]

    if any(one.reward != identities[0].reward for one in identities):
        raise UsageError("the runs have different weights or shapes of the reward: score them again first")
    inputs = {"shards": [str(shard.rollouts) for shard in shards]}
    result = Identity({"ref": ""}, {"type": "none", "name": "", "url": ""}, {"name": ""}, {}, inputs)
    for part in (
        ("environment", "model", "agent", "sampling", "reward") if len(identities) == len(shards) else ()
    ):
        values = [getattr(one, part) for one in identities]
        if all(value == values[0] for value in values):
            result = msgspec.structs.replace(result, **{part: values[0]})
    return result


_COMPANIONS: Final = ("_failures", "_materialized_inputs", "_reward_profiling")
