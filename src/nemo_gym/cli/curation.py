"""`gym dataset curate`: a file of tasks without duplicates, junk and benchmark tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from nemo_gym.cli.output import echo, number, print_json, print_note
from nemo_gym.cli.selection import Json, SearchDirs
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.datasets.curation.output import Report


def curate(
    input: Annotated[Path, typer.Argument(metavar="INPUT", help="Tasks, JSONL.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file for the rows that stay, unchanged.")
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="BENCHMARK|FILE", help="Leave out rows with a passage of it. Repeatable."),
    ] = None,
    removed: Annotated[
        Path | None, typer.Option(help="The file for the rows that don't stay, with ids and reasons, JSONL.")
    ] = None,
    near: Annotated[
        float, typer.Option(min=0.01, max=1, help="The similarity from which texts are near duplicates.")
    ] = 0.8,
    keep_near: Annotated[bool, typer.Option("--keep-near", help="Keep near duplicates.")] = False,
    by_text: Annotated[
        bool,
        typer.Option(
            "--by-text", help="Leave out rows with the same text also if their other columns differ."
        ),
    ] = False,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Compare this column instead of the input. Repeatable."),
    ] = None,
    ngram: Annotated[int, typer.Option(min=1, help="The words of a passage, for --against.")] = 13,
    min_words: Annotated[int, typer.Option(min=0, help="The fewest words of a text.")] = 3,
    max_words: Annotated[
        int | None, typer.Option(min=1, help="The most words of a text. [default: no limit]")
    ] = None,
    max_repetition: Annotated[
        float, typer.Option(min=0, max=1, help="The largest share of three words that were there before.")
    ] = 0.8,
    max_junk: Annotated[
        float, typer.Option(min=0, max=1, help="The largest share of unreadable characters.")
    ] = 0.05,
    curator: Annotated[
        bool, typer.Option("--curator", help="Filter and remove with a pipeline of NeMo Curator.")
    ] = False,
    curator_python: Annotated[
        str, typer.Option(metavar="PATH", help="The Python in whose environment NeMo Curator is installed.")
    ] = "",
    search_dir: SearchDirs = None,
    json: Json = False,
) -> None:
    """Leave out the duplicates, near duplicates, junk and benchmark tasks of a file.

    Example: gym dataset curate tasks.jsonl -o curated.jsonl --against gsm8k --removed removed.jsonl

    Example: gym dataset curate tasks.jsonl -o curated.jsonl --curator --curator-python curator/bin/python
    """
    from nemo_gym.config.sources import search_roots

    try:
        from nemo_gym.datasets.curation.against import read_against
        from nemo_gym.datasets.curation.curate import CurateSettings
        from nemo_gym.datasets.curation.curate import curate as curate_file
        from nemo_gym.datasets.curation.quality import Limits
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise UsageError("gym dataset curate needs libraries: pip install 'nemo-gym[curate]'") from None
    if curator_python and not curator:
        raise UsageError("--curator-python goes with --curator")
    limits = Limits(
        min_words=min_words, max_words=max_words, max_repetition=max_repetition, max_junk=max_junk
    )
    settings = CurateSettings(
        near=None if keep_near else near,
        by_text=by_text,
        fields=tuple(field or ()),
        ngram=ngram,
        limits=limits,
    )
    roots = search_roots(search_dir or [])
    benchmarks = [read_against(name, roots, ngram) for name in against or ()]
    if curator:
        from nemo_gym.siblings.curator.curate import curate_with_curator

        report = curate_with_curator(input, output, settings, benchmarks, removed, python=curator_python)
    else:
        report = curate_file(input, output, settings, benchmarks, removed)
    if json:
        print_json(msgspec.to_builtins(report))
        return
    _print(report, output, removed)


def _print(report: Report, output: Path, removed: Path | None) -> None:
    echo(f"{number(report.rows)} rows, {number(report.kept)} stay -> {output}")
    for reason, count in sorted(report.removed.items(), key=lambda pair: (-pair[1], pair[0])):
        echo(f"{number(count):>9}  {_WORDS.get(reason, reason)}")
        for one in report.examples[reason][:_SHOWN]:
            of = f" (line {one.of} stays)" if one.of else ""
            detail = f"{one.detail}: " if one.detail else ""
            echo(f"{'':<11}line {one.line}{of}: {detail}{one.text}"[:_WIDTH])
    if removed:
        echo(f"{number(report.rows - report.kept)} rows with their reasons -> {removed}")
    if report.same_text or report.near_text:
        print_note(
            f"{number(report.same_text)} rows with the text of an earlier row, and about "
            f"{number(report.near_text)} with nearly the same, stay because their other columns differ "
            "(--by-text leaves them out)"
        )
    if report.without_text:
        print_note(f"{number(report.without_text)} rows stay that have no text to compare")


_SHOWN: Final = 2
_WIDTH: Final = 160
_WORDS: Final = {
    "duplicate": "duplicates",
    "near_duplicate": "near duplicates",
    "leak": "with a passage of a benchmark",
    "too_short": "too short",
    "too_long": "too long",
    "repetitive": "repetitive",
    "unreadable": "unreadable",
}
