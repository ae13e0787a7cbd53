"""A mistake in an environment's class is one line that says where and what would be right."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import nemo_gym
from nemo_gym import Environment, StepEnvironment
from nemo_gym.environments.build import build_environment, check_hooks
from nemo_gym.environments.discovery import find_environment
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.task import Row

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

TOP = """from nemo_gym import {base}, ask

class Mine({base}):
    def tasks(self, split, seed, n):
        return [{{"responses_create_params": ask("hi")}}]

"""
VERIFY = "    def verify(self, task, response, session):\n        return 1.0\n"


def written(folder: Path, code: str, base: str = "Environment") -> Path:
    path = folder / "mine.py"
    path.write_text(TOP.format(base=base) + code)
    return path


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (
            "self): pass",
            r"mine\.py: TypeError: .*takes 1 positional argument .*def __init__\(self, config=None\)",
        ),
        ("self, config=None): 1 / 0", r"mine\.py:7: ZeroDivisionError: division by zero$"),
        ("self, config=None): raise SystemExit", r"mine\.py:7: it exits$"),
        ("self, config=None): pass", r"mine\.py: its __init__ must call super\(\)\.__init__\(config\)$"),
    ],
)
def test_an_init_that_can_not_be_called_or_raises_is_named(tmp_path: Path, init: str, message: str) -> None:
    path = written(tmp_path, f"    def __init__({init}\n\n{VERIFY}")
    with pytest.raises(UsageError, match=rf"^environment mine: .*{message}"):
        build_environment(find_environment(str(path)))


@pytest.mark.parametrize(
    ("base", "code", "message"),
    [
        ("Environment", "", r"mine\.py: class Mine has no verify\(self, task, response, session\)$"),
        ("Environment", VERIFY.replace("verify", "verfy"), r"no verify\(.*\)\. It has verfy\(\): rename it$"),
        (
            "Environment",
            VERIFY.replace(", session", ""),
            r"mine\.py:7: verify\(\) is called as verify\(task, ",
        ),
        ("Environment", "    verify = 3\n", r"environment mine: verify is 3, not a method$"),
        (
            "Environment",
            VERIFY + "    def seed(self): pass\n",
            r"mine\.py:9: seed\(\) is called as seed\(task",
        ),
        ("Environment", VERIFY + "    def oracle(self, task): pass\n", r"oracle\(task, session\): too many"),
        ("StepEnvironment", "", r"class Mine has no reset\(self, task, session\)$"),
        (
            "StepEnvironment",
            "    def reset(self, task, session): pass\n",
            r"has no step\(self, action, session\)",
        ),
    ],
)
def test_a_missing_or_wrong_method_is_named_before_a_model_is_asked(
    tmp_path: Path, base: str, code: str, message: str
) -> None:
    environment = build_environment(find_environment(str(written(tmp_path, code, base))))
    with pytest.raises(UsageError, match=message):
        check_hooks(environment)


def test_methods_with_more_or_other_names_can_be_called() -> None:
    class Mine(Environment):
        def verify(self, *words: object, strict: bool = False) -> float:  # pyright: ignore
            return 1.0

        async def seed(self, task: object, session: object, more: int = 0) -> None: ...

    class Game(StepEnvironment):
        reset = step = lambda self, *_: None  # pyright: ignore

    check_hooks(Mine())
    check_hooks(Game())


async def test_from_python_it_is_refused_before_a_model_is_asked() -> None:
    class Mine(Environment):
        def tasks(self, split: str, seed: int, n: int | None) -> list[Row]:
            raise AssertionError("the tasks are looked at")

    with pytest.raises(UsageError, match="class Mine has no verify"):
        [_ async for _ in nemo_gym.collect(Mine, "random")]


def test_the_command_says_it_in_one_line_and_writes_nothing(tmp_path: Path, gym: Gym) -> None:
    written(tmp_path, "")
    done = gym("run", "mine.py", "--model-type", "random", "-o", "out.jsonl", cwd=tmp_path)
    said = f"gym: {tmp_path / 'mine.py'}: class Mine has no verify(self, task, response, session)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert [path.name for path in tmp_path.glob("out*")] == []


def test_a_file_that_is_no_python_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# nemo_gym")
    with pytest.raises(UsageError, match=r"README\.md: expected a Python file"):
        find_environment(str(tmp_path / "README.md"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "    class Config:\n        a = 1\n",
            r"mine\.py: Mine\.Config is no Config .*`class Config\(Config\):`",
        ),
        ("    class Task:\n        a = 1\n", r"mine\.py: Mine\.Task is no Task .*from nemo_gym\.wire\.task$"),
    ],
)
def test_a_nested_class_of_another_kind_is_named(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_environment(find_environment(str(written(tmp_path, code + VERIFY))))


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("self, x: 'Nope'", r"mine\.py:9: tool look: name 'Nope' is not defined$"),
        ("self, x: object()", r"mine\.py:9: tool look: parameter 'x': Type .* is not supported$"),
        ("", r"mine\.py:9: tool look: invalid method signature$"),
        ("self, *x: int", r"mine\.py:9: tool look: parameter 'x' must be an ordinary named parameter$"),
    ],
)
def test_a_tool_that_can_not_be_offered_is_one_line(
    tmp_path: Path, gym: Gym, signature: str, message: str
) -> None:
    path = written(tmp_path, f"{VERIFY}    @tool\n    def look({signature}) -> str:\n        return ''\n")
    path.write_text(path.read_text().replace("import Environment, ask", "import Environment, ask, tool"))
    done = gym("run", "mine.py", "--model-type", "random", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert re.search(message, done.stderr.strip())


def test_asks_is_a_tuple_of_names_that_are_no_settings() -> None:
    class Text(Environment):
        asks = "judge"  # type: ignore[assignment]

    class Twin(Environment):
        asks = ("judge",)

        class Config(Environment.Config):
            judge: str = ""

    with pytest.raises(UsageError, match=r"write asks = \('judge',\), a tuple of names"):
        build_environment(Text)
    with pytest.raises(UsageError, match="'judge' is a setting and a model that Twin asks: rename one"):
        build_environment(Twin)
