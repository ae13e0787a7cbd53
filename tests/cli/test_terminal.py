"""Nothing of unknown origin reaches the terminal as it is."""

from __future__ import annotations

import ast
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.table import Table

import nemo_gym.cli
from nemo_gym.cli.console import Console
from nemo_gym.cli.terminal import safe_output
from nemo_gym.wire.masking import remember_secrets
from nemo_gym.wire.printable import is_harmful

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

EVIL = "\x1b[2Jx\x1b]52;c;ZWNobw==\x07y\x9b31mz\u202ew\x1b]8;;http://evil\x1b\\v\x1b]8;;\x1b\\[red]u[/red][link=http://evil]t[/link]:smile:"
ESCAPED = ascii(EVIL)[1:-1]
ENVIRONMENT = f'''
from nemo_gym import Environment, Response, Session, Task, ask, tool

class Evil(Environment):
    """Says {ESCAPED} to all."""

    domain = "{ESCAPED}"

    def tasks(self, split, seed, n):
        yield {{"responses_create_params": ask("{ESCAPED}")}}

    @tool
    def act(self, a: int) -> str:
        """Does {ESCAPED} again."""
        return "{ESCAPED}"

    def oracle(self, task, session):
        return "{ESCAPED}"

    def verify(self, task, response, session):
        raise ValueError("{ESCAPED}")
'''


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    (tmp_path / "evil.py").write_text(ENVIRONMENT)
    (tmp_path / "config.yaml").write_text(
        json.dumps({EVIL: {"responses_api_agents": {EVIL: {"entrypoint": EVIL}}}, "note": EVIL}), "utf-8"
    )
    folder = tmp_path / "environments" / "other"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text(json.dumps({"name": EVIL, EVIL: EVIL, "domain": EVIL}), "utf-8")
    return tmp_path


COMMANDS = {
    "list": ("env", "list"),
    "list as JSON": ("env", "list", "--json"),
    "list more": ("list", "environments"),
    "show": ("env", "show", "evil"),
    "show as JSON": ("env", "show", "evil", "--json"),
    "check": ("env", "check", "evil"),
    "run": ("run", "evil", "--model-type", "oracle", "-o", "out.jsonl"),
    "run as JSON": ("run", "evil", "--model-type", "oracle", "--json", "-o", "out.jsonl"),
    "dry run": ("run", "evil", "--model-type", "oracle", "--dry-run", "-m", EVIL),
    "resolve": ("env", "resolve", "--config", "config.yaml"),
    "resolve as JSON": ("env", "resolve", "--config", "config.yaml", "--json"),
    "validate": ("env", "validate", "--config", "config.yaml"),
    "manifest": ("env", "validate", "other"),
    "no such environment": ("run", EVIL),
    "no such command": (EVIL,),
    "no such option": ("run", f"--{EVIL}"),
    "search": ("search", EVIL),
    "agent": ("run", "evil", "--agent", EVIL, "--model-type", "oracle"),
    "model": ("run", "evil", "--model-type", EVIL),
    "input": ("run", "evil", "--model-type", "oracle", "-i", EVIL),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_no_command_lets_control_characters_through(gym: Gym, evil: Path, words: tuple[str, ...]) -> None:
    done = gym(*words, cwd=evil)
    assert not [character for character in done.stdout + done.stderr if is_harmful(character)]
    assert "\U0001f604" not in done.stdout + done.stderr


def test_what_workers_print_is_made_safe_too(gym: Gym, evil: Path) -> None:
    code = f'print("{ESCAPED}"); __import__("os").write(2, "{ESCAPED} in a worker".encode())'
    (evil / "loud.py").write_text(ENVIRONMENT.replace("raise ValueError", f"{code}; raise ValueError"))
    done = gym("run", "loud.py", "--model-type", "oracle", "--workers", 2, "-o", "out.jsonl", cwd=evil)
    assert "in a worker" in done.stderr
    assert not [character for character in done.stdout + done.stderr if is_harmful(character)]


def test_what_a_rollout_holds_is_shown_without_them(gym: Gym, evil: Path) -> None:
    gym("run", "evil", "--model-type", "oracle", "-o", "out.jsonl", cwd=evil)
    done = gym("runs", "show", "out.jsonl", "--task", "0", cwd=evil)
    assert "[red]u[/red]" in done.stdout
    assert not [character for character in done.stdout if is_harmful(character)]


def test_resolved_yaml_still_means_the_same(gym: Gym, evil: Path) -> None:
    yaml = pytest.importorskip("yaml")
    done = gym("env", "resolve", "--config", "config.yaml", cwd=evil)
    assert yaml.safe_load(done.stdout)["note"] == EVIL


def test_a_terminal_gets_the_styles_of_the_program_alone(evil: Path) -> None:
    ours, theirs = pty.openpty()
    code = "import sys; from nemo_gym.cli.main import main; sys.argv[0] = 'gym'; main()"
    command = [sys.executable, "-c", code, "run", "evil", "--model-type", "oracle", "-o", "out.jsonl"]
    process = subprocess.Popen(
        command,
        cwd=evil,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:
            break
    process.wait()
    os.close(ours)
    text = shown.decode()
    assert "nothing was scored" in text
    for sequence in ("\x1b[2J", "\x1b]", "\x9b", "\u202e"):
        assert sequence not in text


def test_a_console_shows_text_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=EVIL, show_header=False)
    table.add_row(EVIL)
    console = Console(width=300)
    console.print(table)
    console.print(EVIL)
    out = capsys.readouterr().out
    assert out.count("[red]u[/red]") == 3
    assert not [character for character in out if is_harmful(character)]


def test_remembered_secrets_are_masked_in_every_kind_of_output(capsys: pytest.CaptureFixture[str]) -> None:
    remember_secrets(["hunter2hunter2"])
    with safe_output():
        sys.stderr.write("a hunter2hunter2 b\n")
        print("a hunter2hunter2 b")
        Console(width=80).print("a hunter2hunter2 b")
    out, err = capsys.readouterr()
    assert out == "a **** b\n" * 2
    assert err == "a **** b\n"


def test_output_is_as_before_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with safe_output():
        assert isinstance(sys.stdout, io.TextIOBase)
    assert (sys.stdout, sys.stderr) == before


def test_every_console_of_the_commands_is_the_safe_one() -> None:
    folder = Path(nemo_gym.cli.__file__).parent
    imports = {
        path.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "rich.console"
    }
    assert imports == {"console.py"}


def test_what_an_environment_variable_held_is_in_no_output(
    gym: Gym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_WORD", "kept-by-nobody")
    (tmp_path / "config.yaml").write_text(
        "environment: {name: reasoning, level: 1}\n"
        "agent: {name: tool_loop, max_steps: 2}\n"
        "model: {type: oracle}\n"
        "policy_model_name: ${oc.env:SOME_WORD}\n"
        "limit: 1\n"
    )
    run = ("run", "--config", "config.yaml", "-o")
    outputs = [
        gym("env", "resolve", "--config", "config.yaml", cwd=tmp_path),
        gym("env", "resolve", "--config", "config.yaml", "--json", cwd=tmp_path),
        gym(*run, "o.jsonl", "split=${oc.env:SOME_WORD}", cwd=tmp_path),
        gym(*run, "o.jsonl", "++model.name=${policy_model_name}", cwd=tmp_path),
        gym(*run, "o2.jsonl", "++prompt_config=${policy_model_name}", cwd=tmp_path),
    ]
    assert "****" in outputs[0].stdout
    for done in outputs:
        assert "kept-by-nobody" not in done.stdout + done.stderr
    for path in tmp_path.rglob("*.json*"):
        assert "kept-by-nobody" not in path.read_text()
