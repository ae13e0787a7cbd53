"""The repair environment: its problems, its tools, and answers that only look right."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nemo_gym import Response, Session
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.repository_files import read_file, write_file
from nemo_gym.environments.repository_tests import CallResults, CallTest, run_call_tests
from nemo_gym.environments.tool import ToolError
from nemo_gym.library.coding.example_repair.environment import Repair
from nemo_gym.library.coding.example_repair.problems import PROBLEMS, Problem
from nemo_gym.sandbox import SandboxPool
from nemo_gym.sandbox.providers.local import Isolation, LocalProvider
from nemo_gym.support.processes import clean_environment, run_program
from nemo_gym.wire.errors import EnvironmentFault
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.task import task_to_row

BUGS = [(problem, bug) for problem in PROBLEMS for bug in range(len(problem.bugs))]


@asynccontextmanager
async def opened(seconds: float = 60.0) -> AsyncGenerator[tuple[LocalEnvironment, Session, Path], None]:
    environment = Repair({"test_timeout": seconds})
    task = next(iter(environment.tasks("train", 0, None)))
    link = LocalEnvironment(environment)
    async with link.session(task_to_row(task)) as session:
        yield link, session, Path(session.state["workdir"])
    await link.aclose()


async def reward(link: LocalEnvironment, session: Session) -> float:
    return (await link.verify(session, Response.of([assistant("Done.")]))).value


@pytest.mark.parametrize(("problem", "bug"), BUGS, ids=lambda value: getattr(value, "name", str(value)))
async def test_every_bug_breaks_a_test_that_is_seen_and_one_that_is_not(problem: Problem, bug: int) -> None:
    """Else the answers to the tests that are seen, written into the code, would be paid."""
    for tests in (problem.tests, problem.held_out):
        broken = await results_of({f"{problem.name}.py": problem.broken(bug)}, tests)
        assert broken.failed
        assert len(broken.failed) + len(broken.passed) == len(tests)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
async def test_the_solution_passes_all_tests(problem: Problem) -> None:
    results = await results_of({f"{problem.name}.py": problem.source}, (*problem.tests, *problem.held_out))
    assert results.all_pass


async def results_of(files: dict[str, str], tests: Sequence[CallTest]) -> CallResults:
    pool = SandboxPool()
    try:
        return await run_call_tests(pool, files, tests)
    finally:
        await pool.aclose()


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
    async with opened(1.0 if "while" in text else 20.0) as (link, session, folder):
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
    tests = [CallTest("ran", "open('/tmp/ran', 'w')", expected="None")]
    with pytest.raises(EnvironmentFault) as error:
        await run_call_tests(SandboxPool(provider, limit=2), {"x.py": ""}, tests)
    assert "sandboxes can't be isolated here: user namespaces are not permitted. " in str(error.value)
    assert "`allow_unsafe`" in str(error.value)


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
