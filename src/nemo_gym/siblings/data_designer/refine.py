"""`refine`: from a configuration and what rollouts showed to the configuration of the next data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from nemo_gym.runs.paths import RunPaths
from nemo_gym.siblings.data_designer.config import load_config, write_yaml
from nemo_gym.siblings.data_designer.evidence import (
    Evidence,
    GroupResult,
    SuspicionRule,
    TaskResult,
    Value,
    has_value,
    read_evidence,
    text_of,
)
from nemo_gym.siblings.data_designer.files import whole_file
from nemo_gym.siblings.data_designer.samplers import (
    Column,
    Condition,
    always,
    check_samplers,
    drawn_values,
    equality,
    holds,
    is_categorical,
    is_readable,
    literal,
    own_value,
    samplers,
    shares,
)
from nemo_gym.stats.two_samples import shrunk_means
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.task import Row

Aim: TypeAlias = Literal["weakness", "learnable"]

SEEDS_SUFFIX: Final = ".hard.jsonl"
"""The end of the name of a file with seed rows that `refine` writes."""
PREFIX: Final = "hard_"
"""The beginning of the names of its columns."""
LLM_TYPES: Final = ("llm-text", "llm-code", "llm-structured", "llm-judge")
"""Types of columns that call a model for every row."""


class RefineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a configuration is refined."""

    aim: Aim = "weakness"
    """What gets more weight: values with a low pass rate, or values whose tasks some rollouts solve and some
    don't."""
    floor: float = 0.2
    """The share of the weight that is spread evenly: no value gets less than floor / number of values."""
    skip: bool = True
    """Spend no LLM calls on mastered values."""
    mastered: float = 0.95
    """The pass rate from which a value is mastered."""
    least_tasks: int = 8
    """A value with fewer tasks is never mastered."""
    seeds: int = 20
    """The most failures that become seed rows; 0 for none."""
    example_in: str = ""
    """An LLM column whose prompt shows the seed row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChange:
    """New weights of a sampler."""

    column: str
    condition: str
    """The condition of the parameters; empty for the parameters of the column itself."""
    values: list[Value]
    before: list[float]
    """The shares of the values in the given configuration."""
    after: list[float]
    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """A condition under which an LLM column is not generated."""

    column: str
    when: str
    values: list[str]
    """The mastered values, as `column = value`."""


@dataclass(slots=True, kw_only=True)
class Refinement:
    """The next configuration, and what is new in it."""

    config: dict[str, Any]
    weights: list[WeightChange] = field(default_factory=list[WeightChange])
    skips: list[Skip] = field(default_factory=list[Skip])
    seeds: list[Row] = field(default_factory=list[Row])
    seeds_path: Path | None = None
    notes: list[str] = field(default_factory=list[str])
    """What was left as it is, and why."""


def refine_files(
    run: Path,
    config: Path,
    output: Path,
    *,
    options: RefineOptions | None = None,
    rule: SuspicionRule | None = None,
    answer_key: str = "",
) -> tuple[Evidence, Refinement]:
    """Read a run and a configuration, and write the next configuration, with the seed rows beside it.

    Raises:
        UsageError: a file can't be read or written, or would replace one of the run, or the run has no column
            of the samplers.
        DataError: a line of the run is not a row of a run.
    """
    document = load_config(config)
    check_samplers(document, str(config))
    columns = [column["name"] for column in samplers(document) if is_readable(column)]
    if not columns:
        raise UsageError(f"{config}: it has no sampler columns, so there are no weights to refine")
    evidence = read_evidence(run, columns, answer_key=answer_key, rule=rule)
    inputs = RunPaths.of(run).existing()
    refinement = refine(document, evidence, options, seeds_path=output.with_suffix(SEEDS_SUFFIX))
    if refinement.seeds and refinement.seeds_path:
        with whole_file(refinement.seeds_path, inputs=inputs) as file:
            file.writelines(encode(row) + b"\n" for row in refinement.seeds)
    write_yaml(output, refinement.config, inputs=inputs)
    return evidence, refinement


def refine(
    config: dict[str, Any],
    evidence: Evidence,
    options: RefineOptions | None = None,
    *,
    seeds_path: Path | None = None,
) -> Refinement:
    """The configuration of the next data set. What the run says nothing about stays as it is.

    Args:
        config: in the full form, `{data_designer: {columns, ...}}`; it is not changed.
        seeds_path: the file in which the seed rows will be; None writes no seed configuration.

    Raises:
        UsageError: an option doesn't fit the configuration.
    """
    options = options or RefineOptions()
    _check(options, config)
    refinement = Refinement(config=deepcopy(config))
    for column in samplers(refinement.config):
        if column["name"] in evidence.columns:
            _Reweighting(evidence, options, refinement).column(column)
    if options.skip:
        _add_skips(evidence, options, refinement)
    if options.seeds and seeds_path is not None:
        _add_seeds(evidence, options, refinement, seeds_path)
    return refinement


def next_weights(before: Sequence[float], scores: Sequence[float | None], floor: float) -> list[float]:
    """New shares of the values of a sampler.

    Every value has floor / k first. A value without a score keeps what it had above that. The rest is divided
    among the values with a score, in proportion to their scores:
    w = floor / k + (1 - floor - kept) * score / sum of scores.

    Args:
        before: the shares now, which sum to 1.
        scores: the weakness of each value; None for one without tasks.
        floor: the share that is spread evenly.

    Returns:
        The shares, which sum to 1; `before` where no value has a positive score.
    """
    total = sum(score or 0.0 for score in scores)
    if total <= 0:
        return list(before)
    least = floor / len(before)
    kept = [
        max(0.0, old - least) if score is None else 0.0 for old, score in zip(before, scores, strict=True)
    ]
    if sum(kept) > 1 - floor:
        kept = [part * (1 - floor) / sum(kept) for part in kept]
    rest = 1 - floor - sum(kept)
    return [least + part + rest * (score or 0.0) / total for part, score in zip(kept, scores, strict=True)]


@dataclass(frozen=True, slots=True)
class _Reweighting:
    """Gives samplers new weights."""

    evidence: Evidence
    options: RefineOptions
    refinement: Refinement

    def column(self, column: Column) -> None:
        match column.get("sampler_type"):
            case "category":
                self._category(column)
            case "subcategory":
                self._subcategory(column)
            case kind:
                self._note(f"{column['name']}: a sampler of type {kind} has no weights; it is only reported")

    def _category(self, column: Column) -> None:
        conditions = cast("dict[str, dict[str, Any]]", column.get("conditional_params") or {})
        parsed = {text: equality(text) for text in conditions}
        for text, params in conditions.items():
            self._params(column, params, text, holds(parsed[text]))
        equalities = [one for one in parsed.values() if one is not None]
        if len(equalities) == len(conditions):
            self._params(
                column, column["params"], "", lambda task: not any(holds(one)(task) for one in equalities)
            )
        else:
            self._params(column, column["params"], "", always)

    def _params(self, column: Column, params: dict[str, Any], text: str, condition: Condition) -> None:
        values = cast("list[Value]", params["values"])
        before = shares(params.get("weights"), len(values))
        after = self._weights(column["name"], values, before, condition)
        if after is None:
            where = f" where {text}" if text else ""
            known = len(self.evidence.by_value(column["name"], condition))
            why = (
                "the values differ by no more than chance"
                if known > 1
                else "fewer than two values have tasks"
            )
            self._note(f"{column['name']}{where}: {why}; weights unchanged")
            return
        params["weights"] = after
        self.refinement.weights.append(
            WeightChange(
                column=column["name"],
                condition=text,
                values=values,
                before=before,
                after=after,
                reason=_REASONS[self.options.aim],
            )
        )

    def _subcategory(self, column: Column) -> None:
        """A subcategory has no weights. Where they are needed it becomes a category, with the weights for
        each value of its parent as conditional parameters, which draws the same values."""
        name, params = column["name"], cast("dict[str, Any]", column["params"])
        parent, lists = params["category"], cast("dict[str, list[Value]]", params["values"])
        if column.get("conditional_params"):
            self._note(f"{name}: a subcategory with conditional_params is left unchanged")
            return
        changes: dict[str, WeightChange] = {}
        for own, values in lists.items():
            before = shares(None, len(values))
            condition = f"{parent} == {literal(own_value(self.refinement.config, parent, own))}"
            after = self._weights(name, values, before, holds((parent, own)))
            changes[condition] = WeightChange(
                column=name,
                condition=condition,
                values=values,
                before=before,
                after=after or before,
                reason=_REASONS[self.options.aim],
            )
        if all(one.after is one.before for one in changes.values()):
            self._note(f"{name}: the values differ by no more than chance; unchanged")
            return
        union = list({text_of(value): value for values in lists.values() for value in values}.values())
        column["sampler_type"] = "category"
        column["params"] = {"values": union}
        column["conditional_params"] = {
            text: {"values": one.values, "weights": one.after} for text, one in changes.items()
        }
        self._note(
            f"{name}: the subcategory is a category with conditional_params now, which can have weights"
        )
        self.refinement.weights.extend(one for one in changes.values() if one.after is not one.before)

    def _weights(
        self, name: str, values: list[Value], before: list[float], condition: Condition
    ) -> list[float] | None:
        """The new weights of values, in their order; None where nothing speaks for a change."""
        groups = self.evidence.by_value(name, condition)
        known = [text_of(value) for value in values if text_of(value) in groups]
        measures = [
            [task.spread if self.options.aim == "learnable" else 1 - task.rate for task in groups[one].tasks]
            for one in dict.fromkeys(known)
        ]
        shrunk = shrunk_means(measures)
        if shrunk is None:
            return None
        scores = dict(zip(dict.fromkeys(known), shrunk, strict=True))
        after = next_weights(before, [scores.get(text_of(value)) for value in values], self.options.floor)
        return [round(weight, 6) for weight in after]

    def _note(self, text: str) -> None:
        self.refinement.notes.append(text)


_REASONS: Final[dict[Aim, str]] = {
    "weakness": "more weight where fewer rollouts solve the task",
    "learnable": "more weight where some rollouts solve the task and some don't",
}


def _add_skips(evidence: Evidence, options: RefineOptions, refinement: Refinement) -> None:
    parts = cast("dict[str, Any]", refinement.config["data_designer"])
    targets = [one for one in cast("list[Column]", parts["columns"]) if one.get("column_type") in LLM_TYPES]
    clauses: dict[str, str] = {}
    conditions: list[tuple[str, str]] = []
    for column in samplers(refinement.config):
        name = cast("str", column["name"])
        groups = evidence.by_value(name) if is_categorical(column) else {}
        mastered = [
            one.label
            for one in groups.values()
            if len(one.tasks) >= options.least_tasks and one.rate >= options.mastered
        ]
        if mastered and len(mastered) == len(groups):
            refinement.notes.append(f"{name}: every value is mastered, so nothing is skipped: make it harder")
            continue
        own = drawn_values(column)
        for label in mastered:
            if label in own and not _is_covered(groups[label], conditions):
                conditions.append((name, label))
                clauses[f"{name} = {label}"] = f"{name} == {literal(own[label])}"
    if not clauses or not targets:
        return
    for target in targets:
        when = _with_clauses(target.get("skip"), list(clauses.values()))
        if when is None:
            refinement.notes.append(
                f"{target['name']}: its own skip condition is no single expression; unchanged"
            )
            continue
        target["skip"] = {**cast("dict[str, Any]", target.get("skip") or {}), "when": when}
        refinement.skips.append(Skip(target["name"], when, list(clauses)))
    if refinement.skips:
        refinement.notes.append(
            "rows of mastered values have no LLM text: leave them out of the next run; the tasks of "
            "this run show whether the model forgets them"
        )


def _is_covered(group: GroupResult, conditions: Sequence[tuple[str, str]]) -> bool:
    """Whether other mastered values already hold for all of the tasks."""
    return all(any(has_value(task, *one) for one in conditions) for task in group.tasks)


def _with_clauses(skip: Any, clauses: list[str]) -> str | None:
    """The condition of a column with more clauses; None where the given one is more than one expression."""
    when: str = skip["when"] if skip else ""
    if not when:
        return f"{{{{ {' or '.join(clauses)} }}}}"
    inner = re.fullmatch(r"\s*\{\{((?:(?!\}\}|\{\{).)*)\}\}\s*", when, re.DOTALL)
    if inner is None:
        return None
    own = inner[1].strip()
    new = [clause for clause in clauses if clause not in own]
    return when if not new else f"{{{{ ({own}) or {' or '.join(new)} }}}}"


def _add_seeds(evidence: Evidence, options: RefineOptions, refinement: Refinement, path: Path) -> None:
    parts = cast("dict[str, Any]", refinement.config["data_designer"])
    path = path.absolute()
    if (given := parts.get("seed_config")) and not _is_own_seed(given):
        refinement.notes.append("the configuration has seeds of its own, which stay; no failures are added")
        return
    columns = [column["name"] for column in samplers(refinement.config) if column["name"] in evidence.columns]
    tasks = instructive(evidence, options.seeds)
    if not tasks:
        refinement.notes.append("no task failed in a way that makes it a good seed")
        return
    refinement.seeds = [_seed_row(task, columns) for task in tasks]
    refinement.seeds_path = path
    taken = {one["name"] for one in cast("list[Column]", parts["columns"])} & set(refinement.seeds[0])
    if taken:
        raise UsageError(
            f"the configuration has a column {min(taken)}, which seed rows need: rename it, or use --seeds 0"
        )
    parts["seed_config"] = {
        "source": {"seed_type": "local", "path": str(path)},
        "sampling_strategy": "shuffle",
    }
    if options.example_in:
        target = next(one for one in parts["columns"] if one["name"] == options.example_in)
        if f"{PREFIX}prompt" not in target["prompt"]:
            target["prompt"] += _EXAMPLE
    elif not any(PREFIX in str(one.get("prompt") or one.get("expr")) for one in parts["columns"]):
        refinement.notes.append(
            f"the seed rows are columns {PREFIX}*, which no prompt uses yet: use "
            f"{{{{ {PREFIX}prompt }}}} in a prompt, or --example-in COLUMN"
        )


_EXAMPLE: Final = (
    f"\n\nModels often fail at this task, so write one with the same difficulty:\n{{{{ {PREFIX}prompt }}}}"
)


def instructive(evidence: Evidence, most: int) -> list[TaskResult]:
    """Failures to learn from: tasks that some rollouts solve come first, those nearest to one half of them,
    then tasks that no rollout solves. Suspected labels and tasks without a prompt are none."""
    tasks = [
        task for task in evidence.tasks if task.solved < task.scored and not task.suspect and task.prompt
    ]
    tasks.sort(key=lambda task: (-task.spread, task.index))
    first: dict[str, TaskResult] = {}
    for task in tasks:
        first.setdefault(task.prompt, task)
    return list(first.values())[:most]


def _seed_row(task: TaskResult, columns: Sequence[str]) -> Row:
    return {
        **{f"{PREFIX}{name}": text_of(task.values[name]) if name in task.values else "" for name in columns},
        f"{PREFIX}prompt": task.prompt,
        f"{PREFIX}expected": task.expected,
        f"{PREFIX}wrong_answer": task.wrong,
        f"{PREFIX}pass_rate": round(task.rate, 4),
    }


def _is_own_seed(seed_config: Any) -> bool:
    match seed_config:
        case {"source": {"path": str(path)}}:
            return path.endswith(SEEDS_SUFFIX)
        case _:
            return False


def _check(options: RefineOptions, config: dict[str, Any]) -> None:
    if not 0 <= options.floor <= 1:
        raise UsageError(f"floor: expected a share from 0 to 1, got {options.floor:g}")
    if not options.example_in:
        return
    columns = cast("list[Column]", config["data_designer"]["columns"])
    names = [
        one["name"]
        for one in columns
        if one.get("column_type") in LLM_TYPES and isinstance(one.get("prompt"), str)
    ]
    if options.example_in not in names:
        raise UsageError(
            f"there is no LLM column {options.example_in!r} with a prompt."
            f"{did_you_mean(options.example_in, names)}"
        )
