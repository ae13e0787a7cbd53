"""The flags of `gym run` that say how to run; those that select a configuration are in `selection`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Named: TypeAlias = Annotated[
    str, typer.Argument(help="A name (`gym env list`), `path.py`, `path.py:Class` or `path.py:function`.")
]
Changes: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help="Settings of the environment, or changes to the configuration."
    ),
]

Input: TypeAlias = Annotated[
    Path | None, typer.Option("--input", "-i", help="Tasks, JSONL. Default: the environment's own.")
]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", help="Rollouts, JSONL. Default: a new file in results/.")
]
Split: TypeAlias = Annotated[
    str, typer.Option(help="Which of the environment's own tasks or declared data sets. [default: train]")
]
Limit: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")]
PromptConfig: TypeAlias = Annotated[
    str, typer.Option(metavar="PATH", help="A YAML file that every task's input is made from.")
]

ModelType: TypeAlias = Annotated[
    str,
    typer.Option(
        help="embedded, chat, responses, vllm, sglang, azure, scripted, replay, random, oracle, or a "
        "hosted provider."
    ),
]
ModelName: TypeAlias = Annotated[str, typer.Option("--model", "-m", help="The model's name at the endpoint.")]
ModelUrls: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Base URL, for instance http://localhost:8000/v1. Repeat it for copies of one model."),
]
ModelSettings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A setting of the model type. Repeat it for several."),
]
ModelKey: TypeAlias = Annotated[
    str, typer.Option(envvar="NEMO_GYM_MODEL_API_KEY", show_envvar=True, help="Sent as a bearer token.")
]
ModelTimeout: TypeAlias = Annotated[
    float | None, typer.Option(min=0.001, help="Seconds for one attempt at a model call. [default: 300]")
]
Record: TypeAlias = Annotated[
    Path | None, typer.Option(help="Record every model call, for --model-type replay.")
]
CaptureDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Folder to keep every model call in; rows tell about their calls."),
]
Temperature: TypeAlias = Annotated[float | None, typer.Option(min=0.0)]
TopP: TypeAlias = Annotated[float | None, typer.Option(min=0.0, max=1.0)]
MaxOutputTokens: TypeAlias = Annotated[int | None, typer.Option(min=1)]

AgentName: TypeAlias = Annotated[
    str, typer.Option("--agent", "-a", help="tool_loop, step_loop, command, ... Default: what fits.")
]
AgentSettings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="An argument of the agent. Repeat it for several."),
]
MaxSteps: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Model calls in one rollout at most.")]

EnvironmentUrl: TypeAlias = Annotated[
    str, typer.Option(help="Act in the environment of a running resources server.")
]
AgentUrl: TypeAlias = Annotated[
    str, typer.Option(help="Have a running agent server make the rollouts, with its own model.")
]
NoServe: TypeAlias = Annotated[
    bool, typer.Option("--no-serve", help="Each row goes to the running agent that its agent_ref names.")
]
HeadUrl: TypeAlias = Annotated[
    str,
    typer.Option(
        help="The head server that knows the agents, for --no-serve. [default: http://127.0.0.1:11000]"
    ),
]
ServerToken: TypeAlias = Annotated[
    str, typer.Option(envvar="NEMO_GYM_SERVER_TOKEN", show_envvar=True, help="What the servers ask for.")
]

NumRepeats: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Rollouts per task. [default: 1]")]
AddSeed: TypeAlias = Annotated[
    bool, typer.Option("--num-repeats-add-seed", help="Sample each rollout with its repeat number as seed.")
]
Concurrency: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Rollouts in flight. Default: adapts to the endpoint.")
]
Workers: TypeAlias = Annotated[int, typer.Option(min=1, help="Processes.")]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(help="Fixes tasks, sessions and, where the endpoint can, sampling.")
]
RolloutTimeout: TypeAlias = Annotated[float, typer.Option(min=0.001, help="Seconds for one rollout.")]
TurnTimeout: TypeAlias = Annotated[
    float | None,
    typer.Option(min=0.001, help="Seconds for one turn's model call, retries included."),
]
MaxFailures: TypeAlias = Annotated[
    int | None, typer.Option(min=0, help="Stop once more rollouts than this have failed.")
]
Resume: TypeAlias = Annotated[bool, typer.Option("--resume", help="Go on with the run at --output.")]


class Accepted(StrEnum):
    """What may have changed since the run that is resumed."""

    environment = "environment"


AcceptChanges: TypeAlias = Annotated[
    list[Accepted] | None,
    typer.Option(
        "--accept-changes",
        help="With --resume: go on although the environment's code was changed. What is scored stays so.",
    ),
]
NoMetrics: TypeAlias = Annotated[
    bool, typer.Option("--disable-aggregation", help="Write no file of aggregate metrics.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be run, and start nothing.")
]
ModelReady: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--model-ready-timeout", min=0, help="Seconds to wait for a model endpoint that is being started."
    ),
]
