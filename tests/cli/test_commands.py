"""The `gym` command as a person and as a script meet it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import read_rows

from nemo_gym import __version__
from nemo_gym.cli.display import status_line
from nemo_gym.cli.output import duration, number, percent, score
from nemo_gym.runs.progress import Progress
from nemo_gym.runs.result import Result
from nemo_gym.wire.safe_text import printable

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

DEMO = ("run", "demo", "--model-type", "oracle", "--limit", 3, "--num-repeats", 2, "--seed", 5)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, gym: Gym) -> Path:
    """A folder with a new environment `demo` and a finished run of it."""
    folder = tmp_path_factory.mktemp("demo")
    init = gym("env", "init", "demo", cwd=folder)
    assert init.returncode == 0, init.stderr
    assert "next:  gym run demo" in init.stdout
    process = gym(*DEMO, "-o", "out.jsonl", cwd=folder)
    assert process.returncode == 0, process.stderr
    (folder / "printed.txt").write_text(process.stdout + process.stderr)
    return folder


@pytest.fixture
def folder(demo: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(demo, tmp_path / "copy"))


def stdout(process: subprocess.CompletedProcess[str]) -> str:
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process.stdout


def test_a_new_environment_runs_at_once_and_its_perfect_model_is_always_right(demo: Path) -> None:
    rows = read_rows(demo / "out.jsonl")

    assert [row["reward"] for row in rows] == [1.0] * 6
    assert sorted((row["_ng_task_index"], row["_ng_rollout_index"]) for row in rows) == [
        (task, repeat) for task in range(3) for repeat in range(2)
    ]


def test_what_is_printed_away_from_a_terminal_is_plain_and_names_the_files(demo: Path) -> None:
    printed = (demo / "printed.txt").read_text()

    assert "\x1b" not in printed
    assert "\r" not in printed
    assert "1.000" in printed
    for name in (
        "out.jsonl",
        "out_materialized_inputs.jsonl",
        "out_aggregate_metrics.json",
        "out_manifest.json",
    ):
        assert name in printed


def test_json_is_all_there_is_on_standard_output(folder: Path, gym: Gym) -> None:
    process = gym("eval", *DEMO, "-o", "again.jsonl", "--json", cwd=folder)

    report = json.loads(process.stdout)
    assert report["status"] == "complete"
    assert report["summary"]["requested"] == report["summary"]["scored"] == 6
    assert report["summary"]["mean_reward"] == 1.0
    assert report["files"]["rollouts"] == "again.jsonl"
    assert read_rows(folder / "again.jsonl")[0]["expected"] == read_rows(folder / "out.jsonl")[0]["expected"]


def test_without_an_output_a_new_file_in_results_is_written(folder: Path, gym: Gym) -> None:
    stdout(gym(*DEMO, cwd=folder))

    (written,) = [path for path in (folder / "results").iterdir() if path.name.count("_") == 1]
    assert written.name.startswith("demo_")
    assert len(read_rows(written)) == 6


def test_run_and_eval_run_are_the_same_command(gym: Gym) -> None:
    short = stdout(gym("run", "--help")).replace(" run ", " eval run ", 1)
    long = stdout(gym("eval", "run", "--help"))

    assert "".join(short.split()) == "".join(long.split())
    assert "--num-repeats" in long


def test_help_names_every_command_and_the_version_is_the_package_s(gym: Gym) -> None:
    screen = stdout(gym("--help"))
    script = Path(sys.executable).with_name("gym")

    assert all(f" {command} " in screen for command in ("run", "eval", "env", "runs"))
    assert stdout(gym("--version")) == f"{__version__}\n"
    if script.exists():
        process = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
        assert process.stdout == f"{__version__}\n"


def test_a_run_is_shown_again_as_it_was_when_it_ended(demo: Path, gym: Gym) -> None:
    screen = stdout(gym("runs", "show", "out.jsonl", cwd=demo))

    assert screen == (demo / "printed.txt").read_text()


def test_a_run_is_shown_as_json(demo: Path, gym: Gym) -> None:
    screen = json.loads(stdout(gym("runs", "show", "out.jsonl", "--json", cwd=demo)))

    assert (screen["status"], screen["summary"]["scored"], screen["summary"]["pending"]) == ("complete", 6, 0)


def test_one_rollout_is_shown_as_a_conversation_or_as_its_row(demo: Path, gym: Gym) -> None:
    row = next(
        row
        for row in read_rows(demo / "out.jsonl")
        if (row["_ng_task_index"], row["_ng_rollout_index"]) == (2, 1)
    )

    screen = stdout(gym("runs", "show", "out.jsonl", "--task", 2, "--repeat", 1, cwd=demo))
    as_json = stdout(gym("runs", "show", "out.jsonl", "--task", 2, "--repeat", 1, "--json", cwd=demo))

    words = " ".join(screen.split())
    assert "task 2 · repeat 1 user What is" in words
    assert f"assistant {row['expected']} reward 1 outcome completed" in words
    assert json.loads(as_json) == row


def test_an_unfinished_run_is_shown_with_what_is_pending_and_can_be_finished(folder: Path, gym: Gym) -> None:
    out, manifest = folder / "out.jsonl", folder / "out_manifest.json"
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:4]) + lines[4][:30])
    manifest.write_text(manifest.read_text().replace('"complete"', '"running"'))

    before = json.loads(stdout(gym("runs", "show", "out.jsonl", "--json", cwd=folder)))
    resumed = gym(*DEMO, "-o", "out.jsonl", "--resume", "--json", cwd=folder)
    after = json.loads(resumed.stdout)

    assert (before["status"], before["summary"]["scored"], before["summary"]["pending"]) == (
        "interrupted",
        4,
        2,
    )
    assert (after["status"], after["summary"]["scored"], after["summary"]["pending"]) == ("complete", 6, 0)
    assert "resuming: 6 asked for, 4 scored, 0 failed so far, 2 to run" in resumed.stderr
    assert "cut off 30 bytes of an unfinished line" in resumed.stderr
    assert sorted(out.read_bytes().splitlines()[:4]) == sorted(line.strip() for line in lines[:4])


def test_what_a_model_wrote_can_not_take_over_the_terminal(folder: Path, gym: Gym) -> None:
    clear = "\x1b[2J\x9b2J\x07"
    row = read_rows(folder / "out.jsonl")[0]
    items: list[Any] = [
        {"type": "message", "role": "assistant", "content": f"{clear} [red]not red[/red]"},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": clear}]},
        {"type": "function_call", "name": clear, "arguments": clear, "call_id": "c"},
        {"type": "function_call_output", "call_id": "c", "output": clear},
        {"type": f"web{clear}_call"},
    ]
    failure = {"_ng_failure_class": f"model{clear}", "_ng_failure_error": clear, f"column{clear}": clear}
    failed = {**row, **failure, "response": {"output": items}, "_ng_task_index": 1, "ng_outcome": clear}
    failed.pop("reward")
    path = folder / "hostile.jsonl"
    path.write_text("")
    line = json.dumps(failed, separators=(",", ":"))
    path.with_name("hostile_failures.jsonl").write_text(line + "\n")

    screen = stdout(gym("runs", "show", path, "--task", 1, "--repeat", row["_ng_rollout_index"]))

    assert "[red]not red[/red]" in screen
    assert not {"\x1b", "\x9b", "\x07"} & set(screen)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.jsonl"], "no.jsonl: there is no such run. `gym runs list FOLDER` lists the runs in a folder"),
        (["out.jsonl", "--task", "9"], "out.jsonl has no rollout of task 9, repeat 0"),
        (["printed.txt"], "output printed.txt: expected a name ending in .jsonl"),
    ],
)
def test_what_can_not_be_shown_is_one_line(demo: Path, gym: Gym, words: list[str], message: str) -> None:
    process = gym("runs", "show", *words, cwd=demo)

    assert (process.returncode, process.stdout, process.stderr) == (2, "", f"gym: {message}\n")


def test_a_run_named_without_its_time_is_suggested(folder: Path, gym: Gym) -> None:
    for file in folder.glob("out*"):
        file.rename(folder / file.name.replace("out", "demo_20261128-120400", 1))

    process = gym("runs", "show", "demo.jsonl", cwd=folder)

    expected = "gym: demo.jsonl: there is no such run. Did you mean 'demo_20261128-120400.jsonl'?\n"
    assert (process.returncode, process.stdout, process.stderr) == (2, "", expected)


def test_environments_are_listed_yours_among_them(demo: Path, gym: Gym) -> None:
    listed = {each["name"]: each for each in json.loads(stdout(gym("env", "list", "--json", cwd=demo)))}

    assert listed["demo"]["tools"] == ["add"]
    assert listed["demo"]["source"] == str(demo / "demo" / "environment.py")
    assert listed["reasoning"]["source"] == "built-in"
    table = stdout(gym("env", "list", cwd=demo)).splitlines()
    columns = ["name", "domain", "kind", "tasks", "sandbox", "judge", "description"]
    assert table[0].split() == columns
    assert [line.split()[0] for line in table[1:]] == sorted(listed)
    cells = {name: [listed[name][column] for column in columns[3:6]] for name in listed}
    assert cells["reasoning"] == ["generated", "no", "no"]
    assert cells["string_match"] == ["30", "no", "no"]
    assert cells["simpleqa"] == ["generated", "no", "judge"]
    assert cells["code_gen"][1] == "yes"


def test_an_environment_is_shown_with_its_tools_and_a_first_task(demo: Path, gym: Gym) -> None:
    screen = stdout(gym("env", "show", "demo", cwd=demo))
    data = json.loads(stdout(gym("env", "show", "demo", "--json", cwd=demo)))

    assert "add(a, b)  Return the sum of two whole numbers." in screen
    assert "What is" in screen
    assert data["tool_schemas"][0]["parameters"]["required"] == ["a", "b"]
    assert "expected" in data["row_fields"]


def test_an_environment_is_checked_and_a_broken_promise_is_code_1(folder: Path, gym: Gym) -> None:
    good = gym("env", "check", "demo", "--json", cwd=folder)
    source = folder / "demo" / "environment.py"
    source.write_text(source.read_text().replace("return float(", "return 2 * float("))
    bad = gym("env", "check", "demo", cwd=folder)

    assert good.returncode == 0
    assert all(result["passed"] for result in json.loads(good.stdout)["results"])
    assert bad.returncode == 1
    assert "FAIL" in bad.stdout
    assert "Traceback" not in bad.stderr


def test_a_new_environment_takes_nobody_s_place(demo: Path, gym: Gym) -> None:
    taken = gym("env", "init", "demo", cwd=demo)
    wrong = gym("env", "init", "my-env", cwd=demo)

    assert (taken.returncode, wrong.returncode) == (2, 2)
    assert "is there already and is left as it is" in taken.stderr
    assert "'my_env' would do" in wrong.stderr
    assert sorted(path.name for path in demo.iterdir() if path.is_dir()) == ["demo"]


def modules_after(program: str) -> set[str]:
    """What a fresh process has loaded when it has run the program."""
    report = "import json, sys; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", f"{program}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(process.stderr))


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"asyncio", "msgspec", "rich", "typer", "uvloop", "wreq"}

    assert not heavy & modules_after("import nemo_gym")


def test_asking_for_help_loads_no_engine() -> None:
    program = """
import contextlib, sys
from nemo_gym.cli.main import main
sys.argv = ["gym", "--help"]
with contextlib.suppress(SystemExit):
    main()
"""
    heavy = {"asyncio", "uvloop", "wreq", "xllamacpp", "nemo_gym.runs.run"}

    assert not heavy & modules_after(program)


def test_the_status_line_says_how_far_how_good_and_what_went_wrong() -> None:
    progress = Progress()
    progress.requested = 4
    assert status_line(progress) == "0/4 · none has ended after 0 s"
    for task, failure in enumerate([None, None, "model_timeout"]):
        result = Result(task, 0, b"", None if failure else 1.0, failure, "too slow", 10, 1.0)
        progress.add(result)

    line = status_line(progress)

    assert line.startswith("3/4 · ")
    assert "reward 1.000" in line
    assert "1 failed (model_timeout 1)" in line
    assert line.endswith(" left")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234, "1,234"), (0.5, "0.500"), (-0.25, "-0.250"), (1234.56, "1,234.6")],
)
def test_figures_are_short(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan")])
def test_figures_of_an_author_s_own_may_be_no_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(100.0, "100.0 %"), (99.99, "> 99.9 %"), (99.9, "99.9 %"), (0.0, "0.0 %"), (0.01, "< 0.1 %")],
)
def test_rounding_makes_neither_all_nor_nothing_of_a_share(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((1.0, "1.000"), (0.41, "0.410"), (0.9999, "0.999900"), (0.0002, "0.000200"), (-0.0, "0.000")),
        *((1e-7, "0.000000100"), (1 - 2**-53, "0.9999999999999999"), (-4.99996, "-4.999960")),
    ],
)
def test_rounding_makes_no_whole_number_of_a_score(value: float, text: str) -> None:
    assert score(value) == text


def test_printable_keeps_text_and_lines_and_drops_control() -> None:
    assert printable("é 漢\n\t") == "é 漢\n\t"
    assert printable("\x1b[0m\r\x00\u202e") == "\ufffd[0m\ufffd\ufffd\ufffd"
