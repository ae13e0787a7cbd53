"""The flags of `gym run` that say how to run; those that select a configuration are in `selection`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

_TASKS: Final = "Tasks and rollouts"
_MODEL: Final = "Model"
_ASKED: Final = "Models that the environment asks"
_SAMPLING: Final = "Sampling"
_AGENT: Final = "Agent"
_SERVERS: Final = "Running servers"
_RUNNING: Final = "How it runs"
_OUTPUT: Final = "What is written"

Named: TypeAlias = Annotated[
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
    typer.Option(
        "--input",
        "-i",
        help="Tasks, JSONL. Default: the environment's own.",
        metavar="PATH",
        rich_help_panel=_TASKS,
    ),
]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Rollouts, JSONL. Default: a new file in results/.",
        metavar="PATH",
        rich_help_panel=_TASKS,
    ),
]
Split: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Which of the environment's own tasks or declared data sets. Default: train.",
        metavar="NAME",
        rich_help_panel=_TASKS,
    ),
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option(help="Only the first so many tasks.", metavar="N", rich_help_panel=_TASKS)
]
PromptConfig: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="PATH", help="A YAML file that every task's input is made from.", rich_help_panel=_TASKS
    ),
]

ModelType: TypeAlias = Annotated[
    str,
    typer.Option(
        help="embedded, chat, responses, vllm, sglang, azure, scripted, replay, random, oracle, or a "
        "hosted provider.",
        metavar="NAME",
        rich_help_panel=_MODEL,
    ),
]
ModelName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="The model's name at the endpoint.", metavar="NAME", rich_help_panel=_MODEL
    ),
]
ModelUrls: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="Base URL, for instance http://localhost:8000/v1. Repeat it for copies of one model.",
        metavar="URL",
        rich_help_panel=_MODEL,
    ),
]
ModelSettings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="A setting of the model type. Repeat it for several.",
        rich_help_panel=_MODEL,
    ),
]
ModelKey: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="NEMO_GYM_MODEL_API_KEY",
        show_envvar=True,
        help="Sent as a bearer token.",
        metavar="KEY",
        rich_help_panel=_MODEL,
    ),
]
ModelTimeout: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="For one attempt at a model call. Default: 300.",
        metavar="SECONDS",
        rich_help_panel=_MODEL,
    ),
]
JudgeType: TypeAlias = Annotated[
    str, typer.Option(help="Its type. Default: chat.", metavar="NAME", rich_help_panel=_ASKED)
]
JudgeName: TypeAlias = Annotated[
    str, typer.Option(help="The judge's name at its endpoint.", metavar="NAME", rich_help_panel=_ASKED)
]
JudgeUrl: TypeAlias = Annotated[
    str, typer.Option(help="Its base URL.", metavar="URL", rich_help_panel=_ASKED)
]
JudgeKey: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="NEMO_GYM_JUDGE_API_KEY",
        show_envvar=True,
        help="Sent to it as a bearer token.",
        metavar="KEY",
        rich_help_panel=_ASKED,
    ),
]
Asks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="A setting of a model that the environment asks: judge.url=URL, judge.model=NAME, "
        "judge.api_key_env=VARIABLE, ... Repeat it for several.",
        metavar="NAME.KEY=VALUE",
        rich_help_panel=_ASKED,
    ),
]
Record: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Record every model call, for --model-type replay.", metavar="PATH", rich_help_panel=_MODEL
    ),
]
CaptureDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Folder to keep every model call in; rows tell about their calls.",
        metavar="PATH",
        rich_help_panel=_MODEL,
    ),
]
Temperature: TypeAlias = Annotated[
    float | None, typer.Option(min=0.0, help="How freely it samples.", metavar="X", rich_help_panel=_SAMPLING)
]
TopP: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, help="Only the likeliest tokens up to this.", metavar="X", rich_help_panel=_SAMPLING
    ),
]
MaxOutputTokens: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Of one answer.", metavar="N", rich_help_panel=_SAMPLING)
]

AgentName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--agent",
        "-a",
        help="tool_loop, step_loop, command, ... Default: what fits.",
        metavar="NAME",
        rich_help_panel=_AGENT,
    ),
]
AgentSettings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE", help="An argument of the agent. Repeat it for several.", rich_help_panel=_AGENT
    ),
]
MaxSteps: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, help="Model calls in one rollout at most.", metavar="N", rich_help_panel=_AGENT),
]

EnvironmentUrl: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Act in the environment of a running resources server.", metavar="URL", rich_help_panel=_SERVERS
    ),
]
AgentUrl: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Have a running agent server make the rollouts, with its own model.",
        metavar="URL",
        rich_help_panel=_SERVERS,
    ),
]
NoServe: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-serve",
        help="Each row goes to the running agent that its agent_ref names.",
        rich_help_panel=_SERVERS,
    ),
]
HeadUrl: TypeAlias = Annotated[
    str,
    typer.Option(
        help="The head server that knows the agents, for --no-serve. Default: http://127.0.0.1:11000.",
        metavar="URL",
        rich_help_panel=_SERVERS,
    ),
]
ServerToken: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="NEMO_GYM_SERVER_TOKEN",
        show_envvar=True,
        help="What the servers ask for.",
        metavar="TOKEN",
        rich_help_panel=_SERVERS,
    ),
]

NumRepeats: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Rollouts per task. Default: 1.", metavar="N", rich_help_panel=_TASKS),
]
AddSeed: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--num-repeats-add-seed",
        help="Sample each rollout with its repeat number as seed.",
        rich_help_panel=_TASKS,
    ),
]
Concurrency: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Rollouts in flight. Default: adapts to the endpoint.",
        metavar="N",
        rich_help_panel=_RUNNING,
    ),
]
MaxSandboxes: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Rollouts that may have sandboxes at the same time. Default: two for each core.",
        metavar="N",
        rich_help_panel=_RUNNING,
    ),
]
Workers: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Processes.", metavar="N", rich_help_panel=_RUNNING)
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Fixes tasks, sessions and, where the endpoint can, sampling.",
        metavar="N",
        rich_help_panel=_TASKS,
    ),
]
RolloutTimeout: TypeAlias = Annotated[
    float,
    typer.Option(min=0.001, help="Seconds for one rollout.", metavar="SECONDS", rich_help_panel=_RUNNING),
]
TurnTimeout: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Seconds for one turn's model call, retries included.",
        metavar="SECONDS",
        rich_help_panel=_AGENT,
    ),
]
MaxFailures: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=0, help="Stop once more rollouts than this have failed.", metavar="N", rich_help_panel=_RUNNING
    ),
]
Resume: TypeAlias = Annotated[
    bool, typer.Option("--resume", help="Go on with the run at --output.", rich_help_panel=_RUNNING)
]


class Accepted(StrEnum):
    """What may have changed since the run that is resumed."""

    environment = "environment"


AcceptChanges: TypeAlias = Annotated[
    list[Accepted] | None,
    typer.Option(
        "--accept-changes",
        help="With --resume: go on although the environment's code was changed. What is scored stays so.",
        rich_help_panel=_RUNNING,
    ),
]
NoMetrics: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--disable-aggregation", help="Write no file of aggregate metrics.", rich_help_panel=_OUTPUT
    ),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the summary as JSON.", rich_help_panel=_OUTPUT)
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would be run, and start nothing.", rich_help_panel=_RUNNING),
]
ModelReady: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--model-ready-timeout",
        min=0,
        help="Seconds to wait for a model endpoint that is being started.",
        metavar="SECONDS",
        rich_help_panel=_MODEL,
    ),
]
