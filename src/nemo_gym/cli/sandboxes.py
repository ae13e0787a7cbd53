"""`gym sandbox`: sandboxes for other machines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nemo_gym.cli.output import echo, print_error
from nemo_gym.cli.servers import TokenEnv, TokenFile, need_serve_extra, read_token_options
from nemo_gym.cli.words import read_settings

if TYPE_CHECKING:
    import socket

    from starlette.applications import Starlette

app = typer.Typer(help="Serve sandboxes to other machines.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Serve sandboxes to other machines."""


@app.command()
def serve(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the provider, create.network=none."),
    ] = None,
    provider: Annotated[str, typer.Option(help="The provider that makes the sandboxes.")] = "local",
    host: Annotated[str, typer.Option(help="The address of the server.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 takes any free one.")] = 9000,
    max_sandboxes: Annotated[
        int | None,
        typer.Option(min=1, help="Sandboxes at the same time; others wait. [default: two for each core]"),
    ] = None,
    lease: Annotated[
        float, typer.Option(min=1, help="Seconds after which the sandboxes of a client that is gone end.")
    ] = 60.0,
    max_file_mib: Annotated[
        int, typer.Option(min=1, help="The largest file or archive that is copied in or out.")
    ] = 256,
    token_file: TokenFile = None,
    token_env: TokenEnv = "",
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Another host name of the server. Repeat it for several.")
    ] = None,
) -> None:
    """Put a sandbox provider of this machine behind HTTP: `gym run --sandbox-provider remote=URL` uses it.

    Example: gym sandbox serve --host 0.0.0.0 --token-file token --max-sandboxes 64

    Example: gym sandbox serve --provider docker create.network=none
    """
    need_serve_extra()
    from nemo_gym.runs.loop import run_async
    from nemo_gym.sandbox.pool import named_pool
    from nemo_gym.serving.options import AppOptions
    from nemo_gym.serving.sandbox_app import sandbox_app
    from nemo_gym.serving.sockets import bind, is_loopback

    pool = named_pool({provider: _nested(read_settings(settings or [], "the provider"))}, max_sandboxes)
    token = read_token_options(token_file, token_env, needed=not is_loopback(host))
    listener = bind(host, port, "the sandbox server")
    if token and not token_file and not token_env:
        echo(f"token: {token.reveal()}   (shown once; clients set NEMO_GYM_SANDBOX_TOKEN)")
    sandboxes = sandbox_app(pool, AppOptions(token=token), lease_s=lease, file_bytes=max_file_mib << 20)
    sys.exit(run_async(_serve(sandboxes, listener, host, allowed_host or [])))


async def _serve(app: Starlette, listener: socket.socket, host: str, names: list[str]) -> int:
    from nemo_gym.serving.host import Host
    from nemo_gym.serving.sockets import http_url
    from nemo_gym.serving.stop_signals import stop_event

    stop = stop_event(_GRACE_S, print_error)
    server = Host(names, files=True)
    await server.serve(_NAME, app, listener)
    echo(f"sandbox server ready at {http_url(host, listener.getsockname()[1])}")
    sys.stdout.flush()
    await stop.wait()
    await server.stop([_NAME], grace_s=_GRACE_S)
    return 0


def _nested(settings: dict[str, Any]) -> dict[str, Any]:
    """`{"create.network": "none"}` as `{"create": {"network": "none"}}`."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        node = tree
        *path, last = key.split(".")
        for name in path:
            node = node.setdefault(name, {})
        node[last] = value
    return tree


_NAME = "sandboxes"
_GRACE_S = 1.0
"""Seconds for requests in flight when the server stops; the sandboxes of its clients end in any case."""
