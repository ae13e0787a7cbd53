"""The commands of the original package by their names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemo_gym.cli.legacy import OTHER, SAME
from nemo_gym.cli.main import command_line

PROGRAM = "import sys; sys.argv[0] = {!r}; from nemo_gym.cli.legacy import main; main()"


def called(name: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(f"/usr/bin/{name}"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, check=False)


def test_every_name_of_the_original_is_known_and_its_replacement_exists() -> None:
    assert len(SAME) + len(OTHER) == 26
    for path in SAME.values():
        group = command_line()
        for word in path:
            if not word.startswith("-"):
                group = group.commands[word]  # type: ignore[attr-defined]


@pytest.mark.parametrize("prefix", ["ng_", "nemo_gym_"])
def test_a_command_is_run_under_its_new_name_and_says_so(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("environment: mcqa\n")
    result = called(
        f"{prefix}dump_config", "+config_paths=[run.yaml]", "++default_host=localhost", cwd=tmp_path
    )
    assert result.stderr == f"gym: {prefix}dump_config is deprecated: it is now `gym env resolve`\n"
    assert (result.returncode, "default_host: localhost" in result.stdout) == (0, True)


def test_words_are_left_out_where_the_successor_takes_none() -> None:
    result = called("ng_version", "+json=true")
    assert (result.returncode, result.stdout.count("\n")) == (0, 1)


def test_the_commands_of_servers_take_an_entrypoint(tmp_path: Path) -> None:
    entrypoint = "+entrypoint=resources_servers/adding"
    assert called("ng_init_resources_server", entrypoint, cwd=tmp_path).returncode == 0
    assert (tmp_path / "resources_servers" / "adding" / "app.py").exists()
    assert (
        "1 of 1 servers" in called("ng_test", entrypoint, "+should_validate_data=true", cwd=tmp_path).stdout
    )
    assert '"msgspec"' in called("ng_pip_list", entrypoint, "+format=json", cwd=tmp_path).stdout


@pytest.mark.parametrize("command", sorted(OTHER))
def test_a_command_without_a_successor_says_what_to_do(command: str) -> None:
    result = called(f"ng_{command}", "+x=1")
    assert (result.returncode, OTHER[command] in result.stderr) == (2, True)


def test_a_name_that_never_was_is_met_with_the_nearest() -> None:
    assert "Did you mean 'status'?" in called("ng_statsu").stderr
