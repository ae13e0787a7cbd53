"""`gym list` and `gym search`: the components that can be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
import typer

from nemo_gym.cli.output import echo, print_json
from nemo_gym.cli.selection import Json, SearchDirs
from nemo_gym.wire.errors import UsageError

app = typer.Typer(
    help="List benchmarks, environments, agents, models, resources servers.", no_args_is_help=True
)

Name: TypeAlias = Annotated[str, typer.Argument(metavar="[NAME]", help="Print everything about this one.")]

COLUMNS: Final = {
    "benchmarks": ("name", "domain", "agent", "num_repeats"),
    "environments": ("name", "kind", "domain", "status", "description"),
    "agents": ("name", "pattern", "variants"),
    "models": ("name", "variants"),
    "resources-servers": ("name", "domain", "description"),
}
"""The columns of each type's table."""


@app.command()
def benchmarks(name: Name = "", search_dir: SearchDirs = None, json: Json = False) -> None:
    """List the benchmarks: folders `benchmarks/NAME` with a configuration.

    Example: gym list benchmarks --search-dir suites
    """
    _show("benchmarks", name, search_dir, json)


@app.command()
def environments(
    name: Name = "",
    search_dir: SearchDirs = None,
    json: Json = False,
    kind: Annotated[
        Literal["environment", "benchmark"] | None, typer.Option(help="Only entries of this kind.")
    ] = None,
    domain: Annotated[str, typer.Option(help="Only environments of this domain.")] = "",
    modality: Annotated[str, typer.Option(help="Only environments with text, image, audio, ...")] = "",
    licensing: Annotated[str, typer.Option(help="Only environments under this licence.")] = "",
    status: Annotated[
        Literal["experimental", "no-manifest"] | None,
        typer.Option(help="Only environments with a manifest, or without one."),
    ] = None,
    lifecycle: Annotated[
        Literal["active", "deprecated"] | None, typer.Option(help="Only entries of this kind.")
    ] = None,
) -> None:
    """List the environments: those with a manifest, with a configuration, and every environment class.

    Example: gym list environments --domain math

    Example: gym list environments mcqa
    """
    choices = {
        "kind": kind,
        "domain": domain,
        "licensing": licensing,
        "status": status,
        "lifecycle": lifecycle,
    }
    filters = {key: value for key, value in choices.items() if value}

    def fits(entry: Any) -> bool:
        return all(getattr(entry, key) == value for key, value in filters.items()) and (
            not modality or modality in entry.modality
        )

    _show("environments", name, search_dir, json, fits)


@app.command()
def agents(name: Name = "", search_dir: SearchDirs = None, json: Json = False) -> None:
    """List the agents, and whether each acts in any resources server or has its own environment.

    Example: gym list agents simple_agent
    """
    _show("agents", name, search_dir, json)


@app.command()
def models(name: Name = "", search_dir: SearchDirs = None, json: Json = False) -> None:
    """List the model servers.

    Example: gym list models vllm_model
    """
    _show("models", name, search_dir, json)


@app.command("resources-servers")
def resources_servers(name: Name = "", search_dir: SearchDirs = None, json: Json = False) -> None:
    """List the resources servers: folders, and every environment class.

    Example: gym list resources-servers --json
    """
    _show("resources-servers", name, search_dir, json)


def search(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[TYPE] QUERY", help="The text to search for, and the type of component."),
    ],
    search_dir: SearchDirs = None,
    json: Json = False,
) -> None:
    """Find components by name, description or domain. A query that occurs nowhere finds names like it.

    Example: gym search environments math
    """
    from nemo_gym.cli.console import print_rows
    from nemo_gym.config import catalogue
    from nemo_gym.config.sources import search_roots

    types = words[:1] if len(words) > 1 and words[0] in catalogue.TYPES else list(catalogue.TYPES)
    query = " ".join(words[1:] if types == words[:1] else words)
    if not query.strip():
        raise UsageError("the query is empty: gym search QUERY")
    rows = [
        {"type": kind, **msgspec.to_builtins(entry)}
        for kind, entry in catalogue.search(query, types, search_roots(search_dir or []))
    ]
    if json:
        print_json(rows)
    elif rows:
        print_rows(rows, ("type", "name", "domain", "description"))
    else:
        echo(f"nothing matches {query!r}")


def _show(
    what: str,
    name: str,
    search_dir: list[Path] | None,
    json: bool,
    fits: Callable[[Any], bool] | None = None,
) -> None:
    from nemo_gym.cli.console import print_facts, print_rows
    from nemo_gym.config import catalogue
    from nemo_gym.config.sources import search_roots

    entries = catalogue.TYPES[what](search_roots(search_dir or []))
    if name:
        fields = msgspec.to_builtins(catalogue.pick(entries, name, f"gym list {what}"))
        print_json(fields) if json else print_facts(fields)
        return
    rows = [msgspec.to_builtins(entry) for entry in entries if fits is None or fits(entry)]
    if json:
        print_json(rows)
    elif rows:
        print_rows(rows, COLUMNS[what])
    else:
        echo(f"no {what}" + (" like that" if entries else ""))
