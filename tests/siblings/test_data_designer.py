"""Data sets of Data Designer as tasks, and the verdicts and rows that its plugins give."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.assembly.ready_components import ReadyModel
from nemo_gym.cli.main import main
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.runs.result import Result
from nemo_gym.siblings.data_designer.column_tasks import column_mapping, roll_out_record, verify_record
from nemo_gym.siblings.data_designer.columns import Unmappable
from nemo_gym.siblings.data_designer.config import load_config
from nemo_gym.siblings.data_designer.mapping import Mapping, load_mapping, read_mapping
from nemo_gym.siblings.data_designer.presets import find_preset, preset_names, use_model, write_preset
from nemo_gym.siblings.data_designer.records import as_json, open_dataset
from nemo_gym.siblings.data_designer.seed_rows import rollout_seeds, task_seeds
from nemo_gym.siblings.data_designer.tasks import ImportReport, import_tasks
from nemo_gym.wire.errors import ModelTimeout, UsageError
from tests.support.earlier_run import COLUMNS, DETAILS, IDENTITY
from tests.support.programs import FORK, run_program
from tests.support.trajectories import scored, tool_rollout

MATH = {
    "environment": "word_problems",
    "input": [{"role": "user", "content": "{{ problem.question }} Use \\boxed{}."}],
    "fields": {
        "question": "problem.question",
        "expected_answer": {"column": "problem.answer", "as": "text"},
        "verifier_metadata.steps": "problem.steps",
    },
}
RECORD = {
    "topic": "bread",
    "steps": 2,
    "problem": {"question": "How much is 3 + 4?", "answer": 7, "steps": [{"add": [3, 4]}, {"say": None}]},
    "solution": "It is \\boxed{7}.",
}
TRACE = [
    {
        "role": "system",
        "content": [{"type": "text", "text": "Help."}],
        "tool_calls": None,
        "tool_call_id": None,
    },
    {
        "role": "user",
        "content": [{"type": "text", "text": "Mail Bo."}],
        "tool_calls": None,
        "tool_call_id": None,
    },
    {
        "role": "assistant",
        "content": [{"type": "text", "text": ""}],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "send", "arguments": '{ "to" : "Bo" }'}}
        ],
        "tool_call_id": None,
    },
    {"role": "tool", "content": [{"type": "text", "text": "sent"}], "tool_calls": None, "tool_call_id": "c1"},
    {
        "role": "assistant",
        "content": [{"type": "text", "text": "Done."}],
        "tool_calls": None,
        "tool_call_id": None,
    },
]


DIALOGUE = """
from nemo_gym import Observation, Response, Session, Step, StepEnvironment, Task


class Dialogue(StepEnvironment):
    \"\"\"Greet a customer.\"\"\"

    asks = ("user",)

    async def reset(self, task: Task, session: Session) -> Observation:
        return Observation(await self.models["user"].text("Begin."))

    def step(self, action: Response, session: Session) -> Step:
        return Step(reward=0.5, terminated=True)
"""


def write_parquet(folder: Path, records: list[dict[str, Any]], name: str = "batch_00000.parquet") -> Path:
    """A data set as Data Designer lays it out."""
    files = folder / "parquet-files"
    files.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), files / name)
    return folder


def rows_of(report: ImportReport) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(report.path).read_text().splitlines()]


def test_records_become_tasks_with_their_nested_values_and_their_other_columns(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "maths", [RECORD])

    report = import_tasks(source, tmp_path / "tasks.jsonl", read_mapping(MATH, "mapping"))

    (row,) = rows_of(report)
    assert row == {
        "responses_create_params": {
            "input": [{"role": "user", "content": "How much is 3 + 4? Use \\boxed{}."}]
        },
        "question": "How much is 3 + 4?",
        "expected_answer": "7",
        "verifier_metadata": {"steps": [{"add": [3, 4], "say": None}, {"add": None, "say": None}]},
        "task_id": "maths-0",
        "data_designer": {
            "dataset": "maths",
            "record": 0,
            "columns": {"topic": "bread", "steps": 2, "solution": "It is \\boxed{7}."},
        },
    }
    assert (report.records, report.tasks, report.left_out) == (1, 1, [])


def test_jsonl_keeps_objects_of_different_shapes_as_they_are(tmp_path: Path) -> None:
    source = tmp_path / "maths.jsonl"
    source.write_text(json.dumps(RECORD) + "\n\n")

    (row,) = rows_of(import_tasks(source, tmp_path / "tasks.jsonl", read_mapping(MATH, "mapping")))

    assert row["verifier_metadata"]["steps"] == RECORD["problem"]["steps"]


def test_all_files_of_a_data_set_are_read_in_order(tmp_path: Path) -> None:
    for batch in range(3):
        record = {**RECORD, "topic": f"topic {batch}"}
        write_parquet(tmp_path / "set", [record], f"batch_{batch:05}.parquet")

    rows = rows_of(import_tasks(tmp_path / "set", tmp_path / "out.jsonl", read_mapping(MATH, "mapping")))

    assert [row["data_designer"]["columns"]["topic"] for row in rows] == ["topic 0", "topic 1", "topic 2"]
    assert [row["task_id"] for row in rows] == ["set-0", "set-1", "set-2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": "problm"}, "mapping: input: there is no column 'problm'. Did you mean 'problem'?"),
        (
            {"fields": {"question": "problem.question", "expected_answer": "soluton"}},
            "mapping: fields.expected_answer: there is no column 'soluton'. Did you mean 'solution'?",
        ),
        ({"metadata": ["topics"]}, "mapping: metadata: there is no column 'topics'. Did you mean 'topic'?"),
        ({"require": {"sol.x": 1}}, "mapping: require: there is no column 'sol'. Known: problem, "),
    ],
)
def test_a_column_that_does_not_exist_is_one_error_with_the_nearest_name(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    source = write_parquet(tmp_path / "set", [RECORD])

    with pytest.raises(UsageError) as error:
        import_tasks(source, tmp_path / "tasks.jsonl", read_mapping({**MATH, **change}, "mapping"))

    assert str(error.value).startswith(message)
    assert not (tmp_path / "tasks.jsonl").exists()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"inputs": "a"}, "m.yaml: Object contains unknown field `inputs`. Did you mean 'input'?"),
        ({"environment": "mcqa"}, "m.yaml: a mapping needs `input`"),
        (
            {"input": "a", "fields": {"x": {"column": "a", "value": 1}}},
            "m.yaml: fields.x: give one of `column`",
        ),
        (
            {"input": "a", "fields": {"x": {"column": "a", "as": "jsn"}}},
            "m.yaml: fields.x: Invalid enum value 'jsn': one of as_is, text, json, json_text, calls, answer. "
            "Did you mean 'json'?",
        ),
    ],
)
def test_a_mapping_with_a_mistake_is_refused_in_one_line(
    tmp_path: Path, document: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        read_mapping(document, "m.yaml")

    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_records_that_are_no_task_are_named_and_counted(tmp_path: Path) -> None:
    records = [
        RECORD,
        {**RECORD, "problem": {**RECORD["problem"], "answer": None}},
        {**RECORD, "problem": None},
        {**RECORD, "topic": "salt"},
    ]
    source = tmp_path / "set.jsonl"
    source.write_text("".join(json.dumps(one) + "\n" for one in records))
    mapping = read_mapping({**MATH, "require": {"topic": "bread"}}, "mapping")

    report = import_tasks(source, tmp_path / "tasks.jsonl", mapping)

    assert (report.records, report.tasks) == (4, 1)
    assert [(one.place, one.reason) for one in report.left_out] == [
        ("set.jsonl:2", "problem.answer is null"),
        ("set.jsonl:3", "problem is null"),
        ("set.jsonl:4", "topic is salt, not bread"),
    ]


def test_a_wrong_path_in_a_column_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    records = [{"problem": {"question": "1 + 1?", "answer": 2}}, {"problem": {}}, {"problem": "text"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))

    report = import_tasks(
        tmp_path / "a.jsonl", tmp_path / "out.jsonl", read_mapping({"input": "problem.qestion"}, "mapping")
    )

    assert [one.reason for one in report.left_out] == [
        "problem.qestion has no 'qestion'. Did you mean 'question'?",
        "problem.qestion has no 'qestion'",
        "problem.qestion has no 'qestion'",
    ]


def test_a_failed_verdict_is_the_reason_to_leave_a_record_out(tmp_path: Path) -> None:
    record = {**RECORD, "check": None, "check__error": "the judge is asleep"}
    mapping = read_mapping({**MATH, "require": {"check.is_valid": True}}, "mapping")

    report = import_tasks(write_parquet(tmp_path / "set", [record]), tmp_path / "tasks.jsonl", mapping)

    assert [one.reason for one in report.left_out] == ["check is null: the judge is asleep"]


def test_the_environment_refuses_what_it_can_not_run(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "set", [{"q": "Count.", "db": "generated/zoo/1", "sql": "SELECT 1"}])
    mapping = Mapping(
        environment="sql",
        input="q",
        fields={"question": "q", "verifier_metadata.db_id": "db", "verifier_metadata.gold_sql": "sql"},
    )

    report = import_tasks(source, tmp_path / "tasks.jsonl", mapping)

    assert report.tasks == 0
    assert report.left_out[0].reason.startswith("db_id 'generated/zoo/1': expected generated/BUSINESS/SEED")


def test_a_trace_of_tool_calls_gives_the_input_the_calls_and_the_answer(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "set", [{"trace": TRACE, "opening": TRACE[:2]}])
    mapping = Mapping(
        input="opening",
        fields={
            "calls": read_value({"column": "trace", "as": "calls"}),
            "text": read_value({"column": "trace", "as": "answer"}),
        },
    )

    (row,) = rows_of(import_tasks(source, tmp_path / "tasks.jsonl", mapping))

    assert row["calls"] == [{"name": "send", "arguments": '{ "to" : "Bo" }'}]
    assert row["text"] == "Done."
    assert row["responses_create_params"]["input"] == [
        {"type": "message", "role": "system", "content": "Help."},
        {"type": "message", "role": "user", "content": "Mail Bo."},
    ]


def test_rows_of_the_native_processor_are_tasks_as_they_are(tmp_path: Path) -> None:
    task = {
        "responses_create_params": {"input": [{"role": "user", "content": "Write."}]},
        "prompt": "Write.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": "[{}]",
        "data_designer": {"columns": {"topic": "bread"}},
    }
    source = write_parquet(tmp_path / "set", [{"topic": "bread"}])
    folder = source / "processors-files" / "gym_tasks"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([task]), folder / "batch_00000.parquet")

    report = import_tasks(source, tmp_path / "tasks.jsonl", environment="instruction_following")

    (row,) = rows_of(report)
    assert row["kwargs"] == [{}]
    assert row["data_designer"]["columns"] == {"topic": "bread"}


def test_rows_that_are_no_tasks_need_a_mapping(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "set", [RECORD])

    with pytest.raises(UsageError, match="its rows are no tasks, they have no responses_create_params"):
        import_tasks(source, tmp_path / "tasks.jsonl")


def test_sampled_columns_are_kept_whatever_the_mapping_names(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "set", [RECORD])
    columns = [
        {"name": "steps", "column_type": "sampler"},
        {"name": "problem", "column_type": "llm-structured"},
    ]
    (source / "builder_config.json").write_text(json.dumps({"data_designer": {"columns": columns}}))

    mapping = read_mapping({**MATH, "metadata": ["topic"]}, "mapping")
    (row,) = rows_of(import_tasks(source, tmp_path / "tasks.jsonl", mapping))

    assert row["data_designer"]["columns"] == {"topic": "bread", "steps": 2}


def test_a_file_of_the_data_set_is_never_replaced(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set", [{"problem": {"question": "1 + 1?", "answer": 2}}])
    (source,) = tmp_path.rglob("*.parquet")
    before = source.read_bytes()

    with pytest.raises(UsageError, match="choose another output"):
        import_tasks(source, source, read_mapping({"input": "problem"}, "mapping"))

    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", b"", "a.jsonl: there is nothing in it"),
        ("a.csv", b"question,answer\n1,2\n", "a.csv: Parquet and JSONL are read"),
        ("a.parquet", b"PAR1", "a.parquet: not a Parquet file"),
        ("a.parquet", None, "a.parquet: can't be read after row 0: "),
    ],
)
def test_a_file_that_is_no_data_set_is_one_error_about_itself(
    tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    if content is None:
        write_parquet(tmp_path / "set", [{"question": "?" * 500, "n": number} for number in range(99)])
        whole = next(tmp_path.rglob("*.parquet")).read_bytes()
        content = whole[:8] + bytes(80) + whole[88:]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UsageError) as error:
        import_tasks(tmp_path / name, tmp_path / "out.jsonl", read_mapping({"input": "question"}, "mapping"))

    assert problem in str(error.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_folder_of_data_sets_says_which_it_holds(tmp_path: Path) -> None:
    write_parquet(tmp_path / "artifacts" / "monday", [RECORD])

    with pytest.raises(UsageError, match="it holds the data sets monday: name one"):
        open_dataset(tmp_path / "artifacts")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_values_of_json_stay_what_they_are(value: Any) -> None:
    assert as_json(value) == json.loads(
        json.dumps(value).replace("Infinity", "null").replace("-null", "null")
    )


def test_the_command_names_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "set.jsonl"
    source.write_text(json.dumps(RECORD) + "\n" + json.dumps({**RECORD, "problem": None}) + "\n")
    (tmp_path / "m.yaml").write_text(json.dumps(MATH))
    arguments = ["gym", "data-designer", "import", str(source), "--mapping", str(tmp_path / "m.yaml")]
    monkeypatch.setattr(sys, "argv", [*arguments, "-o", str(tmp_path / "tasks.jsonl")])

    with pytest.raises(SystemExit) as exit:
        main()

    out, err = capsys.readouterr()
    assert exit.value.code in (0, None)
    assert out.startswith("2 records -> 1 tasks, 1 left out -> ")
    assert err == "gym: left out set.jsonl:2: problem is null\n"

    monkeypatch.setattr(sys, "argv", [*sys.argv, "--json"])
    with pytest.raises(SystemExit):
        main()

    report = json.loads(capsys.readouterr().out)
    assert (report["records"], report["tasks"], len(report["left_out"])) == (2, 1, 1)


def test_every_preset_has_a_configuration_and_a_mapping_that_fit(tmp_path: Path) -> None:
    assert len(preset_names()) == 5
    for name in preset_names():
        preset = find_preset(name)
        parts = load_config(preset.config_path)["data_designer"]
        columns = {one["name"] for one in parts["columns"]}
        traces = {f"{one['name']}__trace" for one in parts["columns"] if one.get("with_trace")}
        seeds = {"gym_task", "gym_task_id", "gym_prompt"} if "seed_config" in parts else set()
        preset.mapping.check_columns(columns | traces | seeds)


def test_a_preset_for_a_model_at_a_url_has_its_provider_beside_it(tmp_path: Path) -> None:
    paths = write_preset("sql", tmp_path / "config.yaml", model_url="http://localhost:8000/v1", model="mine")

    (model,) = load_config(paths[0])["data_designer"]["model_configs"]
    assert (model["provider"], model["model"]) == ("gym", "mine")
    assert "endpoint: http://localhost:8000/v1" in paths[1].read_text()


def test_an_unknown_preset_is_one_error_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"there is no preset 'sq'\. Did you mean 'sql'\?"):
        find_preset("sq")


async def test_the_verdict_on_a_record_is_that_of_the_environment() -> None:
    mapping = column_mapping(MATH, "", {})

    right = await verify_record(mapping, "solution", RECORD)
    wrong = await verify_record(mapping, "solution", {**RECORD, "solution": "\\boxed{8}"})

    assert right == (
        {"is_valid": True, "reward": 1.0, "reward_components": None, "reason": "right"},
        None,
    )
    assert wrong[0] is not None
    assert (wrong[0]["is_valid"], wrong[0]["reward"], wrong[0]["reason"]) == (False, 0.0, "wrong")


NOTED = """
import os

from nemo_gym import Environment, Response, Session, Task


class Noted(Environment):
    \"\"\"Notes its process.\"\"\"

    class Task(Task):
        question: str

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.process = os.getpid()

    async def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(self.process == os.getpid())

    async def aclose(self) -> None:
        print("closed", "here" if self.process == os.getpid() else "elsewhere", flush=True)
"""


def test_columns_of_a_forked_child_have_an_environment_and_a_loop_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "noted.py").write_text(NOTED)
    mapping = {"environment": str(tmp_path / "noted.py"), "input": "text", "fields": {"question": "text"}}
    code = f"""
import asyncio
from nemo_gym.siblings.data_designer.column_tasks import column_mapping, verify_record

mapping = column_mapping({mapping!r}, "", {{}})

def reward():
    verdict, error = asyncio.run(verify_record(mapping, "text", {{"text": "7"}}))
    return error or verdict["reward"]

print(reward(), flush=True)
in_child(lambda: reward() == 1.0)
if not (pid := os.fork()):
    signal.alarm(60)
    sys.exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
print(reward(), flush=True)
"""
    assert run_program(FORK + code) == (0, "1.0\n1.0\nclosed here\n", "")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"problem": {**RECORD["problem"], "answer": " "}}, "expected_answer is blank"),
        ({"problem": None}, "problem is null"),
        ({"problem": {}}, "problem.question has no 'question'"),
        ({"solution": None}, "the answer is null"),
        ({"solution": 7}, "the answer is int: expected a text"),
    ],
)
async def test_a_failed_verification_is_null_with_its_reason(change: dict[str, Any], error: str) -> None:
    value, problem = await verify_record(column_mapping(MATH, "", {}), "solution", {**RECORD, **change})

    assert value is None
    assert problem is not None
    assert problem.startswith(error)


async def test_a_rollout_of_a_record_has_its_reward_and_conversation() -> None:
    model = ReadyModel(model=ScriptedModel(lambda _: "\\boxed{7}"))

    (value, error), trace = await roll_out_record(column_mapping(MATH, "", {}), RECORD, model)

    assert error is None
    assert value is not None
    assert (value["reward"], value["outcome"], value["answer"]) == (1.0, "completed", "\\boxed{7}")
    assert trace is not None
    assert [one["role"] for one in trace] == ["user", "assistant"]
    assert trace[1]["content"] == [{"type": "text", "text": "\\boxed{7}"}]


async def test_a_rollout_of_steps_asks_the_models_that_its_column_names(tmp_path: Path) -> None:
    path = tmp_path / "dialogue.py"
    path.write_text(DIALOGUE)
    mapping = column_mapping({"environment": str(path), "input": "topic"}, "", {})
    user = ReadyModel(model=ScriptedModel(lambda _: "Hello, I am the customer."))

    (value, error), trace = await roll_out_record(
        mapping, RECORD, ReadyModel(model=ScriptedModel(lambda _: "Good day.")), models={"user": user}
    )

    assert error is None
    assert value is not None
    assert value["reward"] == 0.5
    assert trace is not None
    said = [one["content"][0]["text"] for one in trace]
    assert said[:3] == ["bread", "Hello, I am the customer.", "Good day."]


async def test_a_failed_rollout_is_null_with_its_reason() -> None:
    def down(_: Any) -> str:
        raise ModelTimeout("the model is asleep")

    (value, error), _ = await roll_out_record(
        column_mapping(MATH, "", {}), RECORD, ReadyModel(model=ScriptedModel(down)), most_seconds=60
    )

    assert value is None
    assert error is not None
    assert "the model is asleep" in error


def test_a_base_task_keeps_what_the_mapping_does_not_replace() -> None:
    base = {"responses_create_params": {"input": "Hi", "temperature": 0.5}, "who": {"name": "Bo", "age": 7}}
    tools = [{"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}]
    mapping = Mapping(base="gym_task", tools="tools", fields={"who.name": "name"})

    task = mapping.task({"gym_task": json.dumps(base), "name": "Ada", "tools": json.dumps(tools)})

    assert task == {
        "responses_create_params": {
            "input": "Hi",
            "temperature": 0.5,
            "tools": [{"type": "function", "name": "send", "parameters": {"type": "object"}}],
        },
        "who": {"name": "Ada", "age": 7},
    }


def test_calls_that_a_tool_refused_are_no_label() -> None:
    failed = [
        *TRACE[:3],
        {"role": "tool", "tool_call_id": "c1", "content": '{"error":"send failed: no address"}'},
    ]
    mapping = Mapping(input="ask", fields={"calls": read_value({"column": "trace", "as": "calls"})})

    with pytest.raises(Unmappable, match="trace has no tool call that succeeded"):
        mapping.task({"ask": "Mail Bo.", "trace": failed})


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["create", "c.yaml"], "this needs Data Designer (No module named 'data_designer"),
        (["validate", "c.yaml"], "this needs Data Designer (No module named 'data_designer"),
        (
            ["preset", "math_problems", "-o", "c.yaml"],
            "there is no preset 'math_problems'. Did you mean 'math_word_problems'?",
        ),
        (["tools", "word_problems"], "environment word_problems has no tools"),
        (["import", "nowhere", "-o", "t.jsonl"], "nowhere: there is no such file or folder"),
        (
            ["import", "c.yaml", "--preset", "sql", "--mapping", "m", "-o", "t"],
            "--mapping and --preset exclude",
        ),
    ],
)
def test_a_command_that_can_not_work_says_why_in_one_line(
    words: list[str],
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("columns: []\n")
    monkeypatch.setattr(sys, "argv", ["gym", "data-designer", *words])

    with pytest.raises(SystemExit) as exit:
        main()

    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith(f"gym: {line}")


def test_the_command_writes_a_preset_and_lists_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (["preset", "sql", "-o", str(tmp_path / "c.yaml")], ["presets"], ["presets", "--json"]):
        monkeypatch.setattr(sys, "argv", ["gym", "data-designer", *words])
        with pytest.raises(SystemExit):
            main()

    out = capsys.readouterr().out
    assert load_config(tmp_path / "c.yaml") == load_config(find_preset("sql").config_path)
    assert '"environment": "workplace_assistant"' in out
    assert all(out.count(name) >= 2 for name in preset_names())


def test_tasks_are_seed_rows_with_the_whole_task(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    task = {
        "responses_create_params": {"input": "What?"},
        "odd": {"a": [None, 1.5]},
        "agent_ref": {"name": "mine"},
    }
    path.write_text(json.dumps({**COLUMNS, **task}) + "\n")

    (row,) = task_seeds(str(path), "", settings={}, split="train", seed=0, limit=None)

    assert json.loads(row.pop("gym_task")) == task
    assert row == {"gym_task_id": "mine-1", "gym_prompt": "What?"}


def test_an_environment_has_seed_rows_too() -> None:
    rows = list(task_seeds("", "word_problems", settings={"level": 1}, split="train", seed=0, limit=3))

    assert len(rows) == 3
    assert all(json.loads(row["gym_task"])["expected_answer"] for row in rows)


def test_rollouts_are_seed_rows_by_their_reward(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    rollouts = [tool_rollout(), scored([], reward=0.25, task=1)]
    rollouts[0].details = DETAILS
    run.write_bytes(b"".join(Result.of(one).line for one in rollouts))

    rows = list(rollout_seeds(str(run), least=0.5, most=None))

    assert len(rows) == 1
    assert rows[0]["gym_reward"] == 1.0
    assert rows[0]["gym_prompt"].startswith("How is the weather?")
    assert json.loads(rows[0]["gym_task"]).keys().isdisjoint({*IDENTITY, *DETAILS})
    roles = [one["role"] for one in json.loads(rows[0]["gym_trace"])]
    assert roles == ["system", "user", "assistant", "tool", "assistant"]


def test_the_tools_of_an_environment_answer_over_standard_input_with_a_fresh_session_each() -> None:
    add = {"name": "email_delete_email", "arguments": {"email_id": "00000057"}}
    calls = [
        {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}},
        {"method": "notifications/initialized"},
        {"id": 1, "method": "tools/list"},
        {"id": 2, "method": "tools/call", "params": add},
        {"id": 3, "method": "tools/call", "params": add},
        {"id": 4, "method": "tools/call", "params": {"name": "email_delete", "arguments": {}}},
        {"id": 5, "method": "resources/list"},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **one}) + "\n" for one in calls) + "no json\n"
    command = [sys.executable, "-c", "import sys; from nemo_gym.cli.main import main; sys.exit(main())"]

    ended = subprocess.run(
        [*command, "data-designer", "tools", "workplace_assistant"],
        input=lines,
        capture_output=True,
        text=True,
    )

    answers = {one["id"]: one for one in map(json.loads, ended.stdout.splitlines())}
    assert (ended.returncode, ended.stderr) == (0, "")
    assert answers[0]["result"]["serverInfo"]["name"] == "workplace_assistant"
    assert len(answers[1]["result"]["tools"]) == 27
    assert answers[2]["result"] == answers[3]["result"]
    assert not answers[2]["result"]["isError"]
    assert answers[4]["result"]["isError"]
    assert answers[5]["error"]["code"] == -32601
    assert answers[None]["error"]["code"] == -32700


def read_value(document: dict[str, Any]) -> Any:
    return read_mapping({"input": "x", "fields": {"x": document}}, "m").fields["x"]


def test_a_mapping_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("input: question\nfields: {expected_answer: answer}\n")

    assert load_mapping(path).task({"question": 2.0, "answer": "x"}) == {
        "responses_create_params": {"input": [{"role": "user", "content": "2"}]},
        "expected_answer": "x",
    }


BOMB = "columns: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "c.yaml: its aliases' expansion exceeds 100,000 values"),
        ("columns: []\ncolumns: []\n", "c.yaml:2:1: found duplicate key 'columns'"),
        ("columns:\n  - {name: a, name: b}\n", "c.yaml:2:15: found duplicate key 'name'"),
        ("columns:\n  - [name: a\nconstraints: []", "c.yaml:3:12: did not find expected ',' or ']'"),
        ("columns: [" + "[" * 200 + "]" * 200 + "]", "c.yaml: nested more than 100 deep"),
        ("# " + "x" * (4 << 20), "c.yaml: larger than 4 MiB"),
        ("- columns", "c.yaml: expected a mapping at the top, got a list"),
        ("columns: [name]", "c.yaml: Expected `object`, got `str` - at `columns[0]`"),
        (
            "columns: []\nmodel_configs: {}",
            "c.yaml: Expected `array | null`, got `object` - at `model_configs`",
        ),
        ("columns: []\n1: 2", "c.yaml: a configuration has no part 1. Known: columns"),
        ("", "c.yaml: expected a Data Designer configuration, with a list `columns`"),
    ],
    ids=[
        *("bomb", "duplicate", "duplicate in a list", "syntax", "deep", "large", "list", "column", "models"),
        *("number", "empty"),
    ],
)
def test_a_configuration_that_can_not_be_read_is_one_line(
    gym: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    for words in (["validate", path], ["create", path], ["advise", path]):
        done = gym("data-designer", *words)
        (line,) = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{tmp_path}/{message}" in line
    with pytest.raises(UsageError, match=r"^[^\n]+$"):
        load_mapping(path)


def test_a_model_without_parameters_gets_another_endpoint(tmp_path: Path) -> None:
    config = {
        "data_designer": {"columns": [], "model_configs": [{"alias": "a", "inference_parameters": None}]}
    }
    use_model(config, model_url="http://localhost:8000/v1", model="mine")
    assert config["data_designer"]["model_configs"][0]["model"] == "mine"


def test_braces_in_a_configuration_are_text_and_dates_too(tmp_path: Path) -> None:
    prompt = "Explain ${name:-x}, ${a b} and a lone ${ of bash, and {{ topic }}."
    path = tmp_path / "c.yaml"
    text = {"name": "a", "column_type": "llm-text", "prompt": prompt}
    path.write_text(json.dumps({"columns": [text]}) + "\n")
    assert load_config(path)["data_designer"]["columns"] == [text]
    path.write_text("columns: [{name: a, column_type: sampler, start: 2024-01-31}]")
    assert load_config(path)["data_designer"]["columns"][0]["start"] == "2024-01-31"


@pytest.mark.parametrize("content", [b"{", b'{"a": "\xff"}', b"[" * 100_000])
def test_a_configuration_beside_a_data_set_that_is_no_json_is_one_error(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    (tmp_path / "builder_config.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"builder_config\.json: not valid JSON: "):
        open_dataset(tmp_path).sampled_columns()
