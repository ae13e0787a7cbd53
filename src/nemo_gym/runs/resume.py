"""Checks before an earlier run goes on: its identity, its plan and its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from nemo_gym.runs.ledger import Ledger
from nemo_gym.runs.manifest import Identity, Manifest, differences
from nemo_gym.runs.paths import RunPaths, whole_file
from nemo_gym.runs.task_sources import digest_of
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.row_identity import Keys, journal_lines


def is_extension(old: Identity, new: Identity) -> bool:
    """Whether the new run asks for the same tasks and repeats and for more of them."""
    was, now = old.inputs, new.inputs
    if (was.get("limit"), was.get("repeats")) == (now.get("limit"), now.get("repeats")):
        return False
    return _more_tasks(was.get("limit"), now.get("limit")) and _more_repeats(
        was.get("repeats"), now.get("repeats")
    )


def refuse_changes(old: Identity, new: Identity, *, accept: frozenset[str], output: object) -> list[str]:
    """The changes since the earlier run that the user accepts, a line each.

    Args:
        accept: `environment` accepts that the code of the environment has changed.

    Raises:
        UsageError: something else has changed.
    """
    if is_extension(old, new):
        sizes = {name: old.inputs[name] for name in ("limit", "repeats") if name in old.inputs}
        new = msgspec.structs.replace(new, inputs={**new.inputs, **sizes})
    changes = differences(old, new)
    code = [line for line in changes if _is_code(line)]
    accepted = code if "environment" in accept else []
    if others := [line for line in changes if line not in accepted]:
        hint = ""
        if others == code:
            hint = (
                ". The environment's code was changed: accept the change 'environment' to go on "
                "with the new code, where what is scored keeps its reward; gym eval reverify scores stored "
                "rollouts with it"
            )
        elif _is_smaller(old, new):
            hint = ". Tasks and repeats can be added to a run, but not taken out of it"
        problem = f"can't resume {output}: this is a different run: {'; '.join(others)}{hint}"
        raise UsageError(problem).about(*(["accept_changes"] if others == code else []))
    return accepted


def _is_smaller(old: Identity, new: Identity) -> bool:
    """Whether fewer tasks or repeats are asked for than before."""
    for name in ("limit", "repeats"):
        was, now = old.inputs.get(name), new.inputs.get(name)
        if isinstance(now, int) and (was is None or (isinstance(was, int) and now < was)):
            return True
    return False


def grow(paths: RunPaths, lines: Iterable[bytes]) -> int:
    """Replace the plan by one that has all of its rows and more; the number of its rows.

    If the process is killed, the same call finishes the work.

    Raises:
        UsageError: a row of the old plan is not in the new one, at its place.
    """
    old = (row.line for row in journal_lines(paths.inputs))
    expected = next(old, None)
    count = 0
    with whole_file(paths.inputs) as file:
        for line in lines:
            count += 1
            file.write(line)
            if line == expected:
                expected = next(old, None)
        if expected is not None:
            raise UsageError(
                f"can't add to {paths.rollouts}: its tasks are not the first of those asked for now; "
                "choose another output"
            ).about("output")
    return count


def check_plan(paths: RunPaths, manifest: Manifest) -> None:
    """Check that the plan is the one that the run began with.

    Raises:
        UsageError: it was changed.
    """
    if manifest.plan_sha256 and digest_of(paths.inputs) != manifest.plan_sha256:
        raise UsageError(
            f"can't resume {paths.rollouts}: {paths.inputs} was changed since the run began; restore it, or "
            "choose another output"
        ).about("output")


def check_files(paths: RunPaths, ledger: Ledger, requested: int) -> int:
    """How many rollouts still have to be run.

    Raises:
        DataError: the files hold a rollout twice, or one that the plan doesn't have.
    """
    if ledger.twin:
        raise DataError(ledger.twin)
    planned = Keys()
    remaining = 0
    for row in journal_lines(paths.inputs):
        if not planned.add(row.stamp):
            raise DataError(f"{row.place}: {row.name} is here a second time")
        remaining += ledger.wants(row.stamp.task_index, row.stamp.rollout_index)
    failed = Keys()
    for task, repeat in ledger.failed:
        failed.put(task, repeat)
    for path, present in ((paths.rollouts, Keys(ledger.scored)), (paths.failures, failed)):
        if extra := present.without(planned):
            raise DataError(f"{path}: {extra.named()}: not among the rows of {paths.inputs}")
    if len(planned) != requested:
        raise DataError(f"{paths.inputs} has {len(planned)} rows, and {paths.manifest} says {requested}")
    return remaining


def _is_code(line: str) -> bool:
    """Whether a change is about a digest of an environment's code."""
    path, _, _ = line.partition(" ")
    return path.startswith("environment.") and path.rsplit(".", 1)[-1] in ("fingerprint", "code")


def _more_tasks(was: Any, now: Any) -> bool:
    if was == now or now is None:
        return True
    return isinstance(was, int) and isinstance(now, int) and now > was


def _more_repeats(was: Any, now: Any) -> bool:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        before, after = cast("Mapping[str, Any]", was), cast("Mapping[str, Any]", now)
        return before.keys() == after.keys() and all(_more_repeats(before[key], after[key]) for key in before)
    return isinstance(was, int) and isinstance(now, int) and now >= was
