"""`gym env`: find, look at, start and check environments."""

from __future__ import annotations

import sys
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.output import echo, print_json, safe_text
from nemo_gym.cli.redteam import check_built_in, check_names, in_processes, print_all, redteam, subject
from nemo_gym.cli.selection import Json
from nemo_gym.wire.errors import GymError

if TYPE_CHECKING:
    from nemo_gym.cli.console import Console
    from nemo_gym.environments.base import Environment
    from nemo_gym.environments.conformance.check import CheckReport
    from nemo_gym.environments.environment_info import EnvironmentInfo

app = typer.Typer(help="Find, look at, start and check environments.", no_args_is_help=True)


app.command()(redteam)


@app.command("list", hidden=True)
def list_all(json: Json = False) -> None:
    """List every environment that can be run by name; the command is now `gym list environments`.

    Example: gym list environments --json
    """
    from nemo_gym.environments.discovery import list_environments

    rows = [_row(info) for info in list_environments()]
    if json:
        print_json(rows)
    else:
        columns = ("name", "domain", "kind", "tasks", "sandbox", "judge", "description")
        lines = [dict(zip(columns, columns, strict=True)), *rows]
        widths = [max(len(line[column]) for line in lines) for column in columns[:-1]]
        for line in lines:
            cells = [line[column].ljust(width) for column, width in zip(columns, [*widths, 0], strict=True)]
            echo("  ".join(cells).rstrip())


def _row(info: EnvironmentInfo) -> dict[str, Any]:
    """The cells of an environment in the list."""
    from nemo_gym.environments.environment_info import library

    folder = library()[info.name] if info.source == "built-in" else Path(info.source).parent
    files = sorted(folder.glob("data/*.jsonl"))
    rows = sum(line.strip() != b"" for path in files for line in path.read_bytes().splitlines())
    return {
        **msgspec.to_builtins(info),
        "tasks": "generated" if info.generates else str(rows or "none"),
        "sandbox": "yes" if _manifest(folder / "manifest.yaml").get("sandbox") else "no",
        "judge": ", ".join(info.asks) or "no",
    }


def _manifest(path: Path) -> dict[str, Any]:
    """The fields of a manifest; none where it is missing or can't be read."""
    from nemo_gym.config.sources import read_yaml

    try:
        return read_yaml(path) if path.is_file() else {}
    except GymError:
        return {}


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name, `path.py` or `path.py:Class`.")],
    json: Json = False,
) -> None:
    """Print what an environment is, its tools, settings and a first task.

    Example: gym env show workplace_assistant
    """
    from rich.text import Text

    from nemo_gym.cli.console import stdout_console
    from nemo_gym.environments.build import build_environment
    from nemo_gym.environments.discovery import find_environment

    environment = build_environment(find_environment(name))
    facts = _facts(environment)
    if json:
        print_json(facts)
        return
    console = stdout_console(110)
    settings = ", ".join(f"{name}={value}" for name, value in facts["settings"].items())
    lines = {
        "kind": facts["kind"],
        "domain": facts["domain"],
        "rewards": "{:g} to {:g}".format(*facts["reward_range"]),
        "row fields": ", ".join(facts["row_fields"]),
        "settings": settings or "none",
        "folder": facts["folder"],
    }
    console.print(Text.assemble((facts["name"], "bold"), f"  {facts['description']}"))
    for name, value in lines.items():
        console.print(f"  {name:<11} {value}", soft_wrap=True)
    for schema in facts["tool_schemas"]:
        arguments = ", ".join(schema["parameters"].get("properties", {}))
        summary = schema.get("description") or ""
        console.print(f"  tool        {schema['name']}({arguments})  {summary}")
    _print_first_task(console, environment)


def _facts(environment: Environment) -> dict[str, Any]:
    from nemo_gym.environments.discovery import environment_info
    from nemo_gym.environments.tool import bind_tools

    kind = type(environment)
    fields = msgspec.structs.fields(kind.Config)
    defaults = {field.name: None if field.required else field.default for field in fields}
    return {
        **msgspec.to_builtins(environment_info(kind)),
        "reward_range": kind.reward_range,
        "settings": {name: _plain(value) for name, value in defaults.items()},
        "row_fields": [field.name for field in msgspec.structs.fields(kind.Task)],
        "tool_schemas": [tool.schema for tool in bind_tools(environment).values()],
        "folder": str(kind.folder()),
    }


def _plain(value: object) -> Any:
    return None if value is msgspec.NODEFAULT else msgspec.to_builtins(value)


def _print_first_task(console: Console, environment: Environment) -> None:
    from nemo_gym.runs.plan import task_rows
    from nemo_gym.wire import keys
    from nemo_gym.wire.items import message_text
    from nemo_gym.wire.params import input_items

    try:
        first = next(task_rows(environment, None, limit=1), None)
    except GymError as error:
        console.print(f"  tasks       {error}")
        return
    if first is None:
        return
    for item in input_items(first[keys.PARAMS]):
        if item["type"] == "message":
            console.print(f"  first task  {item['role']}: {message_text(item)}", soft_wrap=True)


@app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A name, `path.py` or `path.py:Class`.")] = "",
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the environment.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every built-in environment.")] = False,
    baseline_tasks: Annotated[
        int, typer.Option(min=0, help="The tasks for the mean rewards of the oracle and of an empty answer.")
    ] = 8,
    seed: Annotated[int, typer.Option(help="The seed of the tasks to try.")] = 0,
    ask: options.Asks = None,
    sandbox_provider: options.SandboxProvider = "",
    json: Json = False,
) -> None:
    """Prove that an environment keeps its promises: golden cases, determinism, isolation, hostile text.

    Example: gym env check weather/environment.py

    Example: gym env check reasoning level=2 --seed 7
    """
    from nemo_gym.environments.conformance.check import check_environment
    from nemo_gym.runs.loop import run_async

    check_names(name, every, settings)
    if every:
        job = partial(
            check_built_in, baseline_tasks=baseline_tasks, seed=seed, sandbox_provider=sandbox_provider
        )
        sys.exit(print_all(in_processes(job), _summary, as_json=json))
    build, supply = subject(name, settings, ask, sandbox_provider)

    async def check_all() -> CheckReport:
        if supply is not None:
            async with aclosing(supply()) as resources:
                await resources.check()
        return await check_environment(build, baseline_tasks=baseline_tasks, seed=seed, supply=supply)

    report = run_async(check_all())
    print_check(name, report, as_json=json)
    sys.exit(0 if report.passed else 1)


def _summary(report: CheckReport) -> str:
    failures = [f"\n      {result.name}: {result.message}" for result in report.results if not result.passed]
    means = next((result.message for result in report.results if result.name == "baselines"), "")
    return "".join(failures) or means


def print_check(name: str, report: CheckReport, *, as_json: bool) -> None:
    """Print the table of a conformance check."""
    from rich.table import Table
    from rich.text import Text

    from nemo_gym.cli.console import stdout_console

    if as_json:
        print_json(report)
        return
    table = Table("check", "", "what was seen", title=f"gym env check {name}", title_justify="left")
    for result in report.results:
        verdict = Text("pass", style="green") if result.passed else Text("FAIL", style="red")
        table.add_row(result.name, verdict, safe_text(result.message))
    stdout_console(110).print(table)
