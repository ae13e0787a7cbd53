"""Every mistake is one clear line and the right exit code, and leaves the disk as it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO, write_echo_tasks
from typer.testing import CliRunner

from nemo_gym.cli.main import app, command_line

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

NOBODY = ("--model-url", "http://127.0.0.1:9", "-m", "m")
"""Nothing listens there: what is refused with it was refused before any model was asked."""
RANDOM = ("--model-type", "random")
"""Answers without anything outside this process."""
RUN = ("run", ECHO, "-i", "tasks.jsonl", "-o", "out.jsonl")


def disk(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def complaint(result: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """The one line on standard error."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("gym: ")
    return lines[0].removeprefix("gym: ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_echo_tasks(tmp_path / "tasks.jsonl", 3)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "zzz", *NOBODY], r"no environment named 'zzz'\. `gym list environments` lists them all \("),
        (["run", "reasonin", *NOBODY], r"no environment named 'reasonin'\. Did you mean 'reasoning'\?"),
        (["run", "echo_emv.py", *NOBODY], r"echo_emv\.py: there is no such file"),
        (["run", f"{ECHO}:Ecko", *NOBODY], r"echo_env\.py has no 'Ecko'\. Did you mean 'Echo'\?"),
        (["run", ECHO, "-o", "out.jsonl", *RANDOM], r"echo has no split 'train'; .*give an input file"),
        ([*RUN, "level=3", *NOBODY], r"environment echo has no setting 'level' \(settings: none\)"),
        ([*RUN, "level", *NOBODY], r"'level': expected KEY=VALUE, a setting of the environment"),
        (
            [*RUN, "--num-repeats", "9" * 20, *RANDOM],
            r"task 1: a task has at most 1,048,576 rollouts, got 99",
        ),
        ([*RUN, "--limit", r"C:\x\g<1>", *RANDOM], r"--limit': got '.*x.*' ?, it should be a valid integer"),
        ([*RUN, "--agent", "tool_lop", *NOBODY], r"no agent named 'tool_lop'\. Did you mean 'tool_loop'\?"),
        ([*RUN, "--model-type", "chatt", *NOBODY], r"no model type 'chatt'\. Did you mean 'chat'\?"),
        (
            [*RUN, "--model-type", "chat"],
            r"model type 'chat' needs a URL and a name \(--model-url, --model\)",
        ),
        ([*RUN, "--model-type", "replay"], r"'replay' needs the file of a recording \(--model\)"),
        ([*RUN, "--model-type", "hf"], r"'hf' needs a folder of weights or a \.gguf file \(--model\)"),
        (
            [*RUN, "--model-url", "localhost:8000", "-m", "m"],
            r"model URL 'localhost:8000': expected .*http://",
        ),
        ([*RUN, "--temp", "1", *NOBODY], r"No such option: --temp\. Did you mean '--temperature'\?"),
        (
            [*RUN, "--agent-setting", "max_steps=abc", *NOBODY],
            r"agent 'tool_loop': max_steps: Expected `int`, got 'abc'",
        ),
        (
            [*RUN, "--agent-setting", "max_step=3", *NOBODY],
            r"takes no max_step .* mean 'max_steps'\?",
        ),
        (["run", "reasoning", "levl=3", *NOBODY], r"has no setting 'levl' .*\. Did you mean 'level'\?"),
        (
            ["run", ECHO, "-i", "tasks.jsonl", "--resume", *NOBODY],
            r"resuming goes on with a run: name its output .* \(--resume, --output\)",
        ),
        (
            ["eval", "reverify", "--rollouts", "no.jsonl", "-o", "x.jsonl"],
            r"--rollouts no\.jsonl: there is no such file",
        ),
        ([*RUN, "--model-type", "--limit", "1"], r"Option '--model-type' requires an argument"),
        (["env", "start", "--model-type", "--model"], r"Option '--model-type' requires an argument"),
        (["eval", "profile", "--rollouts", "no.jsonl"], r"--rollouts no\.jsonl: there is no such file"),
        ([*RUN[:-1], "out.json", *NOBODY], r"output out\.json: expected a name ending in \.jsonl"),
        (
            [*RUN, "--sandbox-provider", "dockr", *NOBODY],
            r"Unknown sandbox provider 'dockr'\. Available providers: apptainer, docker, local",
        ),
        (
            ["run", "reasoning", "+sandbox_provider=dockr", "-o", "out.jsonl", *NOBODY],
            r"Unknown sandbox provider 'dockr'\. Available providers: apptainer, docker, local",
        ),
        (
            ["run", ECHO, "-i", "no.jsonl", "-o", "out.jsonl", *NOBODY],
            r"no\.jsonl: can't be read \(No such file",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_one_line_and_code_2(folder: Path, gym: Gym, words: list[str], message: str) -> None:
    before = disk(folder)

    assert re.search(message, complaint(gym(*words, cwd=folder)))
    assert disk(folder) == before


def test_a_refused_connection_is_one_line_and_code_1(folder: Path, gym: Gym) -> None:
    before = disk(folder)

    line = complaint(gym(*RUN, *NOBODY, cwd=folder), code=1)

    assert "no model endpoint at http://127.0.0.1:9/v1: " in line
    assert "refused" in line
    assert disk(folder) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--limt", "3"], "No such option: --limt. Did you mean '--limit'? (gym run -h)"),
        (["run", "--limit", "0"], "limit: expected a whole number from 1, got 0 (--limit)"),
        (["run", "--num-repeats", "many"], "Invalid value for '--num-repeats': "),
        (["run", "--temperature", "nan"], "Invalid value for '--temperature': "),
        (["run", "--output"], "Option '--output' requires an argument"),
        (["runs", "show"], "Missing argument 'path'. (gym runs show -h)"),
        (["eval", "reverify", "--output", "o.jsonl"], "Missing option '--rollouts'. (gym eval reverify -h)"),
        (["eval", "rnu"], "No such command 'rnu'. Did you mean 'run'? (gym eval -h)"),
        (
            ["env", "list", "--json", "--jsn"],
            "No such option: --jsn. Did you mean '--json'? (gym env list -h)",
        ),
    ],
)
def test_a_wrong_flag_is_one_line_with_the_nearest(
    folder: Path, gym: Gym, words: list[str], message: str
) -> None:
    before = disk(folder)

    assert message in complaint(gym(*words, cwd=folder))
    assert disk(folder) == before


def test_a_group_without_a_command_prints_its_help(folder: Path, gym: Gym) -> None:
    result = gym("eval", cwd=folder)

    assert (result.returncode, result.stderr) == (2, "")
    assert "reverify" in result.stdout


def test_a_row_that_can_not_be_used_is_named_by_file_and_line(folder: Path, gym: Gym) -> None:
    good = (folder / "tasks.jsonl").read_text()
    for bad, message in [
        ('{"expected": \n', "tasks.jsonl:4: not valid JSON: "),
        ('{"responses_create_params": {"input": "hi"}}\n', "tasks.jsonl:4: missing column `expected`"),
    ]:
        (folder / "tasks.jsonl").write_text(good + bad + good)
        before = disk(folder)

        assert complaint(gym(*RUN, *RANDOM, cwd=folder)).startswith(message)
        assert disk(folder) == before


def test_an_input_without_tasks_is_refused(folder: Path, gym: Gym) -> None:
    (folder / "tasks.jsonl").write_text("\n")
    before = disk(folder)

    line = complaint(gym(*RUN, *RANDOM, cwd=folder))

    assert "there are no tasks to run" in line
    assert disk(folder) == before


def test_a_reader_that_leaves_ends_the_summary_and_not_the_run(folder: Path) -> None:
    write_echo_tasks(folder / "tasks.jsonl", 2)
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "nemo_gym", *RUN, *RANDOM]
    done = subprocess.run(argv, cwd=folder, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (1, "")
    assert len((folder / "out.jsonl").read_text().splitlines()) == 2


def test_an_environment_without_tasks_names_its_split(folder: Path, gym: Gym) -> None:
    source = "from nemo_gym import Environment\n\nclass Empty(Environment):\n"
    methods = ("tasks(self, split, seed, n): return []", "verify(self, task, response, session): return 1.0")
    (folder / "empty.py").write_text(source + "".join(f"    def {one}\n" for one in methods))

    line = complaint(gym("run", "empty.py", *RANDOM, cwd=folder))

    assert line == "there are no tasks to run: the split 'train' of the environment is empty"


def test_an_occupied_output_is_left_alone(folder: Path, gym: Gym) -> None:
    (folder / "out.jsonl").write_text("precious\n")
    before = disk(folder)

    line = complaint(gym(*RUN, *NOBODY, cwd=folder))
    of_another_kind = complaint(gym(*RUN, *NOBODY, "--resume", cwd=folder))

    assert line == "out.jsonl exists already: resume the run, or choose another output (--resume, --output)"
    assert of_another_kind.startswith("can't resume: out_materialized_inputs.jsonl is missing")
    assert disk(folder) == before


def test_a_leftover_of_another_run_is_left_alone_too(folder: Path, gym: Gym) -> None:
    (folder / "out_failures.jsonl").write_text("precious\n")
    before = disk(folder)

    assert "out_failures.jsonl exists already" in complaint(gym(*RUN, *NOBODY, cwd=folder))
    assert disk(folder) == before


def test_resuming_a_different_run_says_what_is_different(folder: Path, gym: Gym) -> None:
    assert gym(*RUN, *RANDOM, "--temperature", 0.5, cwd=folder).returncode == 0
    before = disk(folder)

    hotter = complaint(gym(*RUN, *RANDOM, "--temperature", 0.75, "--resume", cwd=folder))
    write_echo_tasks(folder / "tasks.jsonl", 4)
    before |= {"tasks.jsonl": (folder / "tasks.jsonl").read_bytes()}
    other_tasks = complaint(gym(*RUN, *RANDOM, "--temperature", 0.5, "--resume", cwd=folder))

    assert hotter == (
        "can't resume out.jsonl: this is a different run: sampling.temperature was 0.5, is now 0.75"
    )
    assert "inputs.sha256 was" in other_tasks
    assert disk(folder) == before


def test_a_damaged_journal_is_named_by_line_and_left_alone(folder: Path, gym: Gym) -> None:
    assert gym(*RUN, *RANDOM, cwd=folder).returncode == 0
    out = folder / "out.jsonl"
    out.write_bytes(b"garbage\n" + out.read_bytes())
    before = disk(folder)

    line = complaint(gym(*RUN, *RANDOM, "--resume", cwd=folder))

    assert line.startswith("out.jsonl:1: not a row of a run")
    assert disk(folder) == before


def test_an_output_that_can_not_be_written_is_one_line(folder: Path, gym: Gym) -> None:
    words = (*RUN[:-1], "tasks.jsonl/out.jsonl", *RANDOM)
    before = disk(folder)

    assert "tasks.jsonl" in complaint(gym(*words, cwd=folder))
    assert disk(folder) == before


def test_a_flag_the_agent_does_not_know_is_one_line(folder: Path, gym: Gym) -> None:
    line = complaint(gym(*RUN, "--agent", "single_call", "--max-steps", 3, *NOBODY, cwd=folder))

    assert "max_steps" in line


def test_an_agent_that_does_not_fit_the_environment_is_refused(folder: Path, gym: Gym) -> None:
    words = (*RUN, "--agent", "step_loop", *RANDOM)

    assert "step_loop" in complaint(gym(*words, cwd=folder))


def test_metadata_that_can_not_hold_a_seed_is_named_by_line(folder: Path, gym: Gym) -> None:
    params = {"input": "hi", "metadata": {"extra_body": "no json"}}
    (folder / "tasks.jsonl").write_text(
        json.dumps({"responses_create_params": params, "expected": "x"}) + "\n"
    )

    line = complaint(gym(*RUN, "--seed", 1, *RANDOM, cwd=folder))

    assert "extra_body" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["run", "reasoning", "--limit", "abc"],
            "Invalid value for '--limit': got 'abc', it should be a valid integer",
        ),
        (
            ["run", "reasoning", "--limit=0"],
            "limit: expected a whole number from 1, got 0 (--limit)",
        ),
        (
            ["run", "reasoning", "--level", "2"],
            "No such option: --level. A setting is written without dashes: level=2",
        ),
        (["run", "reasoning", "--max-level"], "A setting is written without dashes: max_level=VALUE"),
        (["list", "environments", "--kind", "foo"], "'foo' is not one of 'environment', 'benchmark'"),
        (
            ["run", "reasoning", "--model-type", "openai"],
            "use type responses (or chat) at https://api.openai.com/v1 (--model-type)",
        ),
        (
            ["run", "--environment", "reasoning", "--model-type", "openai"],
            "use type responses (or chat) at https://api.openai.com/v1 (--model-type)",
        ),
        (["run", "reasoning", "--model-type", "claude"], "use type anthropic (--model-type)"),
        (
            ["run", "reasoning", "--model-type", "embedded", "--model-url", "http://h/v1"],
            "model type 'embedded' has no endpoint",
        ),
        (
            ["run", "reasoning", "--model-type", "random", "-m", "x"],
            "model type 'random' has no name: leave it out (--model)",
        ),
        (
            ["run", "reasoning", "-m", "x"],
            "model 'x' has no URL: give one, or the type of a hosted provider (--model-url, --model-type)",
        ),
    ],
)
def test_a_mistake_says_what_would_be_right(gym: Gym, tmp_path: Path, words: list[str], message: str) -> None:
    assert message in complaint(gym(*words, cwd=tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle: {type: oracle}", "modle: there is no such key. Did you mean 'model'?"),
        ("modle: oracle", "modle: there is no such key. Did you mean 'model'?"),
        ("agnet: tool_loop", "agnet: there is no such key. Did you mean 'agent'?"),
        ("limt: 3", "limt: there is no such key. Did you mean 'limit'?"),
        ("environment: [reasoning]", "environment: expected a name, or a mapping with a 'name'"),
        ("environment: 5", "environment: expected a name, or a mapping with a 'name'"),
        ("model: {tpye: oracle}", "model: expected a name, or a mapping with a 'type'"),
    ],
)
def test_a_misspelt_key_of_a_configuration_is_refused(
    gym: Gym, tmp_path: Path, text: str, message: str
) -> None:
    first = "" if text.startswith("environment") else "environment: reasoning\n"
    (tmp_path / "c.yaml").write_text(f"{first}{text}\n")
    assert message in complaint(gym("run", "--config", "c.yaml", cwd=tmp_path), 1)


def test_a_key_with_a_meaning_of_its_own_passes(gym: Gym, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("environment: reasoning\nmodels: {a: 1}\nmodell: x\nused: ${modell}\n")
    assert gym("env", "resolve", "--config", "c.yaml", cwd=tmp_path).returncode == 0


def test_each_command_has_one_name_and_the_old_ones_still_work(gym: Gym, tmp_path: Path) -> None:
    screen = gym("env", "--help", cwd=tmp_path).stdout + gym("eval", "--help", cwd=tmp_path).stdout
    assert " list " not in screen
    assert "│ run " not in screen
    assert gym("env", "list", cwd=tmp_path).returncode == 0
    assert gym("eval", "run", "--help", cwd=tmp_path).returncode == 0


def test_the_help_of_run_is_in_panels_and_fits_80_columns(
    gym: Gym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = gym("run", "--help", cwd=tmp_path).stdout
    for panel in (
        "Configuration",
        "Tasks and rollouts",
        "Model",
        "Sampling",
        "Agent",
        "Running servers",
        "How it runs",
    ):
        assert f"─ {panel} ─" in screen
    assert max(map(len, screen.splitlines())) <= 80
    assert "…" not in screen


def test_no_help_page_cuts_a_word_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    def paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            if not inner.hidden:
                yield from paths(inner, (*path, name))

    monkeypatch.setattr("typer.testing._get_command", lambda _: command_line())
    for path in paths(command_line()):
        screen = CliRunner().invoke(app, [*path, "--help"], env={"TERMINAL_WIDTH": "80"}).output
        assert "Usage:" in screen
        assert "…" not in screen, path
        assert max(map(len, screen.splitlines())) <= 80, path


def test_shell_completion_can_be_installed(gym: Gym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_GYM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "gym env che")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert gym(cwd=tmp_path).stdout.split() == ["check"]
    monkeypatch.delenv("_GYM_COMPLETE")
    assert "--install-completion" in gym("--help", cwd=tmp_path).stdout
