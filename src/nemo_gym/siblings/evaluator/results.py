"""Reads the results of NeMo Evaluator into files of a run, for our metrics, reports and exports.

Evaluator 0.3 writes `results.jsonl` and a bundle; harnesses of 0.2 may write samples below
`nemo-evaluator-per-sample-outputs` and a `results.yml`. A rollout that Evaluator could not finish or score
has a reward of 0 there; here it is a failure, without a reward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any, Final

import msgspec

from nemo_gym import __version__
from nemo_gym.config.yaml_files import read_data
from nemo_gym.runs.component_specs import EnvironmentSpec
from nemo_gym.runs.manifest import Identity, Manifest
from nemo_gym.runs.metrics_recompute import recompute
from nemo_gym.runs.paths import RunPaths, whole_file
from nemo_gym.runs.report import RunReport
from nemo_gym.runs.result import Result
from nemo_gym.siblings.evaluator.tasks import METHOD
from nemo_gym.wire import keys
from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import DataError, RolloutError, UsageError, VerifierFault
from nemo_gym.wire.items import assistant, user
from nemo_gym.wire.json_values import object_of, text_of
from nemo_gym.wire.jsonl import read_json, read_rows
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout

RESULTS: Final = "results.jsonl"
SAMPLES: Final = "nemo-evaluator-per-sample-outputs"
SCORES: Final = "results.yml"
TRAJECTORY: Final = "evaluator_trajectory"
"""The column with the trajectory that Evaluator's solver recorded (ATIF)."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An imported run, and the scores that Evaluator reported."""

    report: RunReport
    reported: dict[str, float] = field(default_factory=dict[str, float])


async def import_results(source: Path, output: Path, *, environment: str = "") -> Imported:
    """Write the run of Evaluator's results to `output` and the files beside it.

    Args:
        source: a results file, or a folder with the results of one benchmark.
        environment: ours that scored them, for the range of rewards and its own metrics; by default the one
            that our plugin or gateway has noted.

    Raises:
        UsageError: there are no results, or those of several benchmarks, a file of scores can't be read, or
            `output` exists.
        DataError: a line is no result, or the second one of a task and repeat.
    """
    paths = RunPaths.of(output)
    if existing := paths.existing():
        raise UsageError(f"{existing[0]} exists already: choose another output")
    file, rollouts = _rollouts_of(source)
    if not rollouts:
        raise UsageError(f"{file}: there is no result in it")
    places = Counter((rollout.task_index, rollout.rollout_index) for rollout in rollouts)
    (task, repeat), number = places.most_common(1)[0]
    if number > 1:
        raise DataError(f"{file}: task {task}, repeat {repeat} is there {number} times")
    reported = _reported(file)
    environment = environment or _noted_environment(rollouts)
    output.parent.mkdir(parents=True, exist_ok=True)
    results = [Result.of(rollout) for rollout in rollouts]
    with whole_file(paths.rollouts) as scored, whole_file(paths.failures) as failed:
        for result in results:
            (failed if result.failure else scored).write(result.line)
    failures = sum(1 for result in results if result.failure)
    counts = {"scored": len(results) - failures, "failed": failures, "pending": 0}
    identity = Identity(
        environment={"ref": environment} if environment else {},
        model={},
        agent={"name": _AGENT},
        sampling={},
        inputs={"source": str(file)},
    )
    manifest = Manifest(identity, len(results), __version__, time(), "complete", time(), counts)
    manifest.save(paths)
    report, _ = await recompute(output, EnvironmentSpec(environment))
    return Imported(report, reported)


def _rollouts_of(source: Path) -> tuple[Path, list[Rollout]]:
    if source.is_file():
        files = [source]
    else:
        files = sorted(source.rglob(RESULTS)) or sorted(source.rglob(f"{SAMPLES}/**/*.jsonl"))
    if not files:
        raise UsageError(f"{source}: no {RESULTS} of Evaluator 0.3, and no {SAMPLES} of a harness of 0.2")
    if len(files) > 1 and files[0].name == RESULTS:
        names = ", ".join(str(file) for file in files[:4])
        raise UsageError(f"{source}: results of several benchmarks ({names}): name one of them")
    if files[0].name == RESULTS:
        return files[0], [_rollout(row) for row in _records(files, _Result)]
    return files[0], list(_samples(_records(files, _Sample)))


def _records(files: Iterable[Path], kind: Any) -> Iterator[Any]:
    for file in files:
        for number, row in read_rows(file):
            try:
                yield msgspec.convert({**row, "row": row}, kind)
            except msgspec.ValidationError as error:
                raise DataError(f"{file}:{number}: {explain_misfit(error, kind)}") from None


class _Result(msgspec.Struct):
    """A line of `results.jsonl`."""

    problem_idx: int
    repeat: int
    reward: float
    row: dict[str, Any]
    prompt: str = ""
    model_response: str | None = None
    scoring_details: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    latency_ms: float = 0.0


class _Sample(msgspec.Struct):
    """A line of the samples of 0.2."""

    id: str
    generation: str | dict[str, Any]
    row: dict[str, Any]
    score: float | None = None
    query: Any = None


def _rollout(result: _Result) -> Rollout:
    details = result.scoring_details
    columns = {
        **result.metadata,
        **{name: result.row[name] for name in _COLUMNS if result.row.get(name) is not None},
        **details,
    }
    if trajectory := result.row.get("trajectory"):
        columns[TRAJECTORY] = trajectory
    category = text_of(details.get("error_category"))
    failure: RolloutError | None = None
    if category in _FAILURES:
        failure = _FAILURES[category](f"Evaluator: {details.get('error') or category}")
    return _build(
        (result.problem_idx, result.repeat),
        result.prompt,
        result.model_response or "",
        result.reward,
        columns,
        failure=failure,
        outcome="truncated" if category == "graceful" else "completed",
        seconds=result.latency_ms / 1000,
    )


def _samples(samples: Iterable[_Sample]) -> Iterator[Rollout]:
    """The rollouts of samples with a score; the others are steps on the way to one."""
    tasks: dict[str, int] = {}
    repeats: dict[str, int] = {}
    for sample in samples:
        if sample.score is None:
            continue
        task = tasks.setdefault(sample.id, len(tasks))
        repeat = repeats[sample.id] = repeats.get(sample.id, -1) + 1
        columns = {
            key: value for key, value in sample.row.items() if key not in ("generation", "query", "score")
        }
        yield _build(
            (task, repeat), _as_text(sample.query), _as_text(sample.generation), sample.score, columns
        )


def _build(
    place: tuple[int, int],
    prompt: str,
    answer: str,
    reward: float,
    columns: dict[str, Any],
    *,
    failure: RolloutError | None = None,
    outcome: str = "completed",
    seconds: float = 0.0,
) -> Rollout:
    task, repeat = place
    row = {
        keys.TASK_INDEX: task,
        keys.ROLLOUT_INDEX: repeat,
        keys.AGENT_REF: {"name": _AGENT},
        keys.PARAMS: {"input": [user(prompt)]},
        **{name: value for name, value in columns.items() if name not in keys.RESERVED},
    }
    response = Response.of([assistant(answer)] if answer else [])
    timing: Any = {"total_s": seconds} if seconds else {}
    if failure is not None:
        return Rollout.failed(row, failure, partial=response, timing=timing)
    return Rollout.scored(row, response, Reward(reward), outcome=outcome, timing=timing)


def _noted_environment(rollouts: Iterable[Rollout]) -> str:
    """The environment in the scoring method of our own verdicts; empty where there is another one too."""
    methods = {text_of(rollout.row.get("method")) for rollout in rollouts if rollout.failure is None}
    if len(methods) != 1 or not (method := methods.pop()).startswith(METHOD):
        return ""
    return method.removeprefix(METHOD)


def _reported(file: Path) -> dict[str, float]:
    """The scores that Evaluator reports beside the results."""
    scores: dict[str, float] = {}
    for bundle in sorted(file.parent.glob("eval-*.json")) if file.name == RESULTS else ():
        found = object_of(object_of(read_json(bundle)).get("benchmark")).get("scores")
        for name, score in object_of(found).items():
            _add(scores, name, object_of(score).get("value"))
    folder = next((one for one in file.parents if (one / SCORES).is_file()), None)
    if folder is not None and file.name != RESULTS:
        report = read_data(folder / SCORES)
        tasks = object_of(object_of(report.get("results", report)).get("tasks"))
        for task, result in tasks.items():
            for metric, found in object_of(object_of(result).get("metrics")).items():
                for name, score in object_of(object_of(found).get("scores")).items():
                    _add(scores, f"{task}/{metric}/{name}", object_of(score).get("value"))
    return scores


def _add(scores: dict[str, float], name: str, value: Any) -> None:
    if isinstance(value, int | float):
        scores[name] = float(value)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


_AGENT: Final = "nemo_evaluator"
_COLUMNS: Final = ("extracted_answer", "expected_answer", "scorer_rewards", "tokens", "latency_ms")
_FAILURES: Final[dict[str, type[RolloutError]]] = {
    "infra_error": RolloutError,
    "system": VerifierFault,
}
"""What Evaluator scores 0 although there is no score, by the category of its error."""
