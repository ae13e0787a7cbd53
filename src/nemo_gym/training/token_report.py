"""The token check over a whole run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from nemo_gym.runs.rollout_rows import read_rollout
from nemo_gym.runs.store import EVERY, RunStore
from nemo_gym.training.token_check import Cause, Decode, Finding, check_tokens
from nemo_gym.wire.token_packing import has_tokens


class PlacedFinding(msgspec.Struct):
    """A finding and its rollout."""

    place: str
    """The file and the line."""
    task: int
    repeat: int
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
    """The check of every rollout of a run.

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
        rollout = read_rollout(row)
        output = rollout.response.output if rollout.response is not None else []
        report.with_tokens += has_tokens(output)
        findings = check_tokens(output, decode)
        report.broken += bool(findings)
        for finding in findings:
            causes[finding.cause] += 1
            if len(report.findings) < most:
                report.findings.append(
                    PlacedFinding(row.place, rollout.task_index, rollout.rollout_index, finding)
                )
    report.causes = dict(causes.most_common())
    return report
