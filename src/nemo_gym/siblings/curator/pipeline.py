"""The program that runs in the environment of NeMo Curator: `python pipeline.py score|remove FOLDER`.

It imports nothing of this package but a copy of `ngrams`, which is in FOLDER. `score` scores the rows of
FOLDER/view and writes FOLDER/failed.jsonl, one object for each row that a filter refuses. `remove` leaves out
those rows and the ids of FOLDER/duplicates.jsonl, and writes the other rows to FOLDER/kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

MISSING = 3
"""The exit code for an environment without NeMo Curator."""


def main() -> None:
    """Run one half of the curation."""
    step, folder = sys.argv[1], Path(sys.argv[2])
    try:
        import_module("nemo_curator.stages.text.filters.heuristic.string")
        import_module("nemo_curator.backends.ray_data")
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(MISSING)
    filters = _filters(json.loads((folder / "plan.json").read_bytes()), folder)
    _score(folder, filters) if step == "score" else _remove(folder, filters)


def _score(folder: Path, filters: dict[str, tuple[Any, str]]) -> None:
    module = import_module("nemo_curator.stages.text.filters")
    objects, fields = zip(*filters.values(), strict=True)
    score = module.Score(list(objects), score_field=list(filters), text_field=list(fields))
    _run("score", folder / "view", folder / "scored", [score])
    with (folder / "failed.jsonl").open("w") as file:
        for row in _rows(folder / "scored"):
            for name, (one, _) in filters.items():
                if not one.keep_document(row[name]):
                    file.write(json.dumps({"id": row["id"], "filter": name, "score": row[name]}) + "\n")
                    break


def _remove(folder: Path, filters: dict[str, tuple[Any, str]]) -> None:
    filter_stage = import_module("nemo_curator.stages.text.filters").Filter
    removal = import_module("nemo_curator.stages.text.deduplication.removal").TextDuplicatesRemovalStage
    with (folder / "duplicates.jsonl").open() as file:
        ids = [json.loads(line)["id"] for line in file]
    pyarrow: Any = import_module("pyarrow")
    table = pyarrow.table({"id": pyarrow.array(ids, pyarrow.string())})
    import_module("pyarrow.parquet").write_table(table, folder / "duplicates.parquet")
    stages = [removal(str(folder / "duplicates.parquet"), id_field="id")]
    stages += [filter_stage(one, filter_field=name) for name, (one, _) in filters.items()]
    _run("remove", folder / "scored", folder / "kept", stages)


def _run(name: str, source: Path, target: Path, stages: list[Any]) -> None:
    """Read the files of one folder, run the stages, and write the files of another."""
    pipeline = import_module("nemo_curator.pipeline").Pipeline(name=name)
    reader = import_module("nemo_curator.stages.text.io.reader").JsonlReader
    writer = import_module("nemo_curator.stages.text.io.writer").JsonlWriter
    target.mkdir()
    for stage in (reader(str(source), files_per_partition=1), *stages, writer(str(target))):
        pipeline.add_stage(stage)
    pipeline.run(import_module("nemo_curator.backends.ray_data").RayDataExecutor())


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.iterdir()):
        with path.open() as file:
            yield from map(json.loads, file)


def _filters(plan: dict[str, Any], folder: Path) -> dict[str, tuple[Any, str]]:
    """Each filter and the column that it reads, by the column of its scores."""
    heuristic = "nemo_curator.stages.text.filters.heuristic"
    string, repetition = import_module(f"{heuristic}.string"), import_module(f"{heuristic}.repetition")
    limits = plan["limits"]
    words = string.WordCountFilter(limits["min_words"], limits["max_words"] or sys.maxsize)
    repeated = repetition.RepeatingDuplicateNGramsFilter(REPEATED, limits["max_repetition"])
    symbols = string.NonAlphaNumericFilter(plan["max_symbols"])
    adapted = _adapted_filter()
    filters = {
        "word_count": (adapted(words, _words), "text"),
        "alpha_numeric": (adapted(symbols, _letters), "text"),
        "repetition": (adapted(repeated, _long_words), "text"),
    }
    leaks = leak_filter()
    for place, name in enumerate(plan["benchmarks"]):
        for column in ("text", "system"):
            filters[f"leak_{place}_{column}"] = (leaks(folder / name), column)
    return filters


REPEATED = 3
"""The words of a passage that is repeated."""
LEAST_LONG_WORDS = 30
"""Shorter texts are not repetitive."""


def _adapted_filter() -> Callable[..., Any]:
    """The class of a filter of Curator that gets another text than the row's. Curator finds words at spaces
    and letters in English only: to it, a Chinese sentence is one word without letters."""
    base: Any = import_module("nemo_curator.stages.text.filters").DocumentFilter

    class AdaptedFilter(base):
        def __init__(self, inner: Any, adapt: Callable[[str], str | None]) -> None:
            base.__init__(self)
            self._name = inner.name
            self._inner, self._adapt = inner, adapt

        def score_document(self, text: str) -> float:
            """The score of the filter; 0.0 when there is too little text for it."""
            adapted = self._adapt(text)
            return 0.0 if adapted is None else float(self._inner.score_document(adapted))

        def keep_document(self, scores: float) -> bool:
            return self._inner.keep_document(scores)

    return AdaptedFilter


def _words(text: str) -> str:
    return " ".join(import_module("gym_ngrams").Tokens.of(text).words.texts)


def _long_words(text: str) -> str | None:
    words = import_module("gym_ngrams").Tokens.of(text).long_words.texts
    return " ".join(words) if len(words) >= LEAST_LONG_WORDS else None


def _letters(text: str) -> str:
    return "".join("a" if one.isalnum() or one.isspace() else one for one in text)


def leak_filter() -> Callable[[Path], Any]:
    """The class of a `DocumentFilter` that refuses texts with a passage of a benchmark."""
    base: Any = import_module("nemo_curator.stages.text.filters").DocumentFilter
    ngrams: Any = import_module("gym_ngrams")

    class LeakFilter(base):
        def __init__(self, path: Path) -> None:
            base.__init__(self)
            self._name = "leak"
            self._path = path
            self._benchmark = ngrams.Benchmark.load(path)

        def score_document(self, text: str) -> float:
            """1.0 for a text with a passage of the benchmark, else 0.0."""
            return float(self._benchmark.find(ngrams.Tokens.of(text).words) is not None)

        def keep_document(self, scores: float) -> bool:
            return scores == 0.0

    return LeakFilter


if __name__ == "__main__":
    main()
