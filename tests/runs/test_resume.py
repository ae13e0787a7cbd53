"""What has to fit before an earlier run goes on, and what a finished run can be extended by."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import read_rows

from nemo_gym.runs.component_specs import EnvironmentSpec, ModelSpec
from nemo_gym.runs.manifest import Identity, load_manifest
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.report import RunReport, report_on
from nemo_gym.runs.resume import is_extension, refuse_changes
from nemo_gym.runs.run import Job, Run
from nemo_gym.wire.errors import GymError, UsageError

SCORER = """
from nemo_gym import Environment, ask

class Scorer(Environment):
    reward_range = (0.0, 1.0)

    def tasks(self, split, seed, n):
        return ({"responses_create_params": ask(str(i)), "number": i} for i in range(COUNT))

    def verify(self, task, response, session):
        if session.row["number"] == 1:
            return REWARD
        return 0.5
"""


class Folder:
    """An environment in a file of its own, and runs of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.output = path / "out.jsonl"
        self.paths = RunPaths.of(self.output)
        self.write()

    def write(self, reward: str = "1.5", count: int = 6) -> None:
        text = SCORER.replace("REWARD", reward).replace("COUNT", str(count))
        (self.path / "scorer.py").write_text(text)

    async def run(self, **more: Any) -> RunReport:
        spec = EnvironmentSpec(str(self.path / "scorer.py"))
        job = Job(environment=spec, model=ModelSpec("random"), output=self.output, **more)
        run = Run(job)
        await run.prepare()
        report = await run.collect()
        self.notes = run.notes
        return report

    @property
    def identities(self) -> Counter[tuple[int, int]]:
        rows = read_rows(self.output)
        return Counter((row["_ng_task_index"], row["_ng_rollout_index"]) for row in rows)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def grid(tasks: int, repeats: int) -> Counter[tuple[int, int]]:
    return Counter((task, repeat) for task in range(tasks) for repeat in range(repeats))


async def test_a_finished_run_goes_on_with_more_repeats_and_then_more_tasks(folder: Folder) -> None:
    folder.write("0.25")
    await folder.run(limit=2)
    before = folder.output.read_bytes()

    await folder.run(limit=2, num_repeats=3, resume=True)
    assert folder.identities == grid(2, 3)
    report = await folder.run(limit=4, num_repeats=3, resume=True)

    assert folder.identities == grid(4, 3)
    assert folder.output.read_bytes().startswith(before)
    assert (report.summary.requested, report.summary.planned_tasks) == (12, 4)
    assert report.manifest.status == "complete"
    assert len(read_rows(folder.paths.inputs)) == 12
    await folder.run(num_repeats=3, resume=True)
    assert folder.identities == grid(6, 3), "no limit is more than any"


async def test_growing_that_was_killed_before_the_manifest_was_written_is_done_again(folder: Folder) -> None:
    folder.write("0.25")
    await folder.run(limit=2)
    manifest = folder.paths.manifest.read_bytes()
    await folder.run(limit=3, resume=True)
    folder.paths.manifest.write_bytes(manifest)

    await folder.run(limit=3, resume=True)

    assert folder.identities == grid(3, 1)


async def test_a_smaller_plan_is_another_run(folder: Folder) -> None:
    await folder.run(limit=3, num_repeats=2)
    with pytest.raises(
        UsageError, match=r"inputs\.repeats was 2, is now 1.*\. Tasks and repeats can be added"
    ):
        await folder.run(limit=4, num_repeats=1, resume=True)
    with pytest.raises(UsageError, match=r"inputs\.limit was 3, is now 2\. Tasks and repeats can be added"):
        await folder.run(limit=2, num_repeats=2, resume=True)


async def test_tasks_that_are_others_when_more_are_asked_for_are_not_added(folder: Folder) -> None:
    await folder.run(limit=2)
    text = (folder.path / "scorer.py").read_text()
    (folder.path / "scorer.py").write_text(text.replace("ask(str(i))", "ask(f'new {i}')"))
    before = folder.paths.inputs.read_bytes()

    with pytest.raises(UsageError, match="its tasks are not the first"):
        await folder.run(limit=4, resume=True, accept=frozenset({"environment"}))

    assert folder.paths.inputs.read_bytes() == before


async def test_changed_code_is_refused_with_what_to_do_and_accepted_on_demand(folder: Folder) -> None:
    report = await folder.run()
    assert report.summary.failed == {"verifier_error": 1}
    (failure,) = read_rows(folder.paths.failures)
    assert "verify returned 1.5, outside the declared" in failure["_ng_failure_error"]
    folder.write("0.75")

    with pytest.raises(
        UsageError, match=r"environment\.fingerprint was .*accept the change 'environment' to go on"
    ):
        await folder.run(resume=True)
    report = await folder.run(resume=True, accept=frozenset({"environment"}))

    assert (report.summary.scored, report.summary.failed) == (6, {})
    (accepted,) = load_manifest(folder.paths.manifest).accepted
    assert accepted.startswith("environment.fingerprint was ")
    assert any(note.startswith("accepted: environment.fingerprint") for note in folder.notes)
    await folder.run(resume=True)


def identity(**inputs: Any) -> Identity:
    return Identity(
        {"ref": "a", "fingerprint": "f"}, {"type": "t"}, {"name": "n"}, {}, {"split": "x", **inputs}
    )


@pytest.mark.parametrize(
    ("was", "now", "more"),
    [
        ((4, 1), (4, 1), False),
        ((4, 1), (5, 1), True),
        ((4, 1), (None, 1), True),
        ((None, 1), (5, 1), False),
        ((4, 2), (9, 1), False),
        ((4, {"a": 1, "_default": 2}), (4, {"a": 3, "_default": 2}), True),
        ((4, {"a": 1}), (4, {"b": 3}), False),
        ((4, 1), (4, {"a": 3}), False),
    ],
)
def test_only_more_of_the_same_is_growth(was: Any, now: Any, more: bool) -> None:
    old, new = (identity(limit=limit, repeats=repeats) for limit, repeats in (was, now))
    assert is_extension(old, new) is more


def test_accepting_new_code_accepts_nothing_else() -> None:
    old, new = identity(limit=1, repeats=1), identity(limit=1, repeats=1)
    new.environment["fingerprint"], new.model["type"] = "g", "u"
    with pytest.raises(UsageError, match=r"different run: model\.type was 't', is now 'u'$"):
        refuse_changes(old, new, accept=frozenset({"environment"}), output="out.jsonl")


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def replaced(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


DEEP = "[" * 100_000
SCORED = '{"_ng_task_index": %d, "_ng_rollout_index": %d, "reward": 1}\n'
FAILED = '{"_ng_task_index": 9, "_ng_rollout_index": 0, "_ng_failure_class": "run_error"}\n'

IRREGULAR = "it is not a regular file"
DAMAGE: dict[str, tuple[Callable[[RunPaths], object], str]] = {
    "a row twice": (
        lambda of: append(of.rollouts, SCORED % (0, 0)),
        r"out\.jsonl:6: task 0, repeat 0 is here a second time",
    ),
    "a row outside the plan": (
        lambda of: append(of.rollouts, SCORED % (7, 1)),
        r"task 7 repeat 1: not among the rows",
    ),
    "a failure outside": (lambda of: append(of.failures, FAILED), r"task 9 repeat 0: not among the rows"),
    "a reward twice": (
        lambda of: replaced(of.rollouts, '"reward":0.5', '"reward":1.0,"reward":0.5'),
        r":1: not a row of a run: the key 'reward' is there twice",
    ),
    "no reward": (
        lambda of: replaced(of.rollouts, '"reward":0.5', '"rewart":0.5'),
        r":1: a scored rollout needs a reward",
    ),
    "a text as reward": (
        lambda of: replaced(of.rollouts, '"reward":0.5', '"reward":"1"'),
        r":1: not a row of a run",
    ),
    "a changed plan": (
        lambda of: replaced(of.inputs, '"number":3', '"number":4'),
        r"was changed since the run began",
    ),
    "a longer plan": (lambda of: append(of.inputs, SCORED % (8, 0)), r"was changed since the run began"),
    "a deep journal": (lambda of: append(of.rollouts, DEEP + "\n"), r"out\.jsonl:6: not a row of a run"),
    "a deep manifest": (lambda of: of.manifest.write_text('{"identity": ' + DEEP), r"not a run manifest"),
    "an odd count": (
        lambda of: replaced(of.manifest, '"requested": 6', '"requested": -6'),
        r"not a run manifest",
    ),
    "an odd name": (
        lambda of: replaced(of.manifest, '"ref": ', '"ref": 5, "was": '),
        r"not a run manifest.*`ref`",
    ),
    "a key twice": (
        lambda of: replaced(of.manifest, '"status":', '"status": "", "status":'),
        r"'status' is there twice",
    ),
    "a pipe as journal": (lambda of: fifo(of.rollouts), rf"out\.jsonl can't be written: {IRREGULAR}"),
    "a pipe of failures": (lambda of: fifo(of.failures), rf"failures\.jsonl can't be written: {IRREGULAR}"),
    "a pipe as plan": (lambda of: fifo(of.inputs), rf"inputs\.jsonl: can't be read \({IRREGULAR}\)"),
    "a pipe as manifest": (lambda of: fifo(of.manifest), rf"can't be read \({IRREGULAR}\)"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE.keys())
async def test_damaged_files_are_one_line(
    folder: Folder, damage: Callable[[RunPaths], object], message: str
) -> None:
    await folder.run()
    damage(folder.paths)

    with pytest.raises(GymError, match=message) as caught:
        await folder.run(resume=True)
    assert "\n" not in str(caught.value)
    with suppress(GymError):  # a run can be shown though its plan was changed
        report_on(folder.output)


async def test_a_run_whose_rows_have_a_key_twice_is_not_shown(folder: Folder) -> None:
    await folder.run()
    replaced(folder.output, '"reward":0.5', '"reward":1.0,"reward":0.5')

    with pytest.raises(GymError, match=r"out\.jsonl:1: the key 'reward' is there twice"):
        report_on(folder.output)


async def test_pipes_in_the_way_of_files_that_are_written_keep_nobody_waiting(folder: Folder) -> None:
    fifo(folder.path / "out_manifest.json.partial")
    await folder.run(limit=2)
    fifo(folder.paths.metrics)

    assert report_on(folder.output).key_metrics == {}
    assert (await folder.run(limit=2, resume=True)).summary.requested == 2
    assert json.loads(folder.paths.metrics.read_bytes())
