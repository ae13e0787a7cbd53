"""`gym env packages` and `gym env prefetch`: list what is installed for servers, and install it early."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import typer

from nemo_gym.cli.output import echo, print_json
from nemo_gym.cli.selection import ConfigSelection, Json, SearchDirs, with_selectors
from nemo_gym.cli.words import read_options
from nemo_gym.wire.errors import UsageError


class PackageOptions(msgspec.Struct):
    """Named as the keys of a configuration."""

    entrypoint: str = ""
    """`resources_servers/NAME`."""
    outdated: bool = False
    format: Literal["columns", "json"] = "columns"
    cache_dir: str = "cache"


def packages(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="entrypoint=resources_servers/NAME")
    ] = None,
    resources_server: Annotated[str, typer.Option(metavar="NAME", help="The resources server.")] = "",
    outdated: Annotated[bool, typer.Option("--outdated", help="Only packages with a newer version.")] = False,
    search_dir: SearchDirs = None,
    json: Json = False,
) -> None:
    """List the packages that a resources server can import: its own requirements and what is installed here.

    Example: gym env packages --resources-server weather
    """
    from nemo_gym.config.sources import search_roots
    from nemo_gym.runs.loop import run_async
    from nemo_gym.serving.packages import packages_for
    from nemo_gym.serving.virtualenvs import virtualenvs_in
    from nemo_gym.workloads.server_tests import server_folder

    package_options = read_options(
        PackageOptions, words or [], entrypoint=resources_server, outdated=outdated
    )
    if not package_options.entrypoint:
        raise UsageError("say whose packages: --resources-server NAME")
    folder = server_folder(package_options.entrypoint, search_roots(search_dir or []))
    rows = run_async(
        packages_for(folder, virtualenvs_in(package_options.cache_dir), outdated=package_options.outdated)
    )
    if json or package_options.format == "json":
        print_json(rows)
        return
    for one in rows:
        newer = f" (newest {one['latest_version']})" if package_options.outdated else ""
        echo(f"{one['name']:<32} {one['version']}{newer}")


@with_selectors
def prefetch(
    selection: ConfigSelection,
    json: Json = False,
) -> None:
    """Install the requirements of the servers of a configuration, one after the other, and start nothing.

    Example: gym env prefetch --resources-server weather --model-type vllm_model
    """
    from nemo_gym.runs.loop import run_async
    from nemo_gym.serving.packages import prefetch as install

    config = selection.resolve(offline=True)
    config.require_instances()
    installations = run_async(install(config, selection.roots()))
    if json:
        print_json(installations)
        return
    for one in installations:
        where = one.python if one.own else "has no requirements"
        echo(f"{one.name:<32} {where}")
    if not installations:
        echo("no server of the configuration has its own folder")
