"""The repair environment: its problems, its tools, and answers that only look right."""

from __future__ import annotations

import json
import os
import sys
import unittest
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest

from nemo_gym import Response, Session
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.tool import ToolError
from nemo_gym.library.coding.example_repair.environment import Repair
from nemo_gym.library.coding.example_repair.problems import PROBLEMS, Problem
from nemo_gym.library.coding.example_repair.repository import (
    read_file,
    run_tests,
    sandboxes,
    write_file,
)
from nemo_gym.sandbox import SandboxPool
from nemo_gym.sandbox.providers.local import Isolation, LocalProvider
from nemo_gym.support.processes import clean_environment, run_program
from nemo_gym.wire.errors import EnvironmentFault
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.task import task_to_row

SANDBOXES = sandboxes()
BUGS = [(problem, bug) for problem in PROBLEMS for bug in range(len(problem.bugs))]


@asynccontextmanager
async def opened(seconds: float = 60.0) -> AsyncGenerator[tuple[LocalEnvironment, Session, Path], None]:
    environment = Repair({"test_timeout": seconds})
    task = next(iter(environment.tasks("train", 0, None)))
    link = LocalEnvironment(environment)
    async with link.session(task_to_row(task)) as session:
        yield link, session, Path(session.state["workdir"])


async def reward(link: LocalEnvironment, session: Session) -> float:
    return (await link.verify(session, Response.of([assistant("Done.")]))).value


@pytest.mark.parametrize(("problem", "bug"), BUGS, ids=lambda value: getattr(value, "name", str(value)))
async def test_every_bug_breaks_the_tests_and_the_solution_mends_them(
    problem: Problem, bug: int, tmp_path: Path
) -> None:
    tests = {f"test_{problem.name}.py": problem.tests}
    write_file(tmp_path, f"{problem.name}.py", problem.broken(bug))
    broken = await run_tests(SANDBOXES, tmp_path, tests, seconds=60)
    assert broken.count is not None
    assert not broken.passed
    write_file(tmp_path, f"{problem.name}.py", problem.source)
    assert (await run_tests(SANDBOXES, tmp_path, tests, seconds=60)).passed


@pytest.mark.parametrize(("problem", "bug"), BUGS, ids=lambda value: getattr(value, "name", str(value)))
def test_every_bug_breaks_the_held_out_tests_too(
    problem: Problem, bug: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the answers to the tests that are seen, written into the code, would be paid."""
    for source, passes in ((problem.broken(bug), False), (problem.source, True)):
        monkeypatch.setitem(sys.modules, problem.name, _module(problem.name, source))
        tests = unittest.defaultTestLoader.loadTestsFromModule(_module("held_out", problem.held_out))
        assert tests.run(unittest.TestResult()).wasSuccessful() is passes


def _module(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    exec(source, module.__dict__)
    return module


def test_splits_share_no_task_and_depend_on_the_seed_only_in_order() -> None:
    environment = Repair()
    train = [task.task_id for task in environment.tasks("train", 1, None)]
    again = [task.task_id for task in environment.tasks("train", 2, None)]
    held_out = [task.task_id for task in environment.tasks("validation", 1, None)]
    assert set(train) == set(again)
    assert train != again
    assert not set(train) & set(held_out)
    assert len(train) + len(held_out) == len(BUGS)


async def test_the_folder_is_a_git_repository_with_one_commit_and_gone_after_the_rollout() -> None:
    async with opened() as (_, _, folder):
        env = clean_environment(folder)
        log = await run_program(["git", "log", "--format=%an %s"], folder=folder, env=env, seconds=60)
        assert log.stdout == "gym As found\n"
        status = await run_program(["git", "status", "--short"], folder=folder, env=env, seconds=60)
        assert (status.exit_code, status.stdout) == (0, "")
    assert not folder.exists()


async def test_a_mended_file_scores_whoever_wrote_it() -> None:
    async with opened() as (link, session, folder):
        assert await reward(link, session) == 0.0
        for name, text in session.row["solution"].items():
            (folder / name).write_text(text)
        assert await reward(link, session) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos._exit(0)\n",
        "import sys\nprint('0 5 0')\nsys.exit(0)\n",
        "raise SystemExit\n",
        "while True: pass\n",
        "x = 'x' * (1 << 40)\n",
    ],
    ids=["exit", "forged report", "system exit", "endless", "greedy"],
)
async def test_code_that_keeps_the_tests_from_ending_scores_nothing(text: str) -> None:
    async with opened(2.0 if "while" in text else 20.0) as (link, session, folder):
        for name in session.row["solution"]:
            (folder / name).write_text(text)
        assert await reward(link, session) == 0.0


async def test_links_and_large_files_in_the_repository_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    async with opened() as (link, session, folder):
        os.symlink(secret, folder / "link.txt")
        os.symlink(tmp_path, folder / "outside")
        (folder / "large.txt").write_bytes(b"x" * (1 << 20))
        for path in (
            "link.txt",
            "outside/secret.txt",
            "large.txt",
            "../x",
            "/etc/passwd",
            ".git/config",
            ".",
        ):
            call = function_call("read_file", json.dumps({"path": path}), call_id="c")
            assert "error" in json.loads(await link.call(session, call))
        call = function_call("write_file", json.dumps({"path": "outside/x", "text": ""}), call_id="c")
        assert "error" in json.loads(await link.call(session, call))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.txt"]


async def test_where_no_namespace_is_permitted_nothing_is_run(tmp_path: Path) -> None:
    provider = LocalProvider()
    provider._isolation = Isolation(False, "user namespaces are not permitted")
    (tmp_path / "x.py").write_text("open('/tmp/ran', 'w')")
    with pytest.raises(EnvironmentFault) as told:
        await run_tests(SandboxPool(provider, limit=2), tmp_path, {"test_x.py": "import x"}, seconds=5)
    assert str(told.value).startswith(
        "the tests can't be run: sandboxes can't be isolated here: user namespaces are not permitted. "
    )
    assert "`allow_unsafe`" in str(told.value)


async def test_a_name_that_no_file_can_have_is_refused_as_such() -> None:
    async with opened() as (link, session, folder):
        for name in ("a" * 300, "a" * 256 + "/b", "b/" + "é" * 200):
            for words in ({"path": name}, {"path": name, "text": "x"}):
                called = function_call(
                    "write_file" if "text" in words else "read_file", json.dumps(words), call_id="c"
                )
                assert str(folder) not in str(await link.call(session, called))
                with pytest.raises(ToolError):
                    read_file(folder, name)
                with pytest.raises(ToolError):
                    write_file(folder, name, "x")
