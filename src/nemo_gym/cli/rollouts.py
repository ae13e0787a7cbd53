"""`gym run` and `gym eval run`."""

from __future__ import annotations

import sys
from pathlib import Path
from time import strftime
from typing import Annotated, Any

import msgspec
import typer

from nemo_gym.wire.errors import UsageError


def run(
    environment: Annotated[
        str, typer.Argument(help="A name (`gym env list`), `path.py`, `path.py:Class` or `path.py:function`.")
    ] = "",
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the environment.")
    ] = None,
    input: Annotated[
        Path | None, typer.Option("--input", "-i", help="Tasks, JSONL. Default: the environment's own.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Rollouts, JSONL. Default: a new file in results/.")
    ] = None,
    model_type: Annotated[
        str,
        typer.Option(
            help="embedded, chat, responses, vllm, sglang, azure, scripted, replay, random, oracle, or a "
            "hosted provider."
        ),
    ] = "",
    model: Annotated[str, typer.Option("--model", "-m", help="The model's name at the endpoint.")] = "",
    model_url: Annotated[
        list[str] | None,
        typer.Option(
            help="Base URL, for instance http://localhost:8000/v1. Repeat it for copies of one model."
        ),
    ] = None,
    model_setting: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the model type. Repeat it for several."),
    ] = None,
    model_api_key: Annotated[
        str, typer.Option(envvar="NEMO_GYM_MODEL_API_KEY", show_envvar=True, help="Sent as a bearer token.")
    ] = "",
    model_timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds for one attempt at a model call. [default: 300]")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Record every model call, for --model-type replay.")
    ] = None,
    agent: Annotated[
        str,
        typer.Option("--agent", "-a", help="tool_loop, step_loop, command, ... Default: what fits."),
    ] = "",
    agent_setting: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An argument of the agent. Repeat it for several."),
    ] = None,
    environment_url: Annotated[
        str, typer.Option(help="Act in the environment of a running resources server.")
    ] = "",
    agent_url: Annotated[
        str, typer.Option(help="Have a running agent server make the rollouts, with its own model.")
    ] = "",
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Each row goes to the running agent that its agent_ref names.")
    ] = False,
    head_url: Annotated[
        str, typer.Option(help="The head server that knows the agents, for --no-serve.")
    ] = "http://127.0.0.1:11000",
    server_token: Annotated[
        str, typer.Option(envvar="NEMO_GYM_SERVER_TOKEN", show_envvar=True, help="What the servers ask for.")
    ] = "",
    max_steps: Annotated[int | None, typer.Option(min=1, help="Model calls in one rollout at most.")] = None,
    split: Annotated[str, typer.Option(help="Which of the environment's own tasks.")] = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    num_repeats: Annotated[int, typer.Option(min=1, help="Rollouts per task.")] = 1,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Rollouts in flight. Default: adapts to the endpoint.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    temperature: Annotated[float | None, typer.Option(min=0.0)] = None,
    top_p: Annotated[float | None, typer.Option(min=0.0, max=1.0)] = None,
    max_output_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Annotated[
        int | None, typer.Option(help="Fixes tasks, sessions and, where the endpoint can, sampling.")
    ] = None,
    rollout_timeout: Annotated[float, typer.Option(min=0.001, help="Seconds for one rollout.")] = 3600.0,
    turn_timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds for one turn's model call, retries included.")
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option(min=0, help="Stop once more rollouts than this have failed.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run at --output.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Collect verified rollouts: let a model act in an environment and score what it did.

    Example: gym run reasoning --limit 64 --num-repeats 4

    Example: gym run mcqa -i tasks.jsonl -o out.jsonl --model-url http://localhost:8000/v1 -m my-model
    """
    from nemo_gym.cli.drive import drive
    from nemo_gym.cli.remote import agent_spec, check_choice
    from nemo_gym.runs.components import EnvironmentSpec, ModelSpec
    from nemo_gym.runs.run import Job

    elsewhere = bool(agent_url or no_serve)
    check_choice(
        environment=environment,
        environment_url=environment_url,
        model=model_type or model or model_url,
        agent=agent,
        elsewhere=elsewhere,
    )
    flags = {"max_steps": max_steps, "turn_timeout": turn_timeout}
    arguments = {key: value for key, value in flags.items() if value is not None}
    sampling = {"temperature": temperature, "top_p": top_p, "max_output_tokens": max_output_tokens}
    job = Job(
        environment=EnvironmentSpec(
            environment, read_settings(settings or []), url=environment_url, token=server_token
        ),
        model=ModelSpec(
            type=model_type or ("none" if elsewhere else "chat" if model_url else "embedded"),
            name=model,
            url=model_url[0] if model_url and len(model_url) == 1 else tuple(model_url or ()),
            api_key=model_api_key,
            timeout=model_timeout,
            record=str(record or ""),
            settings=read_settings(model_setting or [], "the model"),
        ),
        agent=agent_spec(
            agent,
            arguments | read_settings(agent_setting or [], "the agent"),
            url=agent_url,
            head_url=head_url if no_serve else "",
            token=server_token,
        ),
        input=input,
        output=output or default_output(environment or "servers"),
        split=split,
        limit=limit,
        repeats=num_repeats,
        sampling={key: value for key, value in sampling.items() if value is not None},
        seed=seed,
        concurrency=concurrency,
        workers=workers,
        rollout_timeout=rollout_timeout,
        max_failures=max_failures,
        resume=resume,
    )
    sys.exit(drive(job, as_json=json))


def read_settings(words: list[str], owner: str = "the environment") -> dict[str, Any]:
    """`level=2` as `{"level": 2}`; a value that is not JSON is text.

    Raises:
        UsageError: a word has no `=`.
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r}: expected KEY=VALUE, a setting of {owner}")
        try:
            settings[key] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            settings[key] = text
    return settings


def default_output(environment: str) -> Path:
    """A new file named after the environment and the time."""
    stem = Path(environment.partition(":")[0]).stem
    return Path("results") / f"{stem}_{strftime('%Y%m%d-%H%M%S')}.jsonl"
