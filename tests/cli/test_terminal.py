"""Nothing of unknown origin reaches the terminal as it is."""

from __future__ import annotations

import ast
import io
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import nemo_gym.cli
from nemo_gym.cli.console import Console
from nemo_gym.cli.output import safe_output
from nemo_gym.wire.masking import remember_secrets
from nemo_gym.wire.safe_text import is_harmful

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
    result = gym(*words, cwd=evil)
    assert not [character for character in result.stdout + result.stderr if is_harmful(character)]
    assert "\U0001f604" not in result.stdout + result.stderr


def test_what_workers_print_is_made_safe_too(gym: Gym, evil: Path) -> None:
    code = f'print("{ESCAPED}"); __import__("os").write(2, "{ESCAPED} in a worker".encode())'
    (evil / "loud.py").write_text(ENVIRONMENT.replace("raise ValueError", f"{code}; raise ValueError"))
    result = gym("run", "loud.py", "--model-type", "oracle", "--workers", 2, "-o", "out.jsonl", cwd=evil)
    assert "in a worker" in result.stderr
    assert not [character for character in result.stdout + result.stderr if is_harmful(character)]


def test_what_a_rollout_holds_is_shown_without_them(gym: Gym, evil: Path) -> None:
    gym("run", "evil", "--model-type", "oracle", "-o", "out.jsonl", cwd=evil)
    result = gym("runs", "show", "out.jsonl", "--task", "0", cwd=evil)
    assert "[red]u[/red]" in result.stdout
    assert not [character for character in result.stdout if is_harmful(character)]


def test_resolved_yaml_still_means_the_same(gym: Gym, evil: Path) -> None:
    yaml = pytest.importorskip("yaml")
    result = gym("env", "resolve", "--config", "config.yaml", cwd=evil)
    assert yaml.safe_load(result.stdout)["note"] == EVIL


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
    screen = b""
    while True:
        try:
            screen += os.read(ours, 65536)
        except OSError:
            break
    process.wait()
    os.close(ours)
    text = screen.decode()
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


def test_a_secret_that_fills_two_lines_is_masked_before_it_is_broken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret = "abcdefghij" * 6
    remember_secrets([secret])
    table = Table("name", title=f"title {secret}", caption=secret)
    table.add_row(f"cell {secret}")
    table.add_row(Text(f"text {secret}", style="bold"))
    console = Console(width=40)
    console.print(table)
    console.print(f"plain {secret}")
    console.print(Text.assemble(("bold", "bold"), f" {secret}"))
    out = capsys.readouterr().out
    assert "abcdef" not in out
    assert out.count("****") == 6


def test_the_password_of_a_url_is_not_in_an_error(gym: Gym, tmp_path: Path) -> None:
    result = gym(
        "run", "reasoning", "-i", "http://me:pass@h/rows.jsonl", "--model-type", "oracle", cwd=tmp_path
    )
    assert result.returncode == 2
    assert "http:/****@h/rows.jsonl" in result.stderr


def test_a_key_that_an_endpoint_repeats_is_in_no_output(
    gym: Gym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = 'sk-"quoted"-12345'

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"] or 0))
            body = json.dumps({"error": {"message": f"wrong key {self.headers['authorization']}"}}).encode()
            self.send_response(401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None: ...

    monkeypatch.setenv("NEMO_GYM_MODEL_API_KEY", key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever).start()
        model = (
            "--model-type",
            "chat",
            "--model",
            "m",
            "--model-url",
            f"http://127.0.0.1:{server.server_port}/v1",
        )
        try:
            for workers in (1, 2):
                words = (
                    "run",
                    "reasoning",
                    *model,
                    "--limit",
                    2,
                    "--workers",
                    workers,
                    "-o",
                    f"o{workers}.jsonl",
                )
                result = gym(*words, cwd=tmp_path)
                assert "wrong key Bearer ****" in result.stderr
                assert "quoted" not in result.stdout + result.stderr
        finally:
            server.shutdown()
    files = list(tmp_path.rglob("*.json*"))
    assert any("wrong key Bearer ****" in path.read_text() for path in files)
    assert not [path for path in files if "quoted" in path.read_text()]


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
    for result in outputs:
        assert "kept-by-nobody" not in result.stdout + result.stderr
    for path in tmp_path.rglob("*.json*"):
        assert "kept-by-nobody" not in path.read_text()
