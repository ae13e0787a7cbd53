"""The flags of `gym run`, except those that select a configuration, which are in `selection`."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

_task_option: Final = partial(typer.Option, rich_help_panel="Tasks and rollouts")
_model_option: Final = partial(typer.Option, rich_help_panel="Model")
_asked_option: Final = partial(typer.Option, rich_help_panel="Models that the environment asks")
_sampling_option: Final = partial(typer.Option, rich_help_panel="Sampling")
_agent_option: Final = partial(typer.Option, rich_help_panel="Agent")
_server_option: Final = partial(typer.Option, rich_help_panel="Running servers")
_run_option: Final = partial(typer.Option, rich_help_panel="How it runs")
_output_option: Final = partial(typer.Option, rich_help_panel="What is written")

EnvironmentName: TypeAlias = Annotated[
    str,
    typer.Argument(
        help="A name (`gym list environments`), `path.py`, `path.py:Class` or `path.py:function`."
    ),
]
Changes: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help="Settings of the environment, or changes to the configuration."
    ),
]

Input: TypeAlias = Annotated[
    Path | None,
    _task_option("--input", "-i", help="Tasks, JSONL. Default: the environment's tasks.", metavar="PATH"),
]
Output: TypeAlias = Annotated[
    Path | None,
    _task_option("--output", "-o", help="Rollouts, JSONL. Default: a new file in results/.", metavar="PATH"),
]
Split: TypeAlias = Annotated[
    str,
    _task_option(help="The split of the environment's tasks or data sets. Default: train.", metavar="NAME"),
]
Limit: TypeAlias = Annotated[int | None, _task_option(help="Only the first N tasks.", metavar="N")]
PromptConfig: TypeAlias = Annotated[
    str, _task_option(metavar="PATH", help="A YAML file that every task's input is made from.")
]

ModelType: TypeAlias = Annotated[
    str,
    _model_option(
        help="embedded, chat, responses, vllm, sglang, azure, scripted, replay, random, oracle, or a "
        "hosted provider.",
        metavar="NAME",
    ),
]
ModelName: TypeAlias = Annotated[
    str, _model_option("--model", "-m", help="The model's name at the endpoint.", metavar="NAME")
]
ModelUrls: TypeAlias = Annotated[
    list[str] | None,
    _model_option(
        help="Base URL, for instance http://localhost:8000/v1. Repeat it for copies of one model.",
        metavar="URL",
    ),
]
ModelSettings: TypeAlias = Annotated[
    list[str] | None,
    _model_option(metavar="KEY=VALUE", help="A setting of the model type. Repeat it for several."),
]
ModelKey: TypeAlias = Annotated[
    str,
    _model_option(
        envvar="NEMO_GYM_MODEL_API_KEY",
        show_envvar=True,
        help="The model's key, sent as a bearer token.",
        metavar="KEY",
    ),
]
ModelTimeout: TypeAlias = Annotated[
    float | None,
    _model_option(
        min=0.001, help="Seconds for one attempt at a model call. Default: 300.", metavar="SECONDS"
    ),
]
JudgeType: TypeAlias = Annotated[
    str, _asked_option(help="The judge's model type. Default: chat.", metavar="NAME")
]
JudgeName: TypeAlias = Annotated[str, _asked_option(help="The judge's name at its endpoint.", metavar="NAME")]
JudgeUrl: TypeAlias = Annotated[str, _asked_option(help="The judge's base URL.", metavar="URL")]
JudgeKey: TypeAlias = Annotated[
    str,
    _asked_option(
        envvar="NEMO_GYM_JUDGE_API_KEY",
        show_envvar=True,
        help="The judge's key, sent as a bearer token.",
        metavar="KEY",
    ),
]
Asks: TypeAlias = Annotated[
    list[str] | None,
    _asked_option(
        help="A setting of a model that the environment asks: judge.url=URL, judge.model=NAME, "
        "judge.api_key_env=VARIABLE, ... Repeat it for several.",
        metavar="NAME.KEY=VALUE",
    ),
]
Record: TypeAlias = Annotated[
    Path | None, _model_option(help="Record every model call, for --model-type replay.", metavar="PATH")
]
CaptureDir: TypeAlias = Annotated[
    Path | None,
    _model_option(help="Folder to record every model call in; rows then list their calls.", metavar="PATH"),
]
Temperature: TypeAlias = Annotated[
    float | None, _sampling_option(min=0.0, help="The sampling temperature.", metavar="X")
]
TopP: TypeAlias = Annotated[
    float | None,
    _sampling_option(
        min=0.0, max=1.0, help="Sample from the likeliest tokens up to this probability.", metavar="X"
    ),
]
MaxOutputTokens: TypeAlias = Annotated[
    int | None, _sampling_option(min=1, help="The most tokens in one answer.", metavar="N")
]

AgentName: TypeAlias = Annotated[
    str,
    _agent_option(
        "--agent", "-a", help="tool_loop, step_loop, command, ... Default: one that fits.", metavar="NAME"
    ),
]
AgentSettings: TypeAlias = Annotated[
    list[str] | None,
    _agent_option(metavar="KEY=VALUE", help="An argument of the agent. Repeat it for several."),
]
MaxSteps: TypeAlias = Annotated[
    int | None, _agent_option(min=1, help="The most model calls in one rollout.", metavar="N")
]

EnvironmentUrl: TypeAlias = Annotated[
    str, _server_option(help="Act in the environment of a running resources server.", metavar="URL")
]
AgentUrl: TypeAlias = Annotated[
    str,
    _server_option(help="Have a running agent server make the rollouts, with its own model.", metavar="URL"),
]
NoServe: TypeAlias = Annotated[
    bool, _server_option("--no-serve", help="Each row goes to the running agent that its agent_ref names.")
]
HeadUrl: TypeAlias = Annotated[
    str,
    _server_option(
        help="The head server that knows the agents, for --no-serve. Default: http://127.0.0.1:11000.",
        metavar="URL",
    ),
]
ServerToken: TypeAlias = Annotated[
    str,
    _server_option(
        envvar="NEMO_GYM_SERVER_TOKEN", show_envvar=True, help="The token of the servers.", metavar="TOKEN"
    ),
]

RewardWeights: TypeAlias = Annotated[
    str | None,
    _task_option(
        "--reward-weights",
        help="Weights of reward components, correctness=1,format=0.2. Others have 1.",
        metavar="NAME=X,...",
    ),
]
Shapes: TypeAlias = Annotated[
    list[str] | None,
    _task_option(
        "--shape",
        help="A penalty: long:from=9,to=99,penalty=1 or format:tag=a,penalty=1. Repeat it for several.",
        metavar="SHAPE",
    ),
]
NumRepeats: TypeAlias = Annotated[
    int | None, _task_option(help="Rollouts per task. Default: 1.", metavar="N")
]
AddSeed: TypeAlias = Annotated[
    bool, _task_option("--num-repeats-add-seed", help="Sample each rollout with its repeat number as seed.")
]
Concurrency: TypeAlias = Annotated[
    int | None, _run_option(help="Rollouts in flight. Default: adapts to the endpoint.", metavar="N")
]
MaxSandboxes: TypeAlias = Annotated[
    int | None,
    _run_option(
        min=1,
        help="Rollouts that may have sandboxes at the same time. Default: two for each core.",
        metavar="N",
    ),
]
SandboxProvider: TypeAlias = Annotated[
    str,
    _run_option(
        help="The sandbox provider: docker, apptainer, ..., remote=URL, or the name of a block of the "
        "configuration. Default: local.",
        metavar="NAME",
    ),
]
Workers: TypeAlias = Annotated[int, _run_option(min=1, help="Worker processes.", metavar="N")]
Seed: TypeAlias = Annotated[
    int | None,
    _task_option(help="Seed of tasks, sessions and, if the endpoint takes one, sampling.", metavar="N"),
]
RolloutTimeout: TypeAlias = Annotated[
    float, _run_option(min=0.001, help="Seconds for one rollout.", metavar="SECONDS")
]
TurnTimeout: TypeAlias = Annotated[
    float | None,
    _agent_option(min=0.001, help="Seconds for one turn's model call, retries included.", metavar="SECONDS"),
]
MaxFailures: TypeAlias = Annotated[
    int | None, _run_option(min=0, help="Stop once more rollouts than this have failed.", metavar="N")
]
Resume: TypeAlias = Annotated[bool, _run_option("--resume", help="Go on with the run at --output.")]


class ChangeKind(StrEnum):
    """The changes since the earlier run that resuming can accept."""

    environment = "environment"


AcceptChanges: TypeAlias = Annotated[
    list[ChangeKind] | None,
    _run_option(
        "--accept-changes",
        help="With --resume: accept that the environment's code has changed. Rollouts that are scored keep "
        "their scores.",
    ),
]
JournalTurns: TypeAlias = Annotated[
    bool,
    _output_option(
        "--journal-turns",
        help="Keep the turns of unfinished rollouts, so that --resume goes on after the last one.",
    ),
]
NoMetrics: TypeAlias = Annotated[
    bool, _output_option("--disable-aggregation", help="Write no file of aggregate metrics.")
]
Json: TypeAlias = Annotated[bool, _output_option("--json", help="Print the summary as JSON.")]
DryRun: TypeAlias = Annotated[
    bool, _run_option("--dry-run", help="Print what would be run, and start nothing.")
]
ModelReady: TypeAlias = Annotated[
    float | None,
    _model_option(
        "--model-ready-timeout",
        min=0,
        help="Seconds to wait for a model endpoint that is being started.",
        metavar="SECONDS",
    ),
]


def sandbox_changes(max_sandboxes: int | None, sandbox_provider: str) -> list[str]:
    """The changes to a configuration that the flags for sandboxes stand for."""
    flags = {"max_sandboxes": max_sandboxes, "sandbox_provider": sandbox_provider}
    return [f"++{key}={value}" for key, value in flags.items() if value]
