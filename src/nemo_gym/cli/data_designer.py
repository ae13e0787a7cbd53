"""`gym data-designer`: data sets of NeMo Data Designer as tasks, and configurations that make them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from nemo_gym.cli.output import echo, print_error, print_json
from nemo_gym.cli.selection import Json
from nemo_gym.cli.words import read_settings
from nemo_gym.wire.errors import UsageError

app = typer.Typer(help="Work with NeMo Data Designer.", no_args_is_help=True)

ModelUrl = Annotated[str, typer.Option(help="An endpoint that speaks the OpenAI API.")]
ModelName = Annotated[str, typer.Option("--model", "-m", help="The model's name there.")]


@app.callback()
def group() -> None:
    """Work with NeMo Data Designer."""


@app.command("import")
def import_dataset(
    source: Annotated[
        Path, typer.Argument(help="A data set's folder, ARTIFACTS/DATASET, a Parquet file or JSONL.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file of tasks.")],
    mapping: Annotated[
        Path | None, typer.Option(help="A YAML file: which columns become the input, the answer and so on.")
    ] = None,
    preset: Annotated[str, typer.Option(help="The mapping of this preset.")] = "",
    environment: Annotated[
        str, typer.Option(help="The environment that checks each task. [default: that of the mapping]")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many records.")] = None,
    json: Json = False,
) -> None:
    """Write a data set of Data Designer as tasks. Records that are no task are named and counted.

    Without a mapping, the rows of its `schema_transform` processor `gym_tasks` are the tasks.

    Example: gym data-designer import artifacts/dataset --preset math_word_problems -o tasks.jsonl
    """
    from nemo_gym.siblings.data_designer.mapping import load_mapping
    from nemo_gym.siblings.data_designer.presets import find_preset
    from nemo_gym.siblings.data_designer.tasks import import_tasks, left_out_lines

    if mapping and preset:
        raise UsageError("--mapping and --preset exclude each other: give one")
    chosen = load_mapping(mapping) if mapping else find_preset(preset).mapping if preset else None
    report = import_tasks(source, output, chosen, environment=environment, limit=limit)
    for line in left_out_lines(report, MOST_LINES):
        print_error(line)
    if json:
        print_json(report)
    else:
        left_out = f", {len(report.left_out):,} left out" if report.left_out else ""
        echo(f"{report.records:,} records -> {report.tasks:,} tasks{left_out} -> {report.path}")
    if not report.tasks:
        raise typer.Exit(1)


MOST_LINES: Final = 100
"""How many records are named with a line each; the others are only counted."""


@app.command()
def presets(json: Json = False) -> None:
    """List the shipped configurations whose data sets are tasks.

    Example: gym data-designer presets
    """
    from nemo_gym.siblings.data_designer.presets import find_preset, preset_names

    rows = [find_preset(name) for name in preset_names()]
    if json:
        print_json(
            [
                {"name": one.name, "environment": one.mapping.environment, "about": one.mapping.description}
                for one in rows
            ]
        )
        return
    for one in rows:
        echo(f"{one.name:<24} {one.mapping.description}")


@app.command()
def preset(
    name: Annotated[str, typer.Argument(help="One of `gym data-designer presets`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file of the configuration.")],
    model_url: ModelUrl = "",
    model: ModelName = "",
) -> None:
    """Write the configuration of a preset. Data Designer runs it: `gym data-designer create`.

    Example: gym data-designer preset sql -o config.yaml --model-url http://localhost:8000/v1 -m my-model
    """
    from nemo_gym.siblings.data_designer.presets import write_preset

    for path in write_preset(name, output, model_url=model_url, model=model):
        echo(str(path))


@app.command()
def create(
    config: Annotated[Path, typer.Argument(help="A configuration of Data Designer, YAML.")],
    num_records: Annotated[int, typer.Option("--num-records", "-n", min=1, help="Records to generate.")] = 40,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of its data sets.")] = Path(
        "artifacts"
    ),
    name: Annotated[str, typer.Option(help="The data set's name, a folder in it.")] = "dataset",
    model_url: ModelUrl = "",
    model: ModelName = "",
    model_api_key: Annotated[
        str, typer.Option(help="The key, or the environment variable that holds it.")
    ] = "",
) -> None:
    """Run Data Designer on a configuration. Providers named gym-ENVIRONMENT are its tools over MCP.

    Example: gym data-designer create config.yaml -n 40 --model-url http://localhost:8000/v1 -m my-model
    """
    from nemo_gym.siblings.data_designer.generation import create_dataset

    folder = create_dataset(
        config,
        output,
        records=num_records,
        name=name,
        model_url=model_url,
        model=model,
        api_key=model_api_key,
    )
    echo(str(folder))


@app.command()
def validate(config: Annotated[Path, typer.Argument(help="A configuration of Data Designer, YAML.")]) -> None:
    """Check a configuration with Data Designer's own validation.

    Example: gym data-designer validate config.yaml
    """
    from nemo_gym.siblings.data_designer.generation import validate_config

    validate_config(config)
    echo(f"{config} is valid")


@app.command()
def tools(
    environment: Annotated[str, typer.Argument(help="A name, `path.py` or `path.py:Class`.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the environment.")
    ] = None,
    input: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="A file of tasks: every session has the first one."),
    ] = None,
) -> None:
    """Serve an environment's tools to an MCP client over standard input and output, as a `stdio` provider.

    Every call gets a fresh session, because Data Designer shares one connection among its records.

    Example: gym data-designer tools workplace_assistant
    """
    from nemo_gym.siblings.data_designer.tool_server import serve_tools

    serve_tools(environment, read_settings(settings or []), input)
