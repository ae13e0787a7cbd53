"""Turn measured cells into RESULTS.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import mixture
import subjects
import training
import turns
import verdicts
import workload
from measure import Usage

LEAST_EXTRA_S = 0.05
"""CPU-seconds beyond start-up below which a difference of two runs says nothing."""

TASK_NAMES: dict[workload.Kind, str] = {
    "single": "single turn, exact match",
    "tool": "two turns, one tool call",
}


@dataclass(frozen=True, order=True)
class Cell:
    """One line of the comparison."""

    kind: workload.Kind
    latency_ms: int
    concurrency: int


@dataclass(frozen=True)
class Result:
    """One measured run."""

    subject: str
    cell: Cell
    rollouts: int
    done: int
    right: int
    requests: int
    """Model requests that the endpoint saw."""
    peak_in_flight: int
    """Most requests waiting in the endpoint at once; 0 where the latency is 0."""
    connections: int
    """Connections opened to the endpoint."""
    usage: Usage
    problem: str
    """Why the figures cannot be compared, or empty."""


@dataclass
class Report:
    """Everything that is known so far."""

    quick: bool
    labels: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    starts: dict[tuple[str, workload.Kind], Result] = field(default_factory=dict)
    results: dict[tuple[str, Cell], Result] = field(default_factory=dict)
    skipped: dict[tuple[str, Cell], str] = field(default_factory=dict)
    memory_runs: list[Result] = field(default_factory=list)
    turns: list[turns.Turns] = field(default_factory=list)
    verdicts: list[verdicts.Rate] = field(default_factory=list)
    training: list[training.Figure] = field(default_factory=list)
    mixture: mixture.Mixture | None = None

    def present(self, subject: str, label: str) -> None:
        self.labels[subject] = label

    def missing(self, subject: str, reason: str) -> None:
        self.absent[subject] = reason

    def start_up(self, result: Result) -> None:
        self.starts[result.subject, result.cell.kind] = result

    def skip(self, subject: str, cell: Cell, reason: str) -> None:
        self.skipped[subject, cell] = reason

    def add(self, result: Result, *, memory: bool) -> None:
        if memory:
            self.memory_runs.append(result)
        else:
            self.results[result.subject, result.cell] = result

    def marginal(self, result: Result) -> float | None:
        """CPU-seconds per 1,000 further rollouts, start-up taken off; None where it cannot be told."""
        start = self.starts.get((result.subject, result.cell.kind))
        if start is None or start.problem or result.problem or result.rollouts <= start.rollouts:
            return None
        extra_s = result.usage.cpu_s - start.usage.cpu_s
        return extra_s * 1000 / (result.rollouts - start.rollouts) if extra_s >= LEAST_EXTRA_S else None

    def markdown(self) -> str:
        """The whole page."""
        parts = [
            "# What a rollout costs\n",
            "Written by `make bench`; do not edit. "
            + ("A quick run: read it as a smoke test.\n" if self.quick else "\n"),
            f"Machine: {_machine()}.\n",
            _HOW_TO_READ,
            *self._subjects(),
            "## CPU-seconds per 1,000 rollouts, start-up taken off\n",
            *self._pivot(self.marginal, ratios=True),
            "## Peak memory, MiB, all processes together\n",
            *self._pivot(self._memory, ratios=False),
            "## Start-up\n",
            *self._start_rows(),
        ]
        if self.turns:
            parts += ["## Thirty turns of 400 tokens, with ids\n", _TURNS, *turns.markdown(self.turns), ""]
        if self.verdicts:
            parts += ["## Verdicts and isolated code\n", _VERDICTS, *verdicts.markdown(self.verdicts), ""]
        if self.training:
            parts += ["## What trainers wait for\n", _TRAINING, *training.markdown(self.training), ""]
        if self.mixture:
            parts += ["## Ten environments in one run\n", _MIXTURE, *mixture.markdown(self.mixture), ""]
        if self.memory_runs:
            parts += ["## Long runs of this project\n", *self._detail_rows(self.memory_runs)]
        parts += [
            "## Every run\n",
            *self._detail_rows(self.results[key] for key in sorted(self.results, key=_order)),
        ]
        parts += self._problems()
        return "\n".join(parts) + "\n"

    def _subjects(self) -> list[str]:
        rows = [f"- `{name}`: {label}" for name, label in self.labels.items()]
        rows += [f"- `{name}`: not measured. {reason}" for name, reason in self.absent.items()]
        return ["Measured:\n", *rows, ""]

    def _cells(self) -> list[Cell]:
        return sorted({cell for _, cell in [*self.results, *self.skipped]})

    def _memory(self, result: Result) -> float | None:
        return None if result.problem else result.usage.peak_rss_mib

    def _pivot(self, value: Callable[[Result], float | None], *, ratios: bool) -> list[str]:
        names = [*self.labels, *self.absent]
        peers = [name for name in self.labels if name not in subjects.OWN]
        head = ["task", "latency, ms", "concurrency", *names]
        head += ["ours / floor", "best peer / ours", "served / ours", "nemo-gym / served"] if ratios else []
        rows = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
        for cell in self._cells():
            values = {
                name: value(result)
                for name in names
                if (result := self.results.get((name, cell))) is not None
            }
            shown = [self._shown(name, cell, values.get(name)) for name in names]
            row = [TASK_NAMES[cell.kind], str(cell.latency_ms), f"{cell.concurrency:,}", *shown]
            if ratios:
                best = min((v for name in peers if (v := values.get(name)) is not None), default=None)
                row += [_ratio(values.get("ours"), values.get("floor")), _ratio(best, values.get("ours"))]
                row += [_ratio(values.get("served"), values.get("ours"))]
                row += [_ratio(values.get("nemo-gym"), values.get("served"))]
            rows.append(_row(row))
        return [*rows, ""]

    def _shown(self, name: str, cell: Cell, value: float | None) -> str:
        if name in self.absent:
            return "-"
        if (name, cell) in self.skipped:
            return "not run"
        result = self.results.get((name, cell))
        if result is None:
            return "-"
        if result.problem:
            return "stopped" if result.usage.exit_code is None else "failed"
        return "-" if value is None else _figure(value)

    def _start_rows(self) -> list[str]:
        rows = [
            _row(
                ["subject", "task", "rollouts", "CPU-s", "seconds", "peak memory, MiB", "processes", "note"]
            ),
            _row(["---", "---", *["---:"] * 5, "---"]),
        ]
        for result in self.starts.values():
            usage = result.usage
            cells = [result.subject, TASK_NAMES[result.cell.kind], str(result.rollouts), _figure(usage.cpu_s)]
            cells += [
                _figure(usage.wall_s),
                f"{usage.peak_rss_mib:,.0f}",
                str(usage.processes),
                result.problem,
            ]
            rows.append(_row(cells))
        return [*rows, ""]

    def _detail_rows(self, results: Iterable[Result]) -> list[str]:
        head = ["subject", "task", "latency, ms", "concurrency", "rollouts", "right"]
        head += ["CPU-s per 1,000, whole", "CPU-s per 1,000, start-up off", "seconds", "peak memory, MiB"]
        head += ["largest process, MiB", "processes", "model requests", "most in flight", "connections"]
        rows = [_row(head), _row(["---", "---", *["---:"] * 13])]
        for result in results:
            usage, cell = result.usage, result.cell
            marginal = self.marginal(result)
            row = [result.subject, cell.kind, str(cell.latency_ms), f"{cell.concurrency:,}"]
            row += [
                f"{result.rollouts:,}",
                f"{result.right:,}",
                _figure(usage.cpu_s * 1000 / result.rollouts),
            ]
            row += ["-" if marginal is None else _figure(marginal), _figure(usage.wall_s)]
            row += [f"{usage.peak_rss_mib:,.0f}", f"{usage.largest_rss_mib:,.0f}", str(usage.processes)]
            row += [f"{result.requests:,}", f"{result.peak_in_flight:,}" if cell.latency_ms else "-"]
            row += [f"{result.connections:,}"]
            rows.append(_row(row))
        return [*rows, ""]

    def _problems(self) -> list[str]:
        where: dict[tuple[str, str], list[str]] = {}
        for result in [*self.starts.values(), *self.results.values(), *self.memory_runs]:
            if result.problem:
                where.setdefault((result.subject, result.problem), []).append(_name(result.cell))
        for (name, cell), reason in self.skipped.items():
            where.setdefault((name, reason), []).append(_name(cell))
        lines = [f"- `{name}`: {reason} ({'; '.join(cells)})" for (name, reason), cells in where.items()]
        return ["## What could not be measured, and why\n", *lines, ""] if lines else []


_HOW_TO_READ = """\
How to read it:

- *floor* is the smallest honest loop: the same HTTP client posting the same bodies at the same
  concurrency, reading the answers and appending them to a file. It has no retries, checks, scores or
  journal. Nothing built on that client can cost less.
- All subjects run the same tasks against one mock endpoint in one process, which the figures leave out.
  CPU-seconds are user and system time of every other process involved, daemons included, from start
  to the end of the last one.
- "Whole" divides the CPU time of the whole run by its rollouts. "Start-up off" takes off the CPU time of
  a run of a few rollouts first: what 1,000 more rollouts cost. The ratios use the second.
- Peak memory is the largest sum of resident memory over all processes at one sample, 5 samples a
  second; memory that processes share counts in each. "Largest process" is exact.
- *served* starts the servers with `gym env start`, has the served agent make every rollout (`gym run
  --agent-url`) and stops them; *nemo-gym* is the original with its servers.
- Floor, this project and served: the median of the repeats. Peers: one run, of fewer rollouts, in a
  configuration chosen to favour them (see the scripts in `benchmarks/peers/`).
- A run counts only when every rollout was recorded with the right answer. "failed", "stopped" (at its
  time limit) and "not run" are explained at the end.
- Compare ratios within this page, not seconds between machines.
"""


_TURNS = f"""\
{turns.ROLLOUTS} conversations of {turns.TURNS} turns of {turns.TOKENS} tokens with a policy that returns its
ids. *loop* sends each conversation once for each turn, with the ids of the last answer alone, and does
nothing else. Both figures of *ours* are to be at most {turns.LIMIT} times the loop's.
"""


_VERDICTS = """\
Verdicts in a second of one core's time, on texts that all differ, and isolated runs of code in a second on
the clock, with all cores.
"""


_TRAINING = """\
Token sequences of rollouts of 8 turns in a second of CPU time; the size of a file with tokens; and what
rollouts wait for new weights of the model in this process (`training.py`, `weight_update.py`).
"""


_MIXTURE = """\
One `gym run` with a configuration of ten environments of different kinds. The oracle of each acts as the
model; two of them ask a scripted judge. The environments run in the collector's process, code and SQL in
child processes. The memory is that of the collector, the largest of all samples.
"""


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores, {_cpu_model()}, {_memory_gib():.0f} GiB, Linux, Python {platform.python_version()}"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


def _order(key: tuple[str, Cell]) -> tuple[Cell, str]:
    return key[1], key[0]


def _name(cell: Cell) -> str:
    return f"{TASK_NAMES[cell.kind]}, {cell.latency_ms} ms, concurrency {cell.concurrency:,}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def _ratio(above: float | None, below: float | None) -> str:
    if above is None or below is None or below <= 0:
        return "-"
    return f"{above / below:.1f}"
