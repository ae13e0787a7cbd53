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
from nemo_gym.cli.output import print_json, print_note
from nemo_gym.cli.selection import ConfigSelection, Json, with_selectors
from nemo_gym.cli.words import read_asks
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.config.resolve import Config
    from nemo_gym.serving.launch import Launch
    from nemo_gym.serving.secrets import Secret

TokenFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="A file with the token that callers must send.")
]
TokenEnv: TypeAlias = Annotated[
    str, typer.Option(metavar="VARIABLE", help="An environment variable with that token.")
]
HeadPort: TypeAlias = Annotated[
    int | None,
    typer.Option("--port", min=1, help="Only the servers of the head server at this port. [default: all]"),
]


@with_selectors
def start(
    selection: ConfigSelection,
    host: Annotated[str, typer.Option(help="The address of the servers. [default: 127.0.0.1]")] = "",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The head server's port; 0 takes any free one. [default: 11000]"),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Serve in the background.")] = False,
    isolate: Annotated[
        bool, typer.Option("--isolate", help="A process for each server, with its own requirements.")
    ] = False,
    token_file: TokenFile = None,
    token_env: TokenEnv = "",
    grace: Annotated[float, typer.Option(min=0, help="Seconds for requests in flight when stopping.")] = 5.0,
    ready_timeout: Annotated[float, typer.Option(min=1, help="Seconds a server may take to start.")] = 300.0,
    ask: options.Asks = None,
    model_ready_timeout: options.ModelReady = None,
    dry_run: options.DryRun = False,
) -> None:
    """Start the servers of a configuration, and a head server that lists them.

    Example: gym env start mcqa --model-type chat --model-url http://localhost:8000/v1 -m my-model
    """
    began = time()
    need_serve_extra()
    from nemo_gym.assembly.asks import ask_changes
    from nemo_gym.assembly.endpoint_wait import READINESS
    from nemo_gym.cli.environment_settings import with_environment_settings
    from nemo_gym.cli.serve import is_secret_visible, replace_process, serve, serve_in_background
    from nemo_gym.serving.head import HEAD
    from nemo_gym.serving.launch import bind_addresses, needs_token, prepare
    from nemo_gym.serving.port_owner import who_frees
    from nemo_gym.serving.running_gyms import runtime_folder
    from nemo_gym.serving.sockets import AddressInUse

    flags: dict[str, object] = {
        "default_host": host,
        "head_server.port": port,
        READINESS: model_ready_timeout,
        "dry_run": "true" if dry_run else None,
    }
    more = [f"++{key}={value}" for key, value in flags.items() if value not in ("", None)]
    selection = with_environment_settings(selection, selection.roots())
    asks = read_asks(ask or [])

    def resolve() -> Config:
        config = selection.resolve(*more, offline=False)
        changes = ask_changes(asks, config, selection.roots())
        return selection.resolve(*more, *changes, offline=False) if changes else config

    def prepare_launch(config: Config) -> Launch:
        folder = config.tree.get("nemo_gym_log_dir") or runtime_folder() / "logs" / strftime("%Y%m%d-%H%M%S")
        launch = prepare(
            config,
            roots=selection.roots(),
            logs=Path(folder).absolute(),
            token=read_token_options(token_file, token_env, needed=needs_token(config)),
            isolate=isolate,
            grace_s=grace,
            ready_s=ready_timeout,
        )
        launch.started_at = began
        return launch

    try:
        config, launch = bind_addresses(resolve, prepare_launch)
    except AddressInUse as error:
        another = (
            "--port 0 takes another" if error.owner == HEAD else "another port in its configuration does too"
        )
        raise UsageError(f"{error}: {who_frees(error.port, runtime_folder())}; {another}") from None
    for notice in config.notices:
        print_note(notice)
    if config.tree.get("dry_run"):
        launch.release()
        for one in launch.instances.values():
            sys.stdout.write(f"{one.name:<32} {one.kind:<22} {one.implementation}\n")
        sys.stdout.write("nothing was started\n")
        return
    if launch.token and not token_file and not token_env:
        sys.stdout.write(f"token: {launch.token}   (shown once; send it as a bearer token)\n")
        sys.stdout.flush()
    if detach:
        sys.exit(serve_in_background(launch))
    if is_secret_visible(launch):
        replace_process(launch)
    sys.exit(serve(launch))


def status(
    port: HeadPort = None,
    json: Json = False,
) -> None:
    """Ask every server that was started here how it is. Exit code 1 when one doesn't answer, or none runs.

    Example: gym env status --json
    """
    need_serve_extra()
    from nemo_gym.cli.console import print_servers
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
        float, typer.Option(min=0, help="Seconds after which a process that still runs is killed.")
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


def read_token_options(file: Path | None, variable: str, *, needed: bool) -> Secret | None:
    """The token in a file or an environment variable, or else a random one where one is needed.

    Raises:
        UsageError: there are both, or it can't be read.
    """
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


def need_serve_extra() -> None:
    """Check that the packages of servers are installed.

    Raises:
        UsageError: one is not.
    """
    missing = [name for name in ("starlette", "uvicorn", "httptools", "itsdangerous") if not find_spec(name)]
    if missing:
        raise UsageError(f"{', '.join(missing)} can't be imported: pip install 'nemo-gym[serve]'")
