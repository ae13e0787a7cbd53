"""Fixtures of the sandbox room."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest


class FakeCli:
    """A container program that is none, and what it was asked."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def answer(self, verb: str, code: int, *, stdout: str = "", stderr: str = "") -> None:
        """Let a verb end like this from now on."""
        (self.state / f"{verb}.json").write_text(
            json.dumps({"code": code, "stdout": stdout, "stderr": stderr})
        )

    def calls(self, verb: str) -> list[dict[str, Any]]:
        """How a verb was called."""
        lines = (self.state / "calls.jsonl").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call["words"][0] == verb]


@pytest.fixture
def fake_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCli:
    """`docker` and `apptainer` on PATH."""
    state, programs = tmp_path / "state", tmp_path / "bin"
    state.mkdir()
    programs.mkdir()
    for name in ("docker", "apptainer"):
        program = programs / name
        program.write_text(f"#!{sys.executable}\n{(Path(__file__).parent / 'fake_cli.py').read_text()}")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CLI_STATE", str(state))
    return FakeCli(state)
