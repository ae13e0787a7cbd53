"""What lets sandboxes run less isolated: somebody's word on this command line, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from nemo_gym.sandbox.config import allow_unsafe, default_isolation, provider_setting
from nemo_gym.sandbox.errors import InvalidSandbox

VARIABLE = "NEMO_GYM_ALLOW_UNSAFE"
PROGRAM = "from nemo_gym.sandbox.config import default_isolation; print(default_isolation())"


def in_a_child(**more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_the_word_reaches_the_processes_that_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # so that it is put back
    assert default_isolation() == "required"
    allow_unsafe()
    assert default_isolation() == "auto"
    assert in_a_child() == "auto"


@pytest.mark.parametrize(
    "value", ["1", "true", "yes", "0", "-", "1-0", "999999999-1", "٣-1", "9" * 5000, "../1"]
)
def test_set_by_hand_the_variable_weakens_nothing_and_a_warning_names_it(
    value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert default_isolation() == "required"
    assert VARIABLE in caplog.text
    assert "`allow_unsafe`" in caplog.text


def test_the_word_of_a_process_that_has_ended_weakens_nothing() -> None:
    program = (
        "import os; from nemo_gym.sandbox.config import allow_unsafe; allow_unsafe(); "
        f"print(os.environ[{VARIABLE!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    mark = done.stdout.strip()
    assert mark
    assert in_a_child(**{VARIABLE: mark}) == "required"
    assert in_a_child(**{VARIABLE: f"{os.getpid()}-1"}) == "required"


BLOCKS = {
    "farm": {"default_metadata": {"team": "a"}, "remote": {"url": "http://a:1"}},
    "level": 3,
    "two": {"a": 1, "b": 2},
}


@pytest.mark.parametrize(
    ("setting", "provider"),
    [
        (None, None),
        ("", None),
        ("docker", "docker"),
        ("level", "level"),
        ("farm", {"remote": {"url": "http://a:1"}}),
        ({"docker": {"create": {"network": "none"}}}, {"docker": {"create": {"network": "none"}}}),
        ("remote=http://b:2/x?y=z", {"remote": {"url": "http://b:2/x?y=z"}}),
    ],
)
def test_a_setting_selects_a_provider(setting: Any, provider: Any) -> None:
    assert provider_setting(setting, BLOCKS) == provider


@pytest.mark.parametrize("setting", ["two", {"a": {}, "b": {}}])
def test_a_block_has_one_provider(setting: Any) -> None:
    with pytest.raises(InvalidSandbox, match="exactly one provider key"):
        provider_setting(setting, BLOCKS)
