"""`gym env start`, `gym env status` and `gym env stop`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from time import strftime, time
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.selection import Json, Selected, with_selectors
from nemo_gym.cli.texts import print_json
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.config.resolve import Config
    from nemo_gym.serving.launch import Launch
    from nemo_gym.serving.secrets import Secret

HeadPort: TypeAlias = Annotated[
    int | None, typer.Option("--port", min=1, help="Which one, by its head server's port. [default: all]")
]


@with_selectors
def start(
    selected: Selected,
    host: Annotated[str, typer.Option(help="What the servers are bound to. [default: 127.0.0.1]")] = "",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Of the head server; 0 takes any free one. [default: 11000]"),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Serve in the background.")] = False,
    isolate: Annotated[
        bool, typer.Option("--isolate", help="A process for each server, with its own requirements.")
    ] = False,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token that callers must send.")
    ] = None,
    token_env: Annotated[
        str, typer.Option(metavar="VARIABLE", help="An environment variable with that token.")
    ] = "",
    grace: Annotated[float, typer.Option(min=0, help="Seconds for requests in flight when stopping.")] = 5.0,
    ready_timeout: Annotated[float, typer.Option(min=1, help="Seconds a server may take to start.")] = 300.0,
    ask: options.Asks = None,
    model_ready_timeout: options.ModelReady = None,
    dry_run: options.DryRun = False,
) -> None:
    """Start the servers of a configuration, and a head server that knows where they are.

    Example: gym env start mcqa --model-type chat --model-url http://localhost:8000/v1 -m my-model
    """
    began = time()
    _need_extra()
    from nemo_gym.assembly.asks import ask_changes
    from nemo_gym.assembly.readiness import READINESS
    from nemo_gym.cli.asks import read_asks
    from nemo_gym.cli.environment_words import with_environment_settings
    from nemo_gym.cli.serve import serve
    from nemo_gym.cli.spawn import become, serve_in_background, shown_in_arguments
    from nemo_gym.serving.head import HEAD
    from nemo_gym.serving.launch import bind_addresses, needs_token, prepare
    from nemo_gym.serving.port_owner import who_frees
    from nemo_gym.serving.running_gyms import runtime_folder
    from nemo_gym.serving.sockets import AddressInUse

    more = _changes(
        {
            "default_host": host,
            "head_server.port": port,
            READINESS: model_ready_timeout,
            "dry_run": "true" if dry_run else None,
        }
    )

    selected = with_environment_settings(selected, selected.roots())

    asks = read_asks(ask or [])

    def resolved() -> Config:
        chosen = selected.resolve(*more, offline=False)
        changes = ask_changes(asks, chosen, selected.roots())
        return selected.resolve(*more, *changes, offline=False) if changes else chosen

    def prepared(found: Config) -> Launch:
        folder = found.tree.get("nemo_gym_log_dir") or runtime_folder() / "logs" / strftime("%Y%m%d-%H%M%S")
        launch = prepare(
            found,
            roots=selected.roots(),
            logs=Path(folder).absolute(),
            token=_token(token_file, token_env, needed=needs_token(found)),
            isolate=isolate,
            grace_s=grace,
            ready_s=ready_timeout,
        )
        launch.started_at = began
        return launch

    try:
        found, launch = bind_addresses(resolved, prepared)
    except AddressInUse as error:
        another = (
            "--port 0 takes another" if error.owner == HEAD else "another port in its configuration does too"
        )
        raise UsageError(f"{error}: {who_frees(error.port, runtime_folder())}; {another}") from None
    for notice in found.notices:
        sys.stderr.write(f"gym: note: {notice}\n")
    if found.tree.get("dry_run"):
        launch.release()
        _describe(launch)
        return
    if launch.token and not token_file and not token_env:
        sys.stdout.write(f"token: {launch.token}   (shown once; send it as a bearer token)\n")
        sys.stdout.flush()
    if detach:
        sys.exit(serve_in_background(launch))
    if shown_in_arguments(launch):
        become(launch)
    sys.exit(serve(launch))


def status(
    port: HeadPort = None,
    json: Json = False,
) -> None:
    """Ask every server that was started here how it is. Exit code 1 when one doesn't answer, or none runs.

    Example: gym env status --json
    """
    _need_extra()
    from nemo_gym.cli.banner import print_servers
    from nemo_gym.serving.gym_control import servers_of
    from nemo_gym.serving.running_gyms import running_gyms, runtime_folder

    states = [one for one in running_gyms(runtime_folder()) if port in (None, one.head_port)]
    rows = [{**row, "head_url": state.head_url} for state in states for row in servers_of(state)]
    healthy = sum(row["status"] == "success" for row in rows)
    if json:
        print_json({"healthy": healthy, "unhealthy": len(rows) - healthy, "servers": rows})
    elif not rows:
        sys.stdout.write("no servers are running\n")
    else:
        print_servers(rows)
        sys.stdout.write(f"{healthy} healthy, {len(rows) - healthy} unhealthy\n")
    sys.exit(0 if rows and healthy == len(rows) else 1)


def stop(
    port: HeadPort = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds after which what has not stopped is killed.")
    ] = 45.0,
) -> None:
    """Stop what `gym env start` started: requests in flight are finished, no process is left.

    Example: gym env stop --port 11000
    """
    from nemo_gym.serving.gym_control import end
    from nemo_gym.serving.running_gyms import running_gyms, runtime_folder

    states = [one for one in running_gyms(runtime_folder()) if port in (None, one.head_port)]
    if not states:
        sys.stdout.write("no servers are running\n")
    for state in states:
        how = "stopped" if end(state, runtime_folder(), within=timeout) else "killed"
        sys.stdout.write(f"{how} the servers of {state.head_url} (process {state.pid})\n")


def _changes(given: dict[str, object]) -> list[str]:
    return [f"++{key}={value}" for key, value in given.items() if value not in ("", None)]


def _describe(launch: Launch) -> None:
    for one in launch.instances.values():
        sys.stdout.write(f"{one.name:<32} {one.kind:<22} {one.implementation}\n")
    sys.stdout.write("nothing was started\n")


def _token(file: Path | None, variable: str, *, needed: bool) -> Secret | None:
    from nemo_gym.serving.running_gyms import check_token, read_token
    from nemo_gym.serving.secrets import Secret

    if file and variable:
        raise UsageError("--token-file and --token-env both say what the token is: drop one")
    if file:
        return read_token(file)
    if variable and variable not in os.environ:
        raise UsageError(f"--token-env {variable}: there is no such environment variable")
    if variable:
        return check_token(os.environ[variable], f"environment variable {variable}")
    return Secret.random() if needed else None


def _need_extra() -> None:
    missing = [name for name in ("starlette", "uvicorn", "httptools", "itsdangerous") if not find_spec(name)]
    if missing:
        raise UsageError(f"{', '.join(missing)} can't be imported: pip install 'nemo-gym[serve]'")
