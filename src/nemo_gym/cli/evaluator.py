"""`gym evaluator` and `gym serve evaluator`: NeMo Evaluator reads our tasks, and we read its results."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.output import echo, print_error
from nemo_gym.cli.selection import Json
from nemo_gym.cli.servers import need_serve_extra
from nemo_gym.cli.words import read_asks, read_settings

if TYPE_CHECKING:
    import socket

    from nemo_gym.siblings.evaluator.tasks import TaskSource

app = typer.Typer(help="NeMo Evaluator: our tasks there, its results here.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """NeMo Evaluator: our tasks there, its results here."""


@app.command()
def plugin() -> None:
    """Print the path of the plugin file for NeMo Evaluator 0.3.

    Example: nel eval run --bench "$(gym evaluator plugin):gym-mcqa" --model-url URL --model-id NAME
    """
    spec = find_spec("nemo_gym.siblings.evaluator")
    assert spec is not None
    assert spec.origin is not None
    echo(str(Path(spec.origin).with_name("plugin.py")))


@app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="A results.jsonl, or a folder with one benchmark.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The rollouts file to write, JSONL.")],
    environment: Annotated[
        str, typer.Option(help="Our environment that scored them. Default: the one that our plugin noted.")
    ] = "",
    json: Json = False,
) -> None:
    """Read results of NeMo Evaluator into the files of a run, with its metrics.

    What Evaluator could not finish or score becomes a failure: it has a reward of 0 there, and none here.

    Example: gym evaluator import eval_results/gym-mcqa -o results/from_evaluator.jsonl
    """
    from nemo_gym.cli.display import print_report
    from nemo_gym.runs.loop import run_async
    from nemo_gym.siblings.evaluator.results import import_results

    imported = run_async(import_results(source, output, environment=environment))
    print_report(imported.report, as_json=json)
    if not json:
        for name, value in imported.reported.items():
            echo(f"Evaluator reports {name} {value:g}")


def serve(
    environment: Annotated[str, typer.Argument(help="A name, `path.py` or `path.py:Class`.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the environment.")
    ] = None,
    input: options.Input = None,
    split: options.Split = "train",
    limit: options.Limit = None,
    seed: options.Seed = None,
    ask: options.Asks = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 takes any free one.")] = 9200,
) -> None:
    """Serve the tasks of an environment to NeMo Evaluator 0.3, as the benchmark gym://127.0.0.1:PORT.

    It listens on loopback only: Evaluator sends no token, and the tasks have their answers with them.

    Example: gym serve evaluator mcqa --split test --limit 100 --port 9200
    """
    need_serve_extra()
    from nemo_gym.runs.loop import run_async
    from nemo_gym.serving.sockets import bind
    from nemo_gym.siblings.evaluator.tasks import TaskSource

    source = TaskSource(
        environment=environment,
        settings=read_settings(settings or []),
        input=str(input or ""),
        split=split or "train",
        limit=limit,
        seed=seed,
        models=read_asks(ask or []),
    )
    sys.exit(run_async(_serve(source, bind(_HOST, port, "the gateway"))))


async def _serve(source: TaskSource, listener: socket.socket) -> int:
    from nemo_gym.serving.stop_signals import stop_event
    from nemo_gym.siblings.evaluator.gateway import gateway_app, gateway_host
    from nemo_gym.siblings.evaluator.tasks import EvaluatorTasks

    stop, server = stop_event(_GRACE_S, print_error), gateway_host()
    tasks = EvaluatorTasks(source)
    await server.serve(_NAME, gateway_app(tasks), listener)
    port: int = listener.getsockname()[1]
    echo(f"{len(tasks.rows):,} tasks of {source.environment} ready: benchmark gym://{_HOST}:{port}")
    sys.stdout.flush()
    await stop.wait()
    await server.stop([_NAME], grace_s=_GRACE_S)
    return 0


_NAME = "evaluator"
_HOST = "127.0.0.1"
_GRACE_S = 1.0
"""Seconds for requests in flight when the gateway stops."""
