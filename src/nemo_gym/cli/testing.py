"""`gym env test` and `gym env publish`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from nemo_gym.cli.selection import Json, SearchDirs
from nemo_gym.cli.texts import echo, print_error, print_json
from nemo_gym.cli.words import read_asked
from nemo_gym.config.manifest import Kind
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.config.workloads import Workload
    from nemo_gym.workloads.server_tests import ServerTest


class TestSettings(msgspec.Struct):
    """Named as the keys of a configuration."""

    entrypoint: str = ""
    num_shards: int = 1
    shard_index: int = 0
    delete_venvs_after_each_test: bool = False
    should_validate_data: bool = False
    cache_dir: str = "cache"


def prove(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] [KEY=VALUE]...",
            help="An environment or a benchmark; ++num_shards=4, ++should_validate_data=true, ...",
        ),
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Which of two with that name.")] = None,
    resources_server: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run this server's tests. Repeatable.")
    ] = None,
    update_expected: Annotated[
        bool, typer.Option("--update-expected", help="Expect from now on what the verifier gives.")
    ] = False,
    search_dir: SearchDirs = None,
    json: Json = False,
) -> None:
    """Test a verifier on its known answers, or run the tests of resources servers: without a name, of all.

    Example: gym env test my_env

    Example: gym env test --resources-server weather ++should_validate_data=true
    """
    from nemo_gym.cli.listing import print_check
    from nemo_gym.config.overrides import is_override
    from nemo_gym.config.sources import search_roots
    from nemo_gym.config.workloads import find_workload, find_workloads
    from nemo_gym.environments.conformance.check import check_environment
    from nemo_gym.environments.discovery import find_environment
    from nemo_gym.runs.loop import run_async
    from nemo_gym.workloads.server_tests import server_folder, server_folders

    names = [word for word in words or [] if not is_override(word)]
    test_settings = read_asked(TestSettings, [word for word in words or [] if is_override(word)])
    roots = search_roots(search_dir or [])
    if len(names) > 1:
        raise UsageError(f"one name at a time, got {', '.join(names)}")
    folders = server_folders(roots)
    named = [*(resources_server or []), *([test_settings.entrypoint] if test_settings.entrypoint else [])]
    known = {workload.name for workload in find_workloads(roots)}
    if names and (kind or names[0] in known):
        sys.exit(_test_fixture(find_workload(names[0], kind, roots), search_dir or [], update_expected, json))
    if update_expected:
        raise UsageError("--update-expected goes with the name of an environment or a benchmark")
    if names and names[0] not in {folder.name for folder in folders}:
        environment = find_environment(names[0], roots=roots)
        report = run_async(check_environment(lambda: environment({})))
        print_check(names[0], report, as_json=json)
        sys.exit(0 if report.passed else 1)
    if not (folders or names or named):
        raise UsageError(f"there are no resources servers to test (looked in {', '.join(map(str, roots))})")
    if names or named:
        folders = [server_folder(name, roots) for name in (*names, *named)]
    else:
        folders = server_folders(roots, test_settings.num_shards, test_settings.shard_index)
    sys.exit(_test_servers(folders, test_settings, json))


def publish(
    name: Annotated[str, typer.Argument(help="An environment or a benchmark with a manifest.")],
    kind: Annotated[Kind | None, typer.Option(help="Which of two with that name.")] = None,
    search_dir: SearchDirs = None,
    json: Json = False,
) -> None:
    """Check that a workload may be shown to others: valid, its verifier tested, nothing left to do, listed.

    Example: gym env publish my_env
    """
    from nemo_gym.config.sources import search_roots
    from nemo_gym.config.workloads import find_workload
    from nemo_gym.runs.loop import run_async
    from nemo_gym.workloads.publication import conditions

    workload = find_workload(name, kind, search_roots(search_dir or []))
    problems = run_async(conditions(workload, search_dir or []))
    ready = all(condition.met for condition in problems)
    if json:
        print_json({"ready": ready, "name": workload.name, "kind": workload.kind, "conditions": problems})
    else:
        for condition in problems:
            echo(f"{'yes' if condition.met else 'NO ':<3}  {condition.name:<9} {condition.message}")
        echo(f"{workload.kind} {workload.name} {'can' if ready else 'can not yet'} be published")
    sys.exit(0 if ready else 1)


def _test_fixture(workload: Workload, search_dirs: list[Path], update: bool, json: bool) -> int:
    from nemo_gym.config.sources import search_roots
    from nemo_gym.runs.loop import run_async
    from nemo_gym.workloads.verifier_cases import run_fixture

    config = workload.resolve(search_dirs=search_dirs)
    results = run_async(run_fixture(workload, config, search_roots(search_dirs), update=update))
    passed = all(result.passed for result in results)
    if json:
        print_json({"passed": passed, "name": workload.name, "kind": workload.kind, "cases": results})
        return 0 if passed else 1
    for result in results:
        echo(f"pass  {result.name}" if result.passed else f"FAIL  {result}")
    echo(f"{sum(result.passed for result in results)} of {len(results)} known answers")
    return 0 if passed else 1


def _test_servers(folders: list[Path], asked: TestSettings, json: bool) -> int:
    from nemo_gym.datasets.examples import example_problems
    from nemo_gym.runs.loop import run_async
    from nemo_gym.serving.virtualenvs import virtualenvs_in
    from nemo_gym.workloads.server_tests import run_tests

    virtualenvs = virtualenvs_in(asked.cache_dir)
    results: list[ServerTest] = []
    for folder in folders:
        keep = not asked.delete_venvs_after_each_test
        result = run_async(run_tests(folder, virtualenvs, keep_virtualenv=keep))
        if asked.should_validate_data:
            result.data_problems = example_problems(folder)
            result.passed = result.passed and not result.data_problems
        results.append(result)
        if not json:
            _print_server_test(result)
    passed = all(result.passed for result in results)
    if json:
        print_json({"passed": passed, "servers": results})
    else:
        echo(f"{sum(result.passed for result in results)} of {len(results)} servers")
    return 0 if passed else 1


def _print_server_test(result: ServerTest) -> None:
    last = result.output.rpartition("\n")[2]
    echo(f"{'pass' if result.passed else 'FAIL'}  {result.name}  {last}")
    if result.exit_code != 0:
        print_error(result.output)
    for problem in result.data_problems:
        print_error(problem)
