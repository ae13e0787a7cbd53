"""A mistake in `tasks()` is one line, like every other mistake."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.task_source import TasksError, own_tasks

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

ENVIRONMENT = """from nemo_gym import Environment, Task, ask

class Wrong(Environment):
    def verify(self, task, response, session):
        return 1.0

    def oracle(self, task, session):
        return "x"

    {definition}
"""
TASKS = "def tasks(self, split, seed, n): "
MISTAKES = {
    "nothing": (
        TASKS + "pass",
        r"it returns nothing \(None\); return a list of tasks",
    ),
    "number": (TASKS + "return 5", r"it returns int 5; return a list of tasks"),
    "text": (
        TASKS + "return 'abc'",
        r"it returns str 'abc'; return a list of tasks",
    ),
    "one row": (TASKS + "return {'a': 1}", r"it returns one task; return a list"),
    "one task": (
        TASKS + "return self.Task()",
        r"it returns one task; return a list",
    ),
    "texts": (
        TASKS + "return ['a']",
        r"task 1: expected a Task or a mapping, got 'a'",
    ),
    "no rows": (TASKS + "return [None]", r"task 1: expected a Task .* got None"),
    "tuples": (
        TASKS + "return [(1, 2)]",
        r"task 1: expected a Task .* got \(1, 2\)",
    ),
    "class": (TASKS + "return [Task]", r"task 1: can't be written as JSON"),
    "object": (
        TASKS + "return [{'a': object()}]",
        r"task 1: can't be written as JSON",
    ),
    "keys": (TASKS + "return [{(1, 2): 3}]", r"task 1: can't be written as JSON"),
    "raises": (
        TASKS + "raise ValueError('a\\nb')",
        r"wrong\.py:10: ValueError: a b$",
    ),
    "raises within": (
        "def tasks(self, split, seed, n): return [self.Task(answer=1)]",
        r"wrong\.py:\d+: TypeError: Unexpected keyword argument 'answer'$",
    ),
    "raises later": (
        TASKS + "yield {'responses_create_params': ask('x')}; 1 / 0",
        r"wrong\.py:10: ZeroDivisionError: division by zero$",
    ),
    "leaves": (TASKS + "raise SystemExit(3)", r"wrong\.py:10: it exits$"),
    "async": (
        "async def tasks(self, split, seed, n): return []",
        r"it is async; write it as a plain function",
    ),
    "async generator": (
        "async def tasks(self, split, seed, n): yield 1",
        r"it is async; write it as a plain",
    ),
    "parameters": (
        "def tasks(self): return []",
        r"TypeError: .*\(it is called as tasks\(split, seed, n\)\)$",
    ),
    "no function": ("tasks = [1]", r"TypeError: .*\(it is called as tasks\(split, seed, n\)\)$"),
}


@pytest.mark.parametrize(("definition", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_tasks_says_where_and_what(tmp_path: Path, definition: str, message: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(ENVIRONMENT.format(definition=definition))
    with pytest.raises(TasksError, match=rf"^tasks\(\) of wrong: .*{message}"):
        list(own_tasks(find_environment(str(path))(), "train", 0, 5))


WORDS = {
    "run": ("run", "wrong.py", "--model-type", "oracle", "-o", "out.jsonl"),
    "dry run": ("run", "wrong.py", "--model-type", "oracle", "--dry-run"),
    "show": ("env", "show", "wrong.py"),
    "check": ("env", "check", "wrong.py"),
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("mistake", ["number", "tuples", "raises", "async"])
def test_no_command_shows_a_traceback_of_it(
    gym: Gym, tmp_path: Path, mistake: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "wrong.py").write_text(ENVIRONMENT.format(definition=MISTAKES[mistake][0]))
    done = gym(*words, cwd=tmp_path)
    assert "tasks()" in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "row", ["{'a': 1}", "{'responses_create_params': None}", "{'responses_create_params': {'input': 5}}"]
)
def test_a_task_without_a_request_is_one_line_too(gym: Gym, tmp_path: Path, row: str) -> None:
    definition = f"{TASKS}return [{row}]"
    (tmp_path / "wrong.py").write_text(ENVIRONMENT.format(definition=definition))
    assert "task 1 of wrong: responses_create_params" in gym(*WORDS["run"], cwd=tmp_path).stderr
    done = gym(*WORDS["show"], cwd=tmp_path)
    assert "task 1 of wrong: responses_create_params" in done.stdout
    assert done.stderr == ""
