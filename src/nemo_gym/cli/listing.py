"""How environments and their checks are printed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
from rich.table import Table
from rich.text import Text

from nemo_gym.cli.console import Console
from nemo_gym.cli.texts import print_json, shown
from nemo_gym.environments.base import Environment
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.conformance.check import CheckReport
from nemo_gym.environments.discovery import EnvironmentInfo, environment_info
from nemo_gym.environments.tool import bind_tools
from nemo_gym.runs.plan import task_rows
from nemo_gym.wire import keys
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.items import message_text
from nemo_gym.wire.params import input_items


def print_environments(infos: list[EnvironmentInfo], *, as_json: bool) -> None:
    """One line for each environment."""
    if as_json:
        print_json(infos)
        return
    print_rows([msgspec.to_builtins(info) for info in infos], ("name", "domain", "kind", "description"))


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A table: these columns of every row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column not in ("description", "variants"))
    for row in rows:
        table.add_row(*(shown(_cell(row.get(column))) for column in columns))
    _console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """One line for each thing that is known."""
    console = _console()
    for name, value in facts.items():
        if value not in ("", None, []):
            console.print(f"{name:<16} {_cell(value)}", soft_wrap=True)


def print_environment(kind: type[Environment], *, as_json: bool) -> None:
    """Everything about one environment, with a first task."""
    info = environment_info(kind)
    environment = build_environment(kind)
    settings = {
        field.name: None if field.required else field.default for field in msgspec.structs.fields(kind.Config)
    }
    data: dict[str, Any] = {
        **msgspec.to_builtins(info),
        "reward_range": kind.reward_range,
        "settings": {name: _plain(value) for name, value in settings.items()},
        "row_fields": [field.name for field in msgspec.structs.fields(kind.Task)],
        "tool_schemas": [tool.schema for tool in bind_tools(environment).values()],
        "folder": str(kind.folder()),
    }
    if as_json:
        print_json(data)
        return
    console = _console()
    console.print(Text.assemble((info.name, "bold"), f"  {info.description}"))
    lines = {
        "kind": info.kind,
        "domain": info.domain,
        "rewards": "{:g} to {:g}".format(*kind.reward_range),
        "row fields": ", ".join(data["row_fields"]),
        "settings": ", ".join(f"{name}={value}" for name, value in data["settings"].items()) or "none",
        "folder": data["folder"],
    }
    for name, value in lines.items():
        console.print(f"  {name:<11} {value}", soft_wrap=True)
    for schema in data["tool_schemas"]:
        arguments = ", ".join(schema["parameters"].get("properties", {}))
        summary = schema.get("description") or ""
        console.print(f"  tool        {schema['name']}({arguments})  {summary}")
    _print_first_task(console, environment)


def print_check(name: str, report: CheckReport, *, as_json: bool) -> None:
    """The table of a conformance check."""
    if as_json:
        print_json(report)
        return
    table = Table(title=f"gym env check {name}", title_justify="left", show_lines=False)
    for column in ("check", "", "what was seen"):
        table.add_column(column)
    for result in report.results:
        verdict = Text("pass", style="green") if result.passed else Text("FAIL", style="red")
        table.add_row(result.name, verdict, shown(result.message))
    _console().print(table)


def _print_first_task(console: Console, environment: Environment) -> None:
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


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 110)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return ", ".join(Path(str(item)).stem for item in cast("list[Any]", value))
        case _:
            return str(value)


def _plain(value: object) -> Any:
    return None if value is msgspec.NODEFAULT else msgspec.to_builtins(value)
