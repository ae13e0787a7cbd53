"""`gym env packages` and `gym env prefetch`: what is installed for servers, and installing it beforehand."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import typer

from nemo_gym.cli.selection import Json, SearchDirs, Selected, with_selectors
from nemo_gym.cli.texts import echo, print_json
from nemo_gym.cli.words import read_asked
from nemo_gym.wire.errors import UsageError


class PackageSettings(msgspec.Struct):
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
    resources_server: Annotated[str, typer.Option(metavar="NAME", help="Whose packages.")] = "",
    outdated: Annotated[bool, typer.Option("--outdated", help="Only those with a newer version.")] = False,
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

    package_settings = read_asked(
        PackageSettings, words or [], entrypoint=resources_server, outdated=outdated
    )
    if not package_settings.entrypoint:
        raise UsageError("say whose packages: --resources-server NAME")
    folder = server_folder(package_settings.entrypoint, search_roots(search_dir or []))
    rows = run_async(
        packages_for(folder, virtualenvs_in(package_settings.cache_dir), outdated=package_settings.outdated)
    )
    if json or package_settings.format == "json":
        print_json(rows)
        return
    for one in rows:
        newer = f" (newest {one['latest_version']})" if package_settings.outdated else ""
        echo(f"{one['name']:<32} {one['version']}{newer}")


@with_selectors
def prefetch(
    selected: Selected,
    json: Json = False,
) -> None:
    """Install what the servers of a configuration need, one after the other, and start nothing.

    Example: gym env prefetch --resources-server weather --model-type vllm_model
    """
    from nemo_gym.runs.loop import run_async
    from nemo_gym.serving.packages import prefetch as install

    config_tree = selected.resolve(offline=True)
    config_tree.require_instances()
    installations = run_async(install(config_tree, selected.roots()))
    if json:
        print_json(installations)
        return
    for one in installations:
        where = one.python if one.own else "needs nothing of its own"
        echo(f"{one.name:<32} {where}")
    if not installations:
        echo("no server of the configuration has a folder of its own")
