"""`gym env test`, `gym env golden`, `gym env publish` and `gym dev test`: tests, and what needs them."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from nemo_gym.cli.output import echo, print_error, print_json
from nemo_gym.cli.selection import ConfigSelection, Json, SearchDirs
from nemo_gym.cli.words import read_options
from nemo_gym.config.manifest import Kind
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.config.workloads import Workload
    from nemo_gym.environments.base import Environment
    from nemo_gym.workloads.server_tests import ServerTest


class TestOptions(msgspec.Struct):
    """Named as the keys of a configuration."""

    entrypoint: str = ""
    num_shards: int = 1
    shard_index: int = 0
    delete_venvs_after_each_test: bool = False
    should_validate_data: bool = False
    cache_dir: str = "cache"


def check_verifier(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] [KEY=VALUE]...",
            help="An environment or a benchmark; ++num_shards=4, ++should_validate_data=true, ...",
        ),
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="The kind, if two have that name.")] = None,
    resources_server: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run this server's tests. Repeatable.")
    ] = None,
    update_expected: Annotated[
        bool,
        typer.Option("--update-expected", help="Make the verifier's rewards of today the expected ones."),
    ] = False,
    search_dir: SearchDirs = None,
    json: Json = False,
) -> None:
    """Test a verifier on its known answers, or run the tests of one resources server, or of all.

    Example: gym env test my_env

    Example: gym env test --resources-server weather ++should_validate_data=true
    """
    from nemo_gym.cli.environments import print_check
    from nemo_gym.config.workloads import find_workload, find_workloads
    from nemo_gym.environments.conformance.check import check_environment
    from nemo_gym.environments.discovery import find_environment
    from nemo_gym.runs.loop import run_async
    from nemo_gym.workloads.server_tests import server_folder, server_folders

    selection = ConfigSelection(words=words, search_dir=search_dir)
    names, roots = selection.names, selection.roots()
    test_options = read_options(TestOptions, selection.changes)
    if len(names) > 1:
        raise UsageError(f"one name at a time, got {', '.join(names)}")
    folders = server_folders(roots)
    servers = [*(resources_server or []), *([test_options.entrypoint] if test_options.entrypoint else [])]
    workloads = {workload.name for workload in find_workloads(roots)}
    if names and (kind or names[0] in workloads):
        sys.exit(_test_fixture(find_workload(names[0], kind, roots), search_dir or [], update_expected, json))
    if update_expected:
        raise UsageError("--update-expected goes with the name of an environment or a benchmark")
    if names and names[0] not in {folder.name for folder in folders}:
        environment = find_environment(names[0], roots=roots)
        report = run_async(check_environment(lambda: environment({})))
        print_check(names[0], report, as_json=json)
        sys.exit(0 if report.passed else 1)
    if not (folders or names or servers):
        raise UsageError(f"there are no resources servers to test (looked in {', '.join(map(str, roots))})")
    if names or servers:
        folders = [server_folder(name, roots) for name in (*names, *servers)]
    else:
        folders = server_folders(roots, test_options.num_shards, test_options.shard_index)
    sys.exit(_test_servers(folders, test_options, json))


def publish(
    name: Annotated[str, typer.Argument(help="An environment or a benchmark with a manifest.")],
    kind: Annotated[Kind | None, typer.Option(help="The kind, if two have that name.")] = None,
    search_dir: SearchDirs = None,
    json: Json = False,
) -> None:
    """Check that a workload can be published: it is valid, tested and listed, and nothing is left to do.

    Example: gym env publish my_env
    """
    from nemo_gym.config.sources import search_roots
    from nemo_gym.config.workloads import find_workload
    from nemo_gym.runs.loop import run_async
    from nemo_gym.workloads.publication import conditions

    workload = find_workload(name, kind, search_roots(search_dir or []))
    verdicts = run_async(conditions(workload, search_dir or []))
    ready = all(condition.met for condition in verdicts)
    if json:
        print_json({"ready": ready, "name": workload.name, "kind": workload.kind, "conditions": verdicts})
    else:
        for condition in verdicts:
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


def _test_servers(folders: list[Path], options: TestOptions, json: bool) -> int:
    from nemo_gym.datasets.examples import example_problems
    from nemo_gym.runs.loop import run_async
    from nemo_gym.serving.virtualenvs import virtualenvs_in
    from nemo_gym.workloads.server_tests import run_tests

    virtualenvs = virtualenvs_in(options.cache_dir)
    results: list[ServerTest] = []
    for folder in folders:
        keep = not options.delete_venvs_after_each_test
        result = run_async(run_tests(folder, virtualenvs, keep_virtualenv=keep))
        if options.should_validate_data:
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


def golden(
    name: Annotated[str, typer.Argument(help="The environment: a name, `path.py` or `path.py:Class`.")],
    run: Annotated[Path, typer.Option("--run", metavar="PATH", help="The rollouts file of a run.")],
    task: Annotated[int, typer.Option(min=0, metavar="N", help="The task of the rollout.")] = 0,
    repeat: Annotated[int, typer.Option(min=0, metavar="N", help="The repeat of the task.")] = 0,
    case: Annotated[str, typer.Option(help="The name of the case. Default: made from the rollout.")] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Default: golden.jsonl beside the environment."),
    ] = None,
) -> None:
    """Add a rollout to the golden cases: from now on its output must earn its reward in `gym env check`.

    Look at the rollout first: a golden case says that its reward is right.

    Example: gym env golden my_env --run results/my_env.jsonl --task 3 --case "rounds up"
    """
    from nemo_gym.environments.base import StepEnvironment
    from nemo_gym.environments.discovery import find_environment
    from nemo_gym.environments.golden_case import append_case, case_of
    from nemo_gym.runs.store import RunStore
    from nemo_gym.support.modules import PACKAGE
    from nemo_gym.wire import keys
    from nemo_gym.wire.jsonl import decode

    kind = find_environment(name)
    path = output or kind.folder() / "golden.jsonl"
    if output is None and kind.folder().is_relative_to(PACKAGE):
        raise UsageError(f"{kind.name()} comes with this package: say where with --output PATH")
    store = RunStore(run)
    rollout = store.rollout(task, repeat)
    _check_environment(run, name, kind)
    if rollout.response is None or rollout.reward is None:
        raise UsageError(f"task {task}, repeat {repeat} of {run} was not scored: there is nothing to expect")
    golden_case = case_of(
        case or f"task {task}, repeat {repeat} of {run.stem}",
        row=store.planned_row(task, repeat) or rollout.row,
        output=rollout.response.output,
        reward=rollout.reward,
        reward_range=kind.reward_range,
        steps=issubclass(kind, StepEnvironment),
        asked_models=decode(store.row(task, repeat).line).get(keys.ASKED_MODELS),
    )
    append_case(path, golden_case)
    expected = "" if golden_case.expected_reward is None else f" {golden_case.expected_reward:g}"
    echo(
        f"wrote {golden_case.name!r} ({golden_case.kind}{expected}) to {path}\n\nnext:  gym env check {name}"
    )


def _check_environment(run: Path, name: str, kind: type[Environment]) -> None:
    """Refuse a run of another environment, if the run's manifest names its environment."""
    from nemo_gym.config.short_form import implementation_name
    from nemo_gym.runs.manifest import load_manifest
    from nemo_gym.runs.paths import RunPaths

    path = RunPaths.of(run).manifest
    ref = load_manifest(path).identity.environment.get("ref") if path.exists() else None
    if not isinstance(ref, str) or not ref:
        return
    file = kind.source_file()
    if implementation_name(ref) not in (
        name,
        implementation_name(name),
        kind.name(),
        file.stem,
        file.parent.name,
    ):
        raise UsageError(f"{run} is a run of {ref}, not of {name}")


package_app = typer.Typer(help="Work on this package itself.", no_args_is_help=True)


@package_app.callback()
def _group() -> None:
    """Work on this package itself."""


@package_app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_package_tests(context: typer.Context) -> None:
    """Run this package's own tests, with coverage where pytest-cov is installed; pytest's options may follow.

    Example: gym dev test tests/wire -n 2
    """
    tests = Path(__file__).resolve().parents[3] / "tests"
    if not (tests / "conftest.py").is_file():
        raise UsageError("this package's tests come with its repository: run this from a checkout of it")
    if find_spec("pytest") is None:
        raise UsageError("pytest can't be imported: pip install 'nemo-gym[dev]'")
    coverage = ["--cov=nemo_gym"] if find_spec("pytest_cov") else []
    words = [sys.executable, "-m", "pytest", *coverage, *context.args]
    sys.exit(subprocess.run(words, cwd=tests.parent, check=False).returncode)
