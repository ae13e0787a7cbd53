"""Compare the cost of a rollout: the floor, this project and its peers, on one mock endpoint.

    python benchmarks/bench.py            everything, under 40 minutes once the peers are installed
    python benchmarks/bench.py --quick    floor and this project, small, under 4 minutes
    python benchmarks/bench.py --only ours,inspect-ai
    python benchmarks/bench.py --only turns --out /tmp/turns.md
    python benchmarks/bench.py --only mixture --out /tmp/mixture.md

Writes benchmarks/RESULTS.md. Linux only: CPU and memory are read from the kernel's accounts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import measure
import mixture
import report
import subjects
import training
import turns
import verdicts
import workload
from report import Cell, Result

CONCURRENCIES = (64, 512, 4096)
LATENCIES_MS = (0, 500)
KINDS: tuple[workload.Kind, ...] = ("single", "tool")

TURNS = "turns"
"""What `--only` calls the long conversations with token ids."""

VERDICTS = "verdicts"
"""What `--only` calls the rates of verifiers and of isolated code."""

TRAINING = "training"
"""What `--only` calls the figures of what trainers wait for."""

MIXTURE = "mixture"
"""What `--only` calls the run that mixes ten environments. Nothing else runs it, as it takes minutes."""

ALL = (*subjects.NAMES, TURNS, VERDICTS, TRAINING, MIXTURE)

START_ROLLOUTS = 16
"""Rollouts of the run that shows what starting costs."""

MEMORY_RUNS = ((64, 50_000), (512, 100_000), (4096, 50_000))
"""(concurrency, rollouts) of long single-turn runs of this project, to show that memory does not grow."""

PEER_ORDER = (
    Cell("single", 0, 64),
    Cell("single", 500, 512),
    Cell("tool", 0, 64),
    Cell("tool", 500, 512),
    Cell("single", 500, 4096),
    Cell("single", 0, 512),
    Cell("tool", 0, 512),
    Cell("single", 500, 64),
    Cell("tool", 500, 64),
    Cell("single", 0, 4096),
    Cell("tool", 500, 4096),
    Cell("tool", 0, 4096),
)
"""Peers are run in this order until their minutes are spent."""


@dataclass(frozen=True)
class Mock:
    """The running endpoint."""

    pid: int
    port: int

    def url(self, latency_ms: int) -> str:
        return f"http://127.0.0.1:{self.port}/{latency_ms}ms/v1"

    def stats(self) -> dict[str, int]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/stats", timeout=10) as response:
            return json.load(response)


def main() -> None:
    """Run the benchmark and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few rollouts, one repeat, no peers unless asked"
    )
    parser.add_argument("--only", help=f"comma-separated subset of {', '.join(ALL)}")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=None, help="run the peers")
    parser.add_argument(
        "--peer-minutes", type=float, help="time limit for each peer (default: 5 to 12, see subjects.py)"
    )
    parser.add_argument(
        "--repeats", type=int, help="runs of each cell for floor, ours and served (default 3; quick 1)"
    )
    parser.add_argument("--out", type=Path, default=subjects.HERE / "RESULTS.md")
    args = parser.parse_args()
    names = _names(args.only, with_peers=not args.quick if args.peers is None else args.peers)
    _allow_many_files()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, _mock_endpoint() as mock:
        bench = Bench(mock, Path(scratch), quick=args.quick, out=args.out)
        repeats = args.repeats or (1 if args.quick else 3)
        bench.run_own([name for name in names if name in subjects.OWN], repeats)
        if TURNS in names:
            bench.run_turns()
        if VERDICTS in names:
            bench.run_verdicts()
        if TRAINING in names:
            bench.run_training()
        if MIXTURE in names:
            bench.run_mixture()
        for name in names:
            if name not in (*subjects.OWN, TURNS, VERDICTS, TRAINING, MIXTURE):
                bench.run_peer(name, args.peer_minutes)
    print(f"wrote {args.out.name}")


class Bench:
    """Runs cells, keeps their results, and rewrites the report as it goes."""

    def __init__(self, mock: Mock, scratch: Path, *, quick: bool, out: Path) -> None:
        self.mock = mock
        self.scratch = scratch
        self.quick = quick
        self.out = out
        self.started = time.monotonic()
        self.report = report.Report(quick=quick)

    def run_own(self, names: list[str], repeats: int) -> None:
        """Run the floor and this project cell by cell, side by side; the median of the repeats counts."""
        found = [subject for name in names if (subject := self._find(name))]
        for kind in KINDS:
            for subject in found:
                self._start_up(subject, kind, repeats)
            for latency_ms in LATENCIES_MS:
                for concurrency in CONCURRENCIES:
                    cell = Cell(kind, latency_ms, concurrency)
                    rollouts = self._own_rollouts(cell)
                    runs = [[self._run(s, cell, rollouts) for s in found] for _ in range(repeats)]
                    for results in zip(*runs, strict=True):
                        self._keep(_median(list(results)))
        if "ours" in names and not self.quick:
            for subject in found:
                if subject.name == "ours":
                    for concurrency, rollouts in MEMORY_RUNS:
                        self._keep(self._run(subject, Cell("single", 0, concurrency), rollouts), memory=True)

    def run_turns(self) -> None:
        """Run the long conversations with token ids; under 10 seconds."""
        self.report.turns = turns.measure()
        print("\n".join(turns.markdown(self.report.turns)), flush=True)
        self._write()

    def run_verdicts(self) -> None:
        """Count the verdicts and the isolated runs of code in a second; under a minute."""
        self.report.verdicts = verdicts.measure()
        print("\n".join(verdicts.markdown(self.report.verdicts)), flush=True)
        self._write()

    def run_training(self) -> None:
        """Measure what trainers wait for; a minute."""
        self.report.training = training.measure()
        print("\n".join(training.markdown(self.report.training)), flush=True)
        self._write()

    def run_mixture(self) -> None:
        """Run ten environments together; some minutes."""
        tasks = 100 if self.quick else 1000
        self.report.mixture = mixture.measure_mixture(tasks, ignore=frozenset({self.mock.pid}))
        print("\n".join(mixture.markdown(self.report.mixture)), flush=True)
        self._write()

    def run_peer(self, name: str, minutes: float | None) -> None:
        """Run one peer, most telling cells first, until its minutes are spent."""
        subject = self._find(name)
        if subject is None:
            return
        deadline = time.monotonic() + 60 * (subject.minutes if minutes is None else minutes)
        for kind in KINDS:
            self._start_up(subject, kind, 1, deadline)
        for cell in PEER_ORDER:
            left_s = deadline - time.monotonic()
            if left_s < 5:
                self.report.skip(subject.name, cell, "not run: the time for this peer was used up")
                continue
            self._keep(self._run(subject, cell, self._peer_rollouts(cell), left_s))
        self._write()

    def _find(self, name: str) -> subjects.Subject | None:
        try:
            subject = subjects.find(name)
        except subjects.Unavailable as error:
            print(f"{name}: {error}", flush=True)
            self.report.missing(name, str(error))
            self._write()
            return None
        self.report.present(name, subject.label)
        return subject

    def _start_up(
        self, subject: subjects.Subject, kind: workload.Kind, repeats: int, deadline: float | None = None
    ) -> None:
        left_s = 120.0 if deadline is None else max(5.0, deadline - time.monotonic())
        cell = Cell(kind, 0, START_ROLLOUTS)
        runs = [self._run(subject, cell, START_ROLLOUTS, left_s) for _ in range(repeats)]
        self.report.start_up(_median(runs))
        self._show(_median(runs), "start-up")

    def _own_rollouts(self, cell: Cell) -> int:
        if self.quick:
            return 4_000 if cell.latency_ms == 0 else {64: 512, 512: 2_048}.get(cell.concurrency, 8_192)
        if cell.latency_ms == 0:
            return 20_000
        return {64: 1_024, 512: 4_096}.get(cell.concurrency, 8_192)

    def _peer_rollouts(self, cell: Cell) -> int:
        if self.quick:
            return max(100, cell.concurrency)
        return {64: 500, 512: 1_024}.get(cell.concurrency, 4_096)

    def _run(self, subject: subjects.Subject, cell: Cell, rollouts: int, timeout_s: float = 300.0) -> Result:
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            out = Path(folder, "out")
            out.mkdir()
            tasks = Path(folder, "tasks.jsonl")
            log = Path(folder, "log.txt")
            subject.write_tasks(tasks, cell.kind, rollouts)
            before = self.mock.stats()
            command = subject.command(cell.kind, cell.concurrency, self.mock.url(cell.latency_ms), tasks, out)
            usage = measure.run(
                command,
                env=_child_environment(Path(folder)),
                cwd=Path(folder),
                log=log,
                timeout_s=timeout_s,
                ignore=frozenset({self.mock.pid}),
            )
            after = self.mock.stats()
            problem = ""
            done = right = 0
            try:
                done, right = subject.tally(out)
            except (OSError, ValueError, KeyError) as error:
                problem = f"no results ({type(error).__name__})"
            if usage.exit_code is None:
                problem = f"stopped after {usage.wall_s:.0f} s, its time limit"
            elif usage.exit_code != 0:
                reason = subjects.plain_reason(log.read_text(errors="replace"))
                problem = f"exit code {usage.exit_code}: {reason}"
            elif done != rollouts or right != rollouts:
                problem = problem or f"{rollouts - done} missing, {done - right} not right"
            return Result(
                subject=subject.name,
                cell=cell,
                rollouts=rollouts,
                done=done,
                right=right,
                requests=after["requests"] - before["requests"],
                peak_in_flight=after["peak_in_flight"],
                connections=after["connections"] - before["connections"] - 1,
                usage=usage,
                problem=problem,
            )

    def _keep(self, result: Result, *, memory: bool = False) -> None:
        self.report.add(result, memory=memory)
        self._show(result, "memory run" if memory else "")
        self._write()

    def _show(self, result: Result, note: str) -> None:
        cell, usage = result.cell, result.usage
        print(
            f"[{time.monotonic() - self.started:5.0f} s] {result.subject:14} {cell.kind:6} "
            f"{cell.latency_ms:3} ms c={cell.concurrency:<5} n={result.rollouts:<6} "
            f"{usage.cpu_s * 1000 / result.rollouts:8.3f} CPU-s/1,000 "
            f"{usage.peak_rss_mib:7.0f} MiB {usage.wall_s:6.1f} s {note} {result.problem}",
            flush=True,
        )

    def _write(self) -> None:
        self.out.write_text(self.report.markdown(), encoding="utf-8")


def _median(results: list[Result]) -> Result:
    """The run with the median CPU time; a run with a problem comes first."""
    for result in results:
        if result.problem:
            return result
    middle = statistics.median_low([result.usage.cpu_s for result in results])
    return next(result for result in results if result.usage.cpu_s == middle)


def _names(only: str | None, *, with_peers: bool) -> list[str]:
    if only is None:
        own = [name for name in subjects.NAMES if name in subjects.OWN]
        extra = [TURNS, VERDICTS, TRAINING]
        return [*own, *extra, *(name for name in subjects.NAMES if with_peers and name not in own)]
    asked = [name.strip() for name in only.split(",")]
    for name in asked:
        if name not in ALL:
            sys.exit(f"--only: no subject {name!r}; there are: {', '.join(ALL)}")
    return asked


@contextmanager
def _mock_endpoint() -> Iterator[Mock]:
    process = subprocess.Popen(
        [sys.executable, str(subjects.HERE / "mock_endpoint.py"), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit("the mock endpoint did not start")
        yield Mock(process.pid, int(line.removeprefix("listening on ")))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _child_environment(folder: Path) -> dict[str, str]:
    """The caller's environment without proxies, with dummy keys, a home that is thrown away, and
    telemetry and downloads off."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return kept | {
        "NO_PROXY": "127.0.0.1,localhost",
        "OPENAI_API_KEY": "not-a-key",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < 2 * max(CONCURRENCIES):
        print(f"only {hard} open files are allowed (soft limit was {soft}): 4,096 connections may fail")


if __name__ == "__main__":
    main()
