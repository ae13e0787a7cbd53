"""The token check over a whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec

from nemo_gym.runs.rollout_rows import read_rollout
from nemo_gym.runs.store import EVERY, RunStore
from nemo_gym.training.sequences import branches
from nemo_gym.training.token_check import Cause, Decode, Finding, check_tokens
from nemo_gym.wire.items import Item
from nemo_gym.wire.token_packing import has_tokens


class PlacedFinding(msgspec.Struct):
    """A finding and its rollout."""

    place: str
    """The file and the line."""
    task: int
    repeat: int
    branch: int
    """0 is the main branch, whose items are those of `response.output`."""
    finding: Finding


class TokenReport(msgspec.Struct):
    """What the check of a run has found."""

    rollouts: int = 0
    with_tokens: int = 0
    broken: int = 0
    """Rollouts with at least one finding."""
    causes: dict[Cause, int] = {}
    """The number of findings by their cause, the most frequent first."""
    findings: list[PlacedFinding] = []


def check_run(run: Path, decode: Decode | None = None, *, most: int = 20) -> TokenReport:
    """The check of every branch of every rollout of a run.

    Args:
        decode: the tokenizer's decoding.
        most: the most findings that the report holds; all of them are counted.

    Raises:
        UsageError: there is no such run.
        DataError: a line is not a row of a run.
    """
    report, causes = TokenReport(), Counter[Cause]()
    for row in RunStore(run).rows(EVERY):
        report.rollouts += 1
        rollout = read_rollout(row, expand=False)
        every = [cast("Sequence[Item]", items) for items, _ in branches(rollout)]
        report.with_tokens += any(map(has_tokens, every))
        found = [
            PlacedFinding(row.place, rollout.task_index, rollout.rollout_index, branch, finding)
            for branch, items in enumerate(every)
            for finding in check_tokens(items, decode)
        ]
        report.broken += bool(found)
        causes.update(one.finding.cause for one in found)
        report.findings += found[: most - len(report.findings)]
    report.causes = dict(causes.most_common())
    return report
