"""`gym export` and `gym tokens`: what a trainer gets from a run."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.output import echo, print_error, print_json
from nemo_gym.cli.selection import Json
from nemo_gym.cli.servers import TokenEnv, TokenFile, need_serve_extra, read_token_options
from nemo_gym.cli.words import read_settings
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    import socket

    from nemo_gym.serving.options import AppOptions
    from nemo_gym.training.rollouts import Rollouts

serve_app = typer.Typer(help="Serve rollouts to a trainer, or tasks to NeMo Evaluator.", no_args_is_help=True)
tokens_app = typer.Typer(help="Check the tokens of rollouts.", no_args_is_help=True)

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The rollouts file of a run.")]


class Format(StrEnum):
    """The formats of `training.exports.formats`."""

    sft = "sft"
    dpo = "dpo"
    dpo_trl = "dpo_trl"
    kto = "kto"
    grpo = "grpo"
    openai = "openai"
    sharegpt = "sharegpt"
    parquet = "parquet"
    atif = "atif"


class Answers(StrEnum):
    """The answers that are trained on."""

    all = "all"
    last = "last"


def export(
    run: RunPath,
    format: Annotated[Format, typer.Option(help="The format of the rows.")] = Format.sft,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file or folder. [default: beside the run]")
    ] = None,
    min_reward: Annotated[float | None, typer.Option(help="Take rollouts with at least this reward.")] = None,
    best_of: Annotated[
        bool, typer.Option("--best-of", help="Take only the best rollout of each task.")
    ] = False,
    max_per_task: Annotated[
        int | None, typer.Option(min=1, help="Take at most so many rollouts of a task, the best ones.")
    ] = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Keep rollouts with the same words.")
    ] = False,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Take rollouts too that a limit cut off.")
    ] = False,
    min_margin: Annotated[
        float, typer.Option(min=0, help="dpo: the rewards of a pair differ by more than this.")
    ] = 0.0,
    pairs_per_task: Annotated[int, typer.Option(min=1, help="dpo: the most pairs of a task.")] = 1,
    threshold: Annotated[float, typer.Option(help="kto: the least reward of a good completion.")] = 0.5,
    loss_on: Annotated[
        Answers, typer.Option(help="sft, openai: the answers to train on, all or only the last one.")
    ] = Answers.all,
    validation: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.99,
            help="The share of tasks for validation.jsonl, beside training.jsonl in a folder.",
        ),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Write a run's rollouts as training data, in the order of its tasks, with a card that counts them.

    Example: gym export results/workplace_assistant.jsonl --format sft --min-reward 1 --best-of

    Example: gym export results/mcqa.jsonl --format dpo --min-margin 0.5 -o pairs.jsonl
    """
    _need_numpy()
    from nemo_gym.training.exports.export import export as write
    from nemo_gym.training.exports.formats import FormatOptions
    from nemo_gym.training.exports.selection import Choice

    report = write(
        run,
        format.value,
        output,
        choice=Choice(
            incomplete=incomplete,
            min_reward=min_reward,
            duplicates=duplicates,
            best_of=best_of,
            max_per_task=max_per_task,
        ),
        options=FormatOptions(
            loss_on=loss_on.value,
            min_margin=min_margin,
            pairs_per_task=pairs_per_task,
            threshold=threshold,
        ),
        validation=validation,
    )
    if json:
        print_json(report)
        return
    echo(f"{report.rollouts:,} rollouts of {report.tasks:,} tasks -> {report.path}")
    lines = [(name, count, "") for name, count in report.rows.items()]
    for name, count in report.left_out.items():
        lines.append((f"left out: {name.replace('_', ' ')}", count, _TAKEN_BY.get(name, "")))
    width = max((len(name) for name, *_ in lines), default=0)
    for name, count, taken_by in lines:
        echo(f"  {name:<{width}} {count:>9,}{taken_by}")


_TAKEN_BY = {"incomplete": "  (--incomplete takes them)", "duplicate": "  (--duplicates takes them)"}


@serve_app.callback()
def serve_group() -> None:
    """Serve rollouts to a trainer, or tasks to NeMo Evaluator."""


@serve_app.command("rollouts")
def serve_rollouts(
    environment: Annotated[str, typer.Argument(help="A name, `path.py` or `path.py:Class`.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the environment.")
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="Where batches are kept until their clients delete them.")
    ] = Path("results/batches"),
    model_type: options.ModelType = "chat",
    model: options.ModelName = "",
    model_url: options.ModelUrls = None,
    model_setting: options.ModelSettings = None,
    model_api_key: options.ModelKey = "",
    max_steps: options.MaxSteps = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Rollouts in flight.")] = 512,
    ahead: Annotated[
        int, typer.Option(min=1, help="Groups of a batch that may be finished before they are read.")
    ] = 256,
    host: Annotated[str, typer.Option(help="The address of the service.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 takes any free one.")] = 9100,
    token_file: TokenFile = None,
    token_env: TokenEnv = "",
) -> None:
    """Collect batches of tasks for a trainer over HTTP. After a kill, the same command goes on with them.

    Example: gym serve rollouts mcqa --model-type vllm --model-url http://localhost:8000/v1 -m my-model
    --model-setting return_token_id_information=true
    """
    _need_numpy()
    need_serve_extra()
    from msgspec.structs import replace

    from nemo_gym.assembly.model import model as model_spec
    from nemo_gym.runs.loop import run_async
    from nemo_gym.serving.options import AppOptions
    from nemo_gym.serving.sockets import bind, is_loopback
    from nemo_gym.training.rollouts import Rollouts

    token = read_token_options(token_file, token_env, needed=not is_loopback(host))
    urls = model_url or []
    spec = model_spec(urls[0] if len(urls) == 1 else urls, model, type=model_type, api_key=model_api_key)
    spec = replace(spec, settings=read_settings(model_setting or [], "the model"))
    listener = bind(host, port, "the rollout service")
    if token and not token_file and not token_env:
        echo(f"token: {token.reveal()}   (shown once; clients set NEMO_GYM_SERVER_TOKEN)")
    rollouts = Rollouts(
        environment,
        model=spec,
        settings=read_settings(settings or []),
        max_steps=max_steps,
        concurrency=concurrency,
    )
    sys.exit(run_async(_serve(rollouts, folder, ahead, AppOptions(token=token), listener, host)))


async def _serve(
    rollouts: Rollouts, folder: Path, ahead: int, app_options: AppOptions, listener: socket.socket, host: str
) -> int:
    from nemo_gym.serving.host import Host
    from nemo_gym.serving.sockets import http_url
    from nemo_gym.serving.stop_signals import stop_event
    from nemo_gym.training.rollout_app import rollout_app
    from nemo_gym.training.rollout_service import RolloutService

    stop, server = stop_event(_GRACE_S, print_error), Host()
    async with rollouts:
        app = rollout_app(RolloutService(rollouts, folder, ahead=ahead), app_options)
        await server.serve(_NAME, app, listener)
        echo(f"rollout service ready at {http_url(host, listener.getsockname()[1])}")
        sys.stdout.flush()
        await stop.wait()
        await server.stop([_NAME], grace_s=_GRACE_S)
    return 0


_NAME = "rollouts"
_GRACE_S = 1.0
"""Seconds for requests in flight when the service stops; its batches go on at the next start."""


@tokens_app.callback()
def group() -> None:
    """Check the tokens of rollouts."""


@tokens_app.command()
def check(
    run: RunPath,
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json or a model's folder, to show text and causes.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Print at most so many findings.")] = 20,
    json: Json = False,
) -> None:
    """Say whether a trainer can join the model calls of each rollout into one sequence of tokens, and if not,
    why. Exit code 1 if any can't be joined.

    Example: gym tokens check results/workplace_assistant.jsonl --tokenizer models/qwen3-4b
    """
    _need_numpy()
    from nemo_gym.training.token_report import check_run
    from nemo_gym.training.tokenizer import load_decode

    report = check_run(run, None if tokenizer is None else load_decode(tokenizer), most=most)
    if json:
        print_json(report)
    else:
        _print_report(report)
    if report.broken:
        raise typer.Exit(1)


def _print_report(report: Any) -> None:
    from nemo_gym.training.token_check import MEANINGS

    echo(f"{report.rollouts:,} rollouts: {report.with_tokens:,} with tokens, {report.broken:,} broken")
    for cause, count in report.causes.items():
        echo(f"  {cause:<22} {count:>7,}  {MEANINGS[cause]}")
    for one in report.findings:
        finding = one.finding
        echo()
        branch = f"branch {one.branch}, " if one.branch else ""
        place = f"task {one.task}, repeat {one.repeat}, {branch}item {finding.item}"
        echo(f"{one.place}: {place}: {finding.cause}")
        if finding.detail:
            echo(f"  {finding.detail}")
        if finding.position is not None:
            echo(f"  first different token: {finding.position} of the prompt")
            echo(f"  sampled before: {finding.expected_ids}")
            echo(f"  in the prompt:  {finding.actual_ids}")
        if finding.expected_text is not None:
            echo(f"  sampled before: {finding.expected_text!r}")
            echo(f"  in the prompt:  {finding.actual_text!r}")
        if finding.repairable is not None:
            can = "repairs it (splice_sampled_ids)" if finding.repairable else "does not repair it"
            echo(f"  putting the sampled tokens in place of the rewritten past {can}")


def _need_numpy() -> None:
    try:
        import numpy  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise UsageError("this command needs numpy: pip install 'nemo-gym[training]'") from None
