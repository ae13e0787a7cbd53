"""`gym dataset`: check, render, fetch and send data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from nemo_gym.cli import collation, hub
from nemo_gym.cli.selection import SearchDirs
from nemo_gym.cli.texts import echo
from nemo_gym.cli.words import read_asked
from nemo_gym.wire.errors import UsageError

app = typer.Typer(help="Check, render, fetch and send data sets.", no_args_is_help=True)
app.command("collate")(collation.collate)
app.command("download")(hub.download)
app.command("upload")(hub.upload)


class RenderSettings(msgspec.Struct):
    """Named as the keys of a configuration."""

    input_jsonl_fpath: str = ""
    prompt_config: str = ""
    output_jsonl_fpath: str = ""


@app.command()
def render(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="The same by configuration keys.")
    ] = None,
    input: Annotated[Path | None, typer.Option("--input", "-i", help="Rows without an input, JSONL.")] = None,
    prompt_config: Annotated[
        str, typer.Option(metavar="PATH", help="A YAML file that every row's input is made from.")
    ] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The filled rows, JSONL.")] = None,
    search_dir: SearchDirs = None,
) -> None:
    """Fill a prompt into the rows of a file, to look at them or to use them elsewhere.

    Example: gym dataset render -i raw.jsonl --prompt-config prompt.yaml -o tasks.jsonl
    """
    from nemo_gym.config.prompts import load_prompt
    from nemo_gym.config.sources import search_roots
    from nemo_gym.datasets.render import render as render_file

    render_settings = read_asked(
        RenderSettings,
        words or [],
        input_jsonl_fpath=str(input or ""),
        prompt_config=prompt_config,
        output_jsonl_fpath=str(output or ""),
    )
    source, target = render_settings.input_jsonl_fpath, render_settings.output_jsonl_fpath
    if not (source and target and render_settings.prompt_config):
        raise UsageError("needed: --input FILE, --prompt-config FILE and --output FILE")
    prompt = load_prompt(render_settings.prompt_config, search_roots(search_dir or []))
    count = render_file(Path(source), prompt, Path(target))
    echo(f"{count:,} rows -> {target}")


_ANY_WORDS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_ANY_WORDS, hidden=True)
def rm() -> None:
    """Delete a data set from GitLab; not offered."""
    _refuse_gitlab()


@app.command(context_settings=_ANY_WORDS, hidden=True)
def migrate() -> None:
    """Move a data set from GitLab to the hub; not offered."""
    _refuse_gitlab()


def _refuse_gitlab() -> None:
    from nemo_gym.datasets.declared import NO_GITLAB

    raise UsageError(NO_GITLAB)
