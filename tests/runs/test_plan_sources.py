"""Plans over several sources: prompts, repeats by agent, seeds by repeat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_gym import Environment, Task, ask
from nemo_gym.environments.remote_placeholder import RemotePlaceholder
from nemo_gym.runs import plan
from nemo_gym.runs.plan import PlanOptions, task_rows
from nemo_gym.runs.task_sources import Source, source_rows
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.prompt import Prompt

Row = dict[str, Any]


class Sums(Environment):
    def tasks(self, split: str, seed: int, n: int | None) -> Any:
        return (Task(responses_create_params=ask(f"{split} {i}")) for i in range(n or 3))


def row(text: str, agent: str = "", **fields: Any) -> Row:
    named = {"agent_ref": {"type": "responses_api_agents", "name": agent}} if agent else {}
    return {"responses_create_params": ask(text), **named, **fields}


def write(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def expand(rows: Iterable[Row], options: PlanOptions, **more: Any) -> Iterator[tuple[Row, bytes]]:
    """The plan of rows that count once each."""
    return plan.expand(((one, 1) for one in rows), options, **more)


def rows_of(*sources: Source, limit: int | None = None) -> list[tuple[Row, int]]:
    return list(source_rows(RemotePlaceholder(), sources, split="train", seed=0, limit=limit))


def keys(plan: Iterable[tuple[Row, bytes]]) -> list[tuple[str, int, int]]:
    return [(r["agent_ref"]["name"], r["_ng_task_index"], r["_ng_rollout_index"]) for r, _ in plan]


def test_repeats_by_agent_with_a_default_for_the_others() -> None:
    rows = [row("a", "first"), row("b"), row("a", "first")]
    plan = expand(rows, PlanOptions(num_repeats={"first": 2, "_default": 1}, agent="second"))
    assert keys(plan) == [
        ("first", 0, 0), ("first", 0, 1), ("second", 1, 0), ("first", 2, 0), ("first", 2, 1)
    ]  # fmt: skip


def test_an_agent_that_the_map_of_repeats_leaves_out_is_an_error_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"says nothing of agent 'firts', nor _default.*'first'"):
        list(expand([row("a", "firts")], PlanOptions(num_repeats={"first": 2})))


def test_seeds_may_be_the_repeat_numbers_and_a_seed_of_the_row_stays() -> None:
    own = row("b")
    own["responses_create_params"]["metadata"] = {"extra_body": '{"seed": 9, "min_p": 0.1}', "kept": "x"}
    plan = [r for r, _ in expand([row("a"), own], PlanOptions(num_repeats=2, num_repeats_add_seed=True))]
    metadata = [r["responses_create_params"]["metadata"] for r in plan]
    assert [json.loads(one["extra_body"]) for one in metadata] == [
        {"seed": 0}, {"seed": 1}, {"seed": 9, "min_p": 0.1}, {"seed": 9, "min_p": 0.1}
    ]  # fmt: skip
    assert metadata[2]["kept"] == "x"


def test_columns_are_laid_over_every_row() -> None:
    skills = {"path": "s", "hash": "0", "skills": []}
    ((stamped, line),) = expand([row("a", skills_ref="old")], PlanOptions(columns={"skills_ref": skills}))
    assert stamped["skills_ref"] == json.loads(line)["skills_ref"] == skills


def test_a_data_set_counts_as_often_as_it_says_and_is_for_its_agent(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", [row("a", "stale"), row("b")])
    second = write(tmp_path / "b.jsonl", [row("a")])
    sources = (Source(path=first, agent="one", num_repeats=2), Source(path=second, agent="two"))
    assert keys(plan.expand(rows_of(*sources), PlanOptions())) == [
        ("one", 0, 0), ("one", 0, 1), ("one", 1, 0), ("one", 1, 1), ("two", 2, 0)
    ]  # fmt: skip


def test_the_limit_is_of_different_tasks_over_all_sources(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row("a"), row("b")])
    sources = (Source(path=path, num_repeats=2), Source(environment=Sums(), agent="sums"))
    rows = rows_of(*sources, limit=3)
    asked = [(row["responses_create_params"]["input"][0]["content"], times) for row, times in rows]
    assert asked == [("a", 2), ("b", 2), ("train 0", 1)]


def test_a_prompt_is_checked_for_all_rows_and_every_misfit_is_named(tmp_path: Path) -> None:
    rows = [{"q": "fine"}, row("own", q="x"), {"question": "?"}, {"q": "fine"}, row("own", q="y")]
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError) as caught:
        list(task_rows(RemotePlaceholder(), path, prompt=Prompt("p.yaml", "{q}")))
    assert str(caught.value) == (
        "prompt p.yaml doesn't fit tasks 2, 5: the row has an input of its own; "
        "task 3: no column 'q'. Known: question."
    )


def test_very_many_misfits_are_one_short_message(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{f"column{n % 30}": n} for n in range(3000)])
    with pytest.raises(DataError) as caught:
        list(task_rows(RemotePlaceholder(), path, prompt=Prompt("p", "{q}")))
    assert len(str(caught.value)) < 3000


def test_what_identifies_a_source_is_its_content_and_what_is_done_with_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row("a")])
    plain = Source(path=path).public()
    assert plain.keys() == {"source", "sha256"}
    full = Source(path=path, agent="one", num_repeats=2, prompt=Prompt("p", "{q}")).public()
    assert {key: full[key] for key in ("agent", "times", "source")} == {
        "agent": "one", "times": 2, "source": "a.jsonl"
    }  # fmt: skip
    assert full["prompt"]["name"] == "p"
    assert "environment" in Source(environment=Sums()).public()
