from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym import Environment, Task, ask
from nemo_gym.runs import plan
from nemo_gym.runs.plan import PlanOptions, Twins, materialize, task_rows
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import decode
from tests.support.earlier_run import COLUMNS


class Sums(Environment):
    class Task(Task):
        expected: int

    def tasks(self, split: str, seed: int, n: int | None) -> Any:
        return (self.Task(responses_create_params=ask(str(i)), expected=i) for i in range(n or 5))


def row(text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {"responses_create_params": ask(text), **fields}


def expand(
    rows: Iterable[dict[str, Any]], options: PlanOptions, **more: Any
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The plan of rows that count once each."""
    return plan.expand(((one, 1) for one in rows), options, **more)


def identities(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(r["_ng_task_index"], r["_ng_rollout_index"]) for r in rows]


def test_tasks_are_expanded_in_order_abc_to_aabbcc() -> None:
    plan = expand([row("a"), row("b"), row("c")], PlanOptions(num_repeats=2))

    assert identities([r for r, _ in plan]) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


def test_identical_rows_are_tasks_of_their_own_and_noted() -> None:
    twins, same = Twins(), row("a")
    plan = expand([same, row("b"), row("a"), same], PlanOptions(num_repeats=2), twins=twins)

    assert identities([r for r, _ in plan]) == [
        (0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)
    ]  # fmt: skip
    assert twins.note().startswith("2 tasks are identical to an earlier one, for instance 2 to 0")


def test_a_single_twin_is_named_and_different_tasks_say_nothing() -> None:
    twins = Twins()
    list(expand([row("a"), row("b")], PlanOptions(num_repeats=3), twins=twins))
    assert twins.note() == ""
    list(expand([row("c"), row("c")], PlanOptions(), twins=(twins := Twins())))
    assert twins.note().startswith("task 1 is identical to task 0:")


def test_rows_with_the_same_given_index_are_one_task_with_more_repeats() -> None:
    rows = [row("a", _ng_task_index=7), row("b", _ng_task_index=9), row("a", _ng_task_index=7)]

    assert identities([r for r, _ in expand(rows, PlanOptions(num_repeats=2))]) == [
        (7, 0), (7, 1), (9, 0), (9, 1), (7, 2), (7, 3)
    ]  # fmt: skip


def test_more_rollouts_of_a_task_than_a_row_can_name_are_refused_before_they_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for rows in ([row("a")], [row("a", _ng_task_index=7), row("a", _ng_task_index=7)]):
        every = expand(rows, PlanOptions(num_repeats=10**12))
        with pytest.raises(UsageError, match=r"task 1: a task has at most 1,048,576 rollouts, got 1,000,0"):
            next(every)
    monkeypatch.setattr(plan, "MOST_REPEATS", 10)
    halves = expand([row("a", _ng_task_index=7)] * 2, PlanOptions(num_repeats=6))
    with pytest.raises(UsageError, match=r"task 2: a task has at most 10 rollouts, got 12"):
        list(halves)


def test_a_limit_may_be_any_number() -> None:
    rows = task_rows(Sums(), [row("a", expected=1)], limit=10**20)
    assert len(list(rows)) == 1


def test_a_given_task_index_is_kept() -> None:
    plan = expand([row("a", _ng_task_index=7), row("b", _ng_task_index=9)], PlanOptions(num_repeats=1))

    assert identities([r for r, _ in plan]) == [(7, 0), (9, 0)]


@given(
    st.lists(st.tuples(st.text(), st.integers() | st.none() | st.text()), max_size=6),
    st.integers(1, 3),
    st.none() | st.integers(0, 5),
)
def test_the_line_and_the_row_say_the_same(
    tasks: list[tuple[str, Any]], repeats: int, seed: int | None
) -> None:
    rows = [row("x", said=text.encode("utf-8", "replace").decode(), value=value) for text, value in tasks]

    for stamped, line in expand(
        rows, PlanOptions(num_repeats=repeats, seed=seed, sampling={"temperature": 0.5})
    ):
        assert line.endswith(b"\n")
        assert decode(line) == stamped


def test_results_left_over_in_an_input_row_are_dropped() -> None:
    stale = row("a", **COLUMNS, _ng_failure_class="old", kept=1)

    ((stamped, _),) = expand([stale], PlanOptions())

    stamps = {"_ng_task_index": 0, "_ng_rollout_index": 0, "_ng_rollout_id": "abc"}
    assert stamped == row("a", **stamps, agent_ref={"name": "tool_loop"}, kept=1)


def test_sampling_is_laid_over_the_rows_own() -> None:
    source = {"responses_create_params": {**ask("a"), "temperature": 1.0, "top_p": 0.9}}

    ((stamped, _),) = expand([source], PlanOptions(sampling={"temperature": 0.2}))

    assert stamped["responses_create_params"]["temperature"] == 0.2
    assert stamped["responses_create_params"]["top_p"] == 0.9
    assert source["responses_create_params"]["temperature"] == 1.0


def test_a_seed_gives_every_rollout_its_own_and_always_the_same() -> None:
    def seeds() -> list[str]:
        plan = expand([row("a"), row("b")], PlanOptions(num_repeats=2, seed=3))
        return [r["responses_create_params"]["metadata"]["extra_body"] for r, _ in plan]

    assert len(set(seeds())) == 4
    assert seeds() == seeds()


def test_an_agent_named_by_the_row_wins() -> None:
    named = row("a", agent_ref={"type": "responses_api_agents", "name": "mine"})

    names = [r["agent_ref"]["name"] for r, _ in expand([named, row("b")], PlanOptions(agent="tool_loop"))]

    assert names == ["mine", "tool_loop"]


def test_a_row_that_leaves_its_agent_null_gets_the_one_that_runs_it() -> None:
    ((stamped, _),) = expand([row("a", agent_ref=None)], PlanOptions(agent="tool_loop"))
    assert stamped["agent_ref"]["name"] == "tool_loop"


def test_a_wrong_line_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    good = b'{"responses_create_params": {"input": "hi"}, "expected": 1}\n'
    cases = {
        b'{"responses_create_params": {"input": "hi"}, "expected": \n': r"tasks.jsonl:2: not valid JSON",
        b"[1]\n": r"tasks.jsonl:2: expected a JSON object, got list",
        b'{"responses_create_params": {"input": "hi"}}\n': r"tasks.jsonl:2: missing column `expected`",
        b'{"responses_create_params": {"input": "hi"}, "expected": "x"}\n': r":2: Expected `int`, got `str`",
        b'{"responses_create_params": {"inptu": "hi"}, "expected": 1}\n': r"inptu.*Did you mean 'input'",
        b'{"expected": 1}\n': r"tasks.jsonl:2: responses_create_params",
        good[:-2] + b', "agent_ref": "x"}\n': r'2: agent_ref: expected {"name": "\.\.\."}, got \'x\'',
        good[:-2] + b', "agent_ref": {"name": 3}}\n': r"tasks.jsonl:2: agent_ref: expected",
        good[:-2] + b', "_ng_task_index": "x"}\n': r"tasks.jsonl:2: _ng_task_index 'x': expected a whole",
        good[:-2] + b', "_ng_task_index": -1}\n': r"tasks.jsonl:2: _ng_task_index -1: expected a whole",
        good[:-2] + b', "x": NaN}\n': r"tasks.jsonl:2: not valid JSON: .* \(NaN and Infinity are no JSON",
        good[:-1] + b",\n": r"tasks.jsonl:2: not valid JSON: .*one whole object on each line",
        b"[\n" + good + b"]\n": r"tasks.jsonl:2: not valid JSON: .*one whole object on each line",
    }
    for bad, message in cases.items():
        path.write_bytes(good + bad)
        with pytest.raises(DataError, match=message):
            list(task_rows(Sums(), path))


def test_a_wrong_task_of_an_iterable_is_named_by_its_number() -> None:
    with pytest.raises(DataError, match="task 2 of sums: missing column `expected`"):
        list(task_rows(Sums(), [row(expected=1), row()]))


def test_limit_reads_no_further_than_it_must(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(b'{"responses_create_params": {"input": "hi"}, "expected": 1}\nnot json\n')

    assert len(list(task_rows(Sums(), path, limit=1))) == 1


def test_an_environments_own_tasks_are_used_without_a_file() -> None:
    assert [r["expected"] for r in task_rows(Sums(), None, limit=3)] == [0, 1, 2]


def test_materializing_writes_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"

    def broken() -> Any:
        yield from (line for _, line in expand([row("a")], PlanOptions()))
        raise DataError("bad line")

    with pytest.raises(DataError):
        materialize(path, broken())
    assert list(tmp_path.iterdir()) == []

    with pytest.raises(UsageError, match="no tasks"):
        materialize(path, [])
    assert list(tmp_path.iterdir()) == []

    count = materialize(path, [line for _, line in expand([row("a"), row("b")], PlanOptions(num_repeats=2))])
    assert count == 4
    assert len(path.read_bytes().splitlines()) == 4
