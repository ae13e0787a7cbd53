"""One run that mixes ten environments, whose oracles act as the model: its accounts, memory and leftovers.

    python benchmarks/mixture.py              10,000 rollouts, some minutes
    python benchmarks/mixture.py --tasks 20   200 rollouts

`gym run` serves the environments and their agents in the collector's own process, so that its memory is that
of all of them together. Sandboxes and SQL run in child processes. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import measure
import msgspec

import nemo_gym
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.runs.plan import task_rows

HERE: Final = Path(__file__).resolve()
ENVIRONMENTS: Final[dict[str, dict[str, Any]]] = {
    "equivalence_rule": {"level": 2},
    "word_problems": {"level": 2},
    "code_gen": {"level": 1},
    "sql": {"level": 1},
    "workplace_assistant": {},
    "sokoban": {},
    "terminal": {"level": 1},
    "structured_outputs": {"level": 1},
    "equivalence_llm_judge": {"level": 2},
    "genrm_compare": {"num_rollouts_per_prompt": 2, "cohort_timeout": 60},
}
"""The settings of each environment. The last two ask a judge, and the last one compares pairs of rollouts."""
JUDGED: Final = ("equivalence_llm_judge", "genrm_compare")
COHORT: Final = "genrm_compare"
BEST: Final[dict[str, float]] = {**dict.fromkeys(ENVIRONMENTS, 1.0), COHORT: 5.0}
"""The reward of the oracle. That of `sokoban` depends on the room, so that it is played beforehand."""
PLAYED: Final = "sokoban"
MOST_MIB: Final = 500
"""The aim for the memory of the collector."""


@dataclass(frozen=True)
class Mixture:
    """What a run has done, and what it left behind."""

    requested: int
    scored: int
    failed: int
    repeated: int
    """Rows beyond the first one of a task and repeat."""
    unlike: int
    """Rewards that are not the oracle's."""
    environments: int
    seconds: float
    cpu_s: float
    collector_mib: float
    """The largest resident memory of the collector."""
    largest_child_mib: float
    most_processes: int
    left: tuple[str, ...]
    """Processes, mounts and files that are still there after the run."""
    exit_code: int | None
    log: str

    @property
    def is_whole(self) -> bool:
        """Whether nothing is lost, repeated, failed or left behind."""
        lost = self.requested - self.scored - self.failed
        return self.exit_code == 0 and not (lost or self.failed or self.repeated or self.unlike or self.left)


class _Agent(msgspec.Struct):
    name: str


class _Row(msgspec.Struct):
    agent_ref: _Agent
    mixture: int
    rollout: int = msgspec.field(name="_ng_rollout_index")
    reward: float | None = None


def measure_mixture(
    tasks: int = 1000,
    *,
    concurrency: int = 64,
    timeout_s: float = 3600.0,
    ignore: frozenset[int] = frozenset(),
) -> Mixture:
    """Run `tasks` rollouts of each environment in one run.

    Args:
        concurrency: rollouts in flight.
        timeout_s: after so many seconds the run is stopped.
        ignore: children of this process that belong to someone else.
    """
    with tempfile.TemporaryDirectory(prefix="mixture-") as name:
        folder = Path(name)
        places = {key: folder / key for key in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR")}
        for place in places.values():
            place.mkdir(mode=0o700)
        expected = asyncio.run(_write_tasks(folder / "tasks.jsonl", tasks))
        (folder / "mixture.yaml").write_text(json.dumps(configuration()))
        mounts = _mounts()
        usage = measure.run(
            _command(folder, concurrency),
            env={**os.environ, **{key: str(place) for key, place in places.items()}},
            cwd=folder,
            log=folder / "log.txt",
            timeout_s=timeout_s,
            ignore=ignore,
        )
        left = [f"process {command}" for command in usage.left]
        left += [f"mount {line}" for line in _mounts() - mounts]
        left += [f"file {path}" for place in places.values() for path in place.rglob("*")]
        log = (folder / "log.txt").read_text(errors="replace")[-4000:]
        return _account(folder / "out", expected, usage, left, log)


def markdown(mixture: Mixture) -> list[str]:
    """The table."""
    rows = {
        "environments": f"{mixture.environments}",
        "rollouts requested": f"{mixture.requested:,}",
        "scored": f"{mixture.scored:,}",
        "failed": f"{mixture.failed:,}",
        "rows twice": f"{mixture.repeated:,}",
        "rewards unlike the oracle's": f"{mixture.unlike:,}",
        "processes, files and mounts left behind": f"{len(mixture.left):,}",
        "peak memory of the collector, MiB": f"{mixture.collector_mib:,.0f} (aim: below {MOST_MIB})",
        "peak memory of the largest child, MiB": f"{mixture.largest_child_mib:,.0f}",
        "most processes": f"{mixture.most_processes:,}",
        "seconds": f"{mixture.seconds:,.0f}",
        "CPU-seconds of all processes": f"{mixture.cpu_s:,.0f}",
    }
    return ["| | |", "| --- | ---: |", *(f"| {what} | {value} |" for what, value in rows.items())]


def configuration() -> dict[str, Any]:
    """The instances of the run: an environment and an agent for each name, and one oracle for all agents."""
    tree: dict[str, Any] = {"policy_model": _instance("responses_api_models", "oracle", {})}
    for name, settings in ENVIRONMENTS.items():
        judge = {"judge": {"type": "scripted", "model": f"{HERE}:judge"}} if name in JUDGED else {}
        steps = issubclass(find_environment(name), nemo_gym.StepEnvironment)
        references = {
            "resources_server": {"type": "resources_servers", "name": name},
            "model_server": {"type": "responses_api_models", "name": "policy_model"},
        }
        agent = "gymnasium_agent" if steps else "simple_agent"
        tree[name] = _instance("resources_servers", name, {"domain": "other", **settings, **judge})
        tree[f"{name}_agent"] = _instance("responses_api_agents", agent, references)
    return {**tree, "num_repeats": {f"{COHORT}_agent": 2, "_default": 1}}


def judge(request: Any) -> str:
    """A judge that reads the texts of the question: equal texts are equal, and a refusal is the worst."""
    text = request["input"][-1]["content"]
    blocks = [part.partition("\n")[2].rpartition("\nEND ")[0] for part in text.split("BEGIN ")[2:]]
    if "BEGIN CONVERSATION" in text:
        scores = [1 if block.startswith("I can't") else 5 for block in blocks]
        return json.dumps({"score_1": scores[0], "score_2": scores[1], "ranking": 3.5})
    return "[[A=B]]" if blocks[0] == blocks[1] else "[[A!=B]]"


async def _write_tasks(path: Path, tasks: int) -> dict[int, float]:
    """Write the tasks in a random order; the oracle's reward by the number of the task."""
    lines: list[tuple[str, dict[str, Any], float]] = []
    for name, settings in ENVIRONMENTS.items():
        environment = build_environment(find_environment(name), settings)
        n = tasks // 2 if name == COHORT else tasks
        rows = [dict(row) for row in task_rows(environment, None, split="train", seed=1, limit=n)]
        if len(rows) < n:
            raise SystemExit(f"{name} has {len(rows)} tasks, not {n}")
        rewards = [BEST[name]] * n
        if name == PLAYED:
            played = [one async for one in nemo_gym.collect(environment, "oracle", rows)]
            of = {one.row["_ng_task_index"]: one.reward for one in played}
            rewards = [of[number] or 0.0 for number in range(n)]
        lines += zip([name] * n, rows, rewards, strict=True)
    random.Random(1).shuffle(lines)
    expected: dict[int, float] = {}
    with path.open("w", encoding="utf-8") as file:
        for number, (name, row, reward) in enumerate(lines):
            for key in [key for key in row if key.startswith("_ng_")]:
                del row[key]
            file.write(json.dumps({**row, "agent_ref": {"name": f"{name}_agent"}, "mixture": number}) + "\n")
            expected[number] = reward
    return expected


def _instance(kind: str, implementation: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {kind: {implementation: {"entrypoint": "app.py", **settings}}}


def _command(folder: Path, concurrency: int) -> Sequence[str]:
    gym = Path(sys.executable).with_name("gym")
    return [
        *(str(gym), "run", "--config", str(folder / "mixture.yaml")),
        *("-i", str(folder / "tasks.jsonl"), "-o", str(folder / "out" / "rollouts.jsonl")),
        *("--concurrency", str(concurrency), "--seed", "1"),
    ]


def _mounts() -> set[str]:
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def _account(
    folder: Path, expected: dict[int, float], usage: measure.Usage, left: list[str], log: str
) -> Mixture:
    """Count the rows of the files of the run."""
    scored, failed, requested = (_rows(folder / f"rollouts{end}.jsonl") for end in _FILES)
    times = Counter((row.mixture, row.rollout) for row in [*scored, *failed])
    return Mixture(
        requested=len(requested),
        scored=len(scored),
        failed=len(failed),
        repeated=sum(times.values()) - len(times),
        unlike=sum(abs((row.reward or 0.0) - expected[row.mixture]) > 1e-6 for row in scored),
        environments=len({row.agent_ref.name for row in scored}),
        seconds=usage.wall_s,
        cpu_s=usage.cpu_s,
        collector_mib=usage.command_rss_mib,
        largest_child_mib=usage.largest_rss_mib,
        most_processes=usage.processes,
        left=tuple(left),
        exit_code=usage.exit_code,
        log=log,
    )


_FILES: Final = ("", "_failures", "_materialized_inputs")


def _rows(path: Path) -> list[_Row]:
    if not path.exists():
        return []
    decode = msgspec.json.Decoder(_Row).decode
    with path.open("rb") as file:
        return [decode(line) for line in file]


def main() -> None:
    """Run, print the table, and exit with 1 unless the run is whole."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=1000, help="rollouts of each environment")
    parser.add_argument("--concurrency", type=int, default=64, help="rollouts in flight")
    args = parser.parse_args()
    mixture = measure_mixture(args.tasks, concurrency=args.concurrency)
    print("\n".join(markdown(mixture)))
    if not mixture.is_whole or mixture.collector_mib >= MOST_MIB:
        sys.exit("\n".join([*mixture.left[:20], f"exit code {mixture.exit_code}", mixture.log]))


if __name__ == "__main__":
    main()
