"""Ten environments in one run: the small form of `benchmarks/mixture.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

MIXTURE = Path(__file__).parents[2] / "benchmarks" / "mixture.py"


def test_a_run_of_ten_environments_is_whole_and_leaves_nothing_behind() -> None:
    run = subprocess.run(
        [sys.executable, str(MIXTURE), "--tasks", "20"], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    counts = dict(re.findall(r"\| ([^|]+) \| ([\d,]+) \|", run.stdout))
    assert counts["environments"] == "10"
    assert counts["rollouts requested"] == counts["scored"] == "200"
    for none in (
        "failed",
        "rows twice",
        "rewards unlike the oracle's",
        "processes, files and mounts left behind",
    ):
        assert counts[none] == "0"
