"""`gym export`: files that trainers read, with every rollout accounted for."""

from __future__ import annotations

import json
import math
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from nemo_gym.runs.result import Result
from nemo_gym.training.exports.export import FORMAT_NAMES, ExportReport, export
from nemo_gym.training.exports.formats import FormatOptions
from nemo_gym.training.exports.selection import Choice
from nemo_gym.training.token_report import check_run
from nemo_gym.wire.errors import DataError, ModelTimeout, UsageError
from nemo_gym.wire.items import assistant, function_call, function_call_output, user
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Rollout
from tests.support.trajectories import chain, scored, tool_rollout, with_tokens


def write_run(folder: Path, rollouts: Sequence[Rollout]) -> Path:
    """A run's files, as the collector writes them."""
    run = folder / "run.jsonl"
    run.write_bytes(b"".join(Result.of(one).line for one in rollouts if one.failure is None))
    failures = folder / "run_failures.jsonl"
    failures.write_bytes(b"".join(Result.of(one).line for one in rollouts if one.failure is not None))
    return run


def rows_of(report: ExportReport) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(report.path).read_text().splitlines()]


def test_sft_keeps_reasoning_calls_tools_and_words(tmp_path: Path) -> None:
    run = write_run(tmp_path, [tool_rollout(arguments='{ "city" : "Oslo" }')])

    (row,) = rows_of(export(run, "sft"))

    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{ "city" : "Oslo" }'},
    }
    assert row["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "How is the weather? (0)"},
        {"role": "assistant", "content": "", "reasoning_content": "I look it up.", "tool_calls": [call]},
        {"role": "tool", "content": "rain, 4 °C", "tool_call_id": "c1"},
        {"role": "assistant", "content": "It rains (0)."},
    ]
    assert row["tools"][0]["function"]["name"] == "weather"
    assert row["loss_mask"] == [0, 0, 1, 0, 1]
    assert row["metadata"]["agent"] == "weather_agent"
    assert (row["metadata"]["task_index"], row["metadata"]["reward"]) == (0, 1.0)


def test_only_the_last_answer_may_be_trained_on(tmp_path: Path) -> None:
    run = write_run(tmp_path, [tool_rollout()])

    (sft,) = rows_of(export(run, "sft", options=FormatOptions(loss_on="last")))
    (openai,) = rows_of(export(run, "openai", options=FormatOptions(loss_on="last")))

    assert sft["loss_mask"] == [0, 0, 0, 0, 1]
    assert [message.get("weight") for message in openai["messages"]] == [None, None, 0, None, 1]
    assert "reasoning_content" not in openai["messages"][2]


def test_rows_are_in_the_order_of_tasks_whatever_ended_first(tmp_path: Path) -> None:
    rollouts = [tool_rollout(task=task, repeat=repeat) for task in (2, 0, 1) for repeat in (1, 0)]

    rows = rows_of(export(write_run(tmp_path, rollouts), "sft"))

    places = [(row["metadata"]["task_index"], row["metadata"]["rollout_index"]) for row in rows]
    assert places == [(task, repeat) for task in range(3) for repeat in range(2)]


def test_every_rollout_is_written_or_counted(tmp_path: Path) -> None:
    image = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ""}]}
    rollouts = [
        tool_rollout(task=0),
        tool_rollout(0.2, task=1),
        tool_rollout(task=2, arguments='{"city": '),
        tool_rollout(task=3, repeat=0),
        Rollout.failed(tool_rollout(task=4).row, ModelTimeout("slow")),
        scored([image], task=5),
        scored([assistant("cut")], task=6),
        scored([function_call("strange", "{}", call_id="c")], task=7),
        scored([assistant("same")], task=8, repeat=0),
        scored([assistant("same")], task=8, repeat=1),
    ]
    rollouts[6].outcome = "max_output_tokens"

    report = export(write_run(tmp_path, rollouts), "sft", choice=Choice(min_reward=0.5))

    assert report.rollouts == len(rollouts)
    assert report.left_out == {
        "duplicate": 1,
        "failed": 1,
        "incomplete": 1,
        "low_reward": 1,
        "malformed_arguments": 1,
        "no_answer": 1,
        "unknown_tool": 1,
    }
    assert sum(report.rows.values()) + sum(report.left_out.values()) == report.rollouts
    card = Path(f"{report.path}.card.md").read_text()
    assert "| malformed arguments | 1 |" in card
    assert "| min reward | 0.5 |" in card


@pytest.mark.parametrize("format", FORMAT_NAMES)
@pytest.mark.parametrize("fields", [{"tools": [[]]}, {"tools": [{"name": 5}]}, {"instructions": True}])
def test_a_request_of_another_form_is_counted(tmp_path: Path, format: str, fields: dict[str, Any]) -> None:
    odd = tool_rollout()
    odd.row["responses_create_params"].update(fields)

    report = export(write_run(tmp_path, [odd]), format)

    assert report.left_out == {"malformed_request": 1}


@pytest.mark.parametrize("format", FORMAT_NAMES)
def test_odd_values_of_other_programs_are_written(tmp_path: Path, format: str) -> None:
    odd = tool_rollout()
    odd.reward = 10**30
    assert odd.response is not None
    odd.response.data["model"] = True
    odd.response.data["usage"] = {"input_tokens": 10**30, "output_tokens": 1, "total_tokens": 1}

    report = export(write_run(tmp_path, [odd, tool_rollout(repeat=1)]), format)

    assert sum(report.rows.values()) > 0


def test_the_best_of_a_task(tmp_path: Path) -> None:
    rewards = [0.1, 0.9, 0.9, 0.5]
    run = write_run(tmp_path, [tool_rollout(reward, repeat=place) for place, reward in enumerate(rewards)])

    best = rows_of(export(run, "sft", choice=Choice(best_of=True)))
    two = rows_of(export(run, "sft", choice=Choice(max_per_task=3)))

    assert [row["metadata"]["rollout_index"] for row in best] == [1]
    assert [row["metadata"]["rollout_index"] for row in two] == [1, 2, 3]


def test_pairs_are_the_best_with_the_worst_and_never_a_tie(tmp_path: Path) -> None:
    rollouts = [
        tool_rollout(reward, task=0, repeat=place) for place, reward in enumerate([0.0, 1.0, 0.5, 0.5])
    ]
    rollouts += [tool_rollout(0.5, task=1, repeat=place) for place in range(3)]
    run = write_run(tmp_path, rollouts)

    report = export(run, "dpo", options=FormatOptions(pairs_per_task=4))
    (pair,) = rows_of(report)

    assert [one["rank"] for one in pair["completions"]] == [0, 1]
    assert pair["completions"][0]["completion"][-1]["content"] == "It rains (1)."
    assert pair["completions"][1]["completion"][-1]["content"] == "It rains (0)."
    assert [message["role"] for message in pair["context"]] == ["system", "user"]
    assert pair["margin"] == 1.0
    assert report.left_out == {"task_without_a_pair": 1}
    assert rows_of(export(run, "dpo", options=FormatOptions(min_margin=1.0))) == []


def test_trl_has_the_same_pair_in_its_own_columns(tmp_path: Path) -> None:
    run = write_run(tmp_path, [tool_rollout(reward, repeat=place) for place, reward in enumerate([0.0, 1.0])])

    (pair,) = rows_of(export(run, "dpo"))
    (other,) = rows_of(export(run, "dpo_trl"))

    assert other["prompt"] == pair["context"]
    assert [other["chosen"], other["rejected"]] == [one["completion"] for one in pair["completions"]]


def test_kto_labels_by_the_threshold(tmp_path: Path) -> None:
    run = write_run(tmp_path, [tool_rollout(reward, repeat=place) for place, reward in enumerate([0.4, 0.5])])

    assert [row["label"] for row in rows_of(export(run, "kto"))] == [False, True]


def test_groups_have_every_reward_and_their_tokens(tmp_path: Path) -> None:
    rollouts = [
        scored(chain([([1, 2], [3])]), 0.0, repeat=0),
        scored(chain([([1, 2], [3])]), 1.0, repeat=1),
        scored([with_tokens(assistant("x"), [1], [2], generation_log_probs=[1.0])], 0.5, repeat=2),
    ]

    (group,) = rows_of(export(write_run(tmp_path, rollouts), "grpo"))

    assert group["rewards"] == [0.0, 1.0, 0.5]
    assert [round(one, 3) for one in group["advantages"]] == [-1.225, 1.225, 0.0]
    assert group["tokens"][0]["completion_ids"] == [3]
    assert group["tokens"][2] is None, "broken tokens are not delivered"


def test_sharegpt_has_one_turn_for_an_answer_and_one_for_its_results(tmp_path: Path) -> None:
    several: list[Any] = [
        assistant("Both."),
        function_call("weather", '{"city":"Oslo"}', call_id="a"),
        function_call("weather", '{"city":"Rome"}', call_id="b"),
        function_call_output("b", "sun"),
        function_call_output("a", "rain"),
        assistant("Done."),
        user("Thanks."),
    ]
    parallel = tool_rollout(task=1)
    parallel.response = Response.of(several)

    one, other = rows_of(export(write_run(tmp_path, [tool_rollout(), parallel]), "sharegpt"))

    assert one["system"] == "Be short."
    assert [(turn["from"], turn["value"]) for turn in one["conversations"]] == [
        ("human", "How is the weather? (0)"),
        ("function_call", '<think>I look it up.</think>{"name":"weather","arguments":{"city":"Oslo"}}'),
        ("observation", "rain, 4 °C"),
        ("gpt", "It rains (0)."),
    ]
    calls = '[{"name":"weather","arguments":{"city":"Oslo"}},{"name":"weather","arguments":{"city":"Rome"}}]'
    assert [(turn["from"], turn["value"]) for turn in other["conversations"]] == [
        ("human", "How is the weather? (1)"),
        ("function_call", f"Both.<tool_call>\n{calls}\n</tool_call>"),
        ("observation", "sun\n</tool_response>\n<tool_response>\nrain"),
        ("gpt", "Done."),
    ]


def test_sharegpt_leaves_out_what_does_not_alternate(tmp_path: Path) -> None:
    rollouts = [
        scored([assistant("fine")], task=0),
        scored([user("and another question"), assistant("two questions")], task=1),
        scored(
            [assistant("a"), {"type": "message", "role": "system", "content": "b"}, assistant("c")], task=2
        ),
    ]

    report = export(write_run(tmp_path, rollouts), "sharegpt")

    assert [row["conversations"][-1]["value"] for row in rows_of(report)] == ["fine"]
    assert report.left_out == {"not_alternating": 2}


def test_parquet_has_one_schema_for_all_runs(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    one = export(write_run(first, [tool_rollout()]), "parquet")
    other = export(write_run(second, [scored(chain([([1, 2], [3, 4])]), 0.5)]), "parquet")

    table, tokens = pq.read_table(one.path), pq.read_table(other.path)

    assert table.schema == tokens.schema
    assert table["completion"][0].as_py()[0]["tool_calls"][0]["arguments"] == '{"city":"Oslo"}'
    assert tokens["completion_ids"][0].as_py() == [3, 4]
    assert tokens["loss_mask"][0].as_py() == [True, True]
    assert table["mask"][0].as_py() == "no_tokens"


def test_a_trajectory_is_a_file(tmp_path: Path) -> None:
    report = export(write_run(tmp_path, [tool_rollout()]), "atif")

    (path,) = Path(report.path).glob("*.json")
    steps = json.loads(path.read_text())["steps"]
    assert [(step["step_id"], step["source"]) for step in steps] == [
        (1, "system"),
        (2, "user"),
        (3, "agent"),
        (4, "agent"),
    ]
    assert steps[2]["tool_calls"][0]["arguments"] == {"city": "Oslo"}
    assert steps[2]["observation"]["results"] == [{"source_call_id": "c1", "content": "rain, 4 °C"}]


def test_tasks_are_split_as_a_whole(tmp_path: Path) -> None:
    rollouts = [tool_rollout(task=task, repeat=repeat) for task in range(40) for repeat in range(2)]

    report = export(write_run(tmp_path, rollouts), "sft", validation=0.25)

    parts = {
        name: [
            json.loads(line)["metadata"]["task_index"]
            for line in (Path(report.path) / name).read_text().splitlines()
        ]
        for name in ("training.jsonl", "validation.jsonl")
    }
    assert {name: len(tasks) for name, tasks in parts.items()} == report.rows
    assert sorted(parts["training.jsonl"] + parts["validation.jsonl"]) == sorted([*range(40)] * 2)
    assert not set(parts["training.jsonl"]) & set(parts["validation.jsonl"])
    assert 0 < len(parts["validation.jsonl"]) < 40


@pytest.mark.parametrize("format", FORMAT_NAMES)
def test_the_same_run_gives_the_same_bytes(tmp_path: Path, format: str) -> None:
    rollouts = [tool_rollout(place % 2, task=place // 4, repeat=place % 4) for place in range(12)]
    run = write_run(tmp_path, rollouts)

    def contents() -> dict[str, bytes]:
        path = Path(export(run, format, tmp_path / "out").path)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return {file.name: file.read_bytes() for file in files}

    first = contents()
    assert first == contents()
    assert all(first.values())


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")

    with pytest.raises(UsageError, match="not an earlier export"):
        export(write_run(tmp_path, [tool_rollout()]), "atif", target)

    assert (target / "thesis.txt").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "run.jsonl", "run_failures.jsonl"]


@pytest.mark.parametrize(
    ("format", "validation"), [("sft", 0.0), ("sft", 0.5), ("parquet", 0.0), ("atif", 0.0)]
)
def test_a_project_with_a_readme_is_not_replaced(tmp_path: Path, format: str, validation: float) -> None:
    target = tmp_path / "project"
    (target / "src").mkdir(parents=True)
    (target / "README.md").write_text("# Mine")

    with pytest.raises(UsageError, match="is a folder"):
        export(write_run(tmp_path, [tool_rollout()]), format, target, validation=validation)

    assert sorted(path.name for path in target.iterdir()) == ["README.md", "src"]


@pytest.mark.parametrize("format", ["sft", "parquet", "atif"])
@pytest.mark.parametrize("name", ["run.jsonl", "run_failures.jsonl", "folder/../run.jsonl"])
def test_the_files_of_the_run_are_not_replaced(tmp_path: Path, format: str, name: str) -> None:
    run = write_run(tmp_path, [tool_rollout()])
    (tmp_path / "folder").mkdir()
    before = run.read_bytes()

    with pytest.raises(UsageError, match="a file of the run itself"):
        export(run, format, tmp_path / name)

    assert run.read_bytes() == before


def test_the_rollouts_of_another_run_are_not_replaced(tmp_path: Path) -> None:
    run = write_run(tmp_path, [tool_rollout()])
    other = tmp_path / "other.jsonl"
    other.write_bytes(run.read_bytes())
    (tmp_path / "other_manifest.json").write_text("{}")

    with pytest.raises(UsageError, match="the rollouts of another run"):
        export(run, "sft", other)

    assert other.read_bytes() == run.read_bytes()


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError, match="not a regular file"):
        export(write_run(tmp_path, [tool_rollout()]), "sft", tmp_path / "pipe")

    assert (tmp_path / "pipe").is_fifo()


def test_an_empty_folder_and_an_earlier_export_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run = write_run(tmp_path, [tool_rollout(), tool_rollout(task=1)])
    export(run, "atif", tmp_path / "out")

    export(write_run(tmp_path, [tool_rollout()]), "atif", tmp_path / "out")

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "run-0-0.json"]


@pytest.mark.parametrize("items", [["words"], [5], [{"type": 5}], [{"type": "message"}]])
def test_a_line_with_other_items_is_named(tmp_path: Path, items: list[Any]) -> None:
    run = tmp_path / "run.jsonl"
    row = tool_rollout().to_row()
    run.write_bytes(encode({**row, "response": {**row["response"], "output": items}}) + b"\n")

    with pytest.raises(DataError, match="line 1"):
        export(run, "sft")


def test_a_long_rollout_takes_memory_for_each_token_once(tmp_path: Path) -> None:
    items = chain([(range(1000, 1030), range(2000, 2030))] * 400)
    run = tmp_path / "run.jsonl"
    run.write_bytes(Result.of(scored(items)).line)
    tracemalloc.start()
    try:
        export(run, "sft")
        report = check_run(run)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (report.with_tokens, report.broken) == (1, 0)
    assert peak < 20 * run.stat().st_size  # with every prompt in full it is 38 MB of ids


@pytest.mark.parametrize("format", FORMAT_NAMES)
def test_an_export_that_fails_leaves_the_earlier_one(tmp_path: Path, format: str) -> None:
    run = write_run(tmp_path, [tool_rollout(), tool_rollout(0.0, repeat=1)])
    export(run, format)
    before = {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")}
    run.write_bytes(run.read_bytes() + b'{"_ng_task_index": 1, "_ng_rollout_index": 0, "reward": "high"}\n')
    before[run] = run.read_bytes()

    with pytest.raises(DataError):
        export(run, format)

    assert {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "sfd"}, "no format 'sfd'. Did you mean 'sft'?"),
        ({"format": "sft", "validation": 1.0}, "validation: expected a share"),
        ({"format": "atif", "validation": 0.5}, "atif has one file or folder"),
        ({"format": "sft", "choice": Choice(min_reward=math.nan)}, "min_reward: expected a number, got nan"),
        ({"format": "dpo", "options": FormatOptions(min_margin=math.nan)}, "min_margin: expected a number"),
        ({"format": "kto", "options": FormatOptions(threshold=math.inf)}, "threshold: expected a number"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        export(write_run(tmp_path, [tool_rollout()]), **arguments)

    assert message in str(error.value)


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such run"):
        export(tmp_path / "none.jsonl", "sft")


def test_the_report_is_json(tmp_path: Path) -> None:
    report = export(write_run(tmp_path, [tool_rollout()]), "sft")

    assert msgspec.json.decode(msgspec.json.encode(report), type=ExportReport) == report
