"""Collating data sets: what is written, what is left out, and what is compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.config.datasets import Dataset, HuggingFaceSource
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.instances import Instance
from nemo_gym.datasets.collate import Collation, MetricsConflict, collate
from nemo_gym.datasets.declared import MODES, declared_parts, fetch_missing, origin
from nemo_gym.datasets.metrics_file import differences
from nemo_gym.datasets.settings import CollateSettings, settings_of
from nemo_gym.wire.errors import DataError, UsageError
from tests.conftest import read_rows


def row(number: int, **columns: Any) -> dict[str, Any]:
    return {"responses_create_params": {"input": f"task {number}"}, "number": number, **columns}


def write(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    return path


def agent(name: str, *datasets: Dataset) -> Instance:
    return Instance(name, "responses_api_agents", "simple_agent", {}, "app.py", datasets=datasets)


def dataset(path: str, type: Any = "train", **fields: Any) -> Dataset:
    return Dataset(name=Path(path).stem, type=type, jsonl_fpath=path, license="MIT", **fields)


class Bench:
    """A folder with data sets, and collating them into `out`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left_out: list[tuple[str, int, str]] = []

    def __call__(self, *agents: Instance, mode: str = "train_preparation", **options: Any) -> list[Collation]:
        self.left_out = []
        return collate(
            declared_parts(agents, MODES[mode], [self.folder]),
            self.folder / "out",
            refused=lambda path, line, problem: self.left_out.append((path.name, line, problem)),
            **options,
        )

    def rows(self, name: str) -> list[dict[str, Any]]:
        return read_rows(self.folder / name)

    def metrics(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / name).read_text())

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_data_sets_are_repeated_stamped_and_written_together_by_type(bench: Bench) -> None:
    write(bench.folder / "a.jsonl", row(0), row(1, agent_ref={"name": "stale"}))
    write(bench.folder / "b.jsonl", row(2))
    write(bench.folder / "c.jsonl", row(3))
    write(bench.folder / "e.jsonl", row(4))
    first = agent("one", dataset("a.jsonl", num_repeats=2), dataset("c.jsonl", "validation"))
    made = bench(first, agent("two", dataset("b.jsonl"), dataset("e.jsonl", "example")))
    out = bench.folder / "out"
    assert made == [
        Collation("train", out / "train.jsonl", 5, 0),
        Collation("validation", out / "validation.jsonl", 1, 0),
    ]
    rows = bench.rows("out/train.jsonl")
    assert [(one["number"], one["agent_ref"]["name"]) for one in rows] == [
        (0, "one"), (0, "one"), (1, "one"), (1, "one"), (2, "two"),
    ]  # fmt: skip
    assert rows[:4] == bench.rows("a_prepare.jsonl")
    assert rows[0]["agent_ref"]["type"] == "responses_api_agents"
    assert bench.metrics("a_metrics.json")["num_repeats"] == 2
    assert bench.metrics("a_metrics.json")["Number of examples"] == 4
    together = bench.metrics("out/train_metrics.json")
    assert (together["name"], together["Number of examples"], together["number"]["Max"]) == ("a", 5, 2.0)
    assert "e_metrics.json" not in bench.files()


def test_rows_that_are_no_requests_are_named_and_left_out_everywhere(bench: Bench) -> None:
    bad = [
        {"responses_create_params": {"input": "a", "temperatur": 1}, "number": 9},
        {"responses_create_params": {"input": "a", "temperature": "hot"}},
        {"number": 1},
        {"responses_create_params": {"tools": []}},
    ]
    write(bench.folder / "a.jsonl", row(0), *bad, row(1))
    (made,) = bench(agent("one", dataset("a.jsonl")))
    assert (made.rows, made.refused) == (2, 4)
    assert [(name, line) for name, line, _ in bench.left_out] == [("a.jsonl", line) for line in (2, 3, 4, 5)]
    problems = [problem for _, _, problem in bench.left_out]
    assert "temperatur: unknown field. Did you mean 'temperature'" in problems[0]
    assert problems[1] == "responses_create_params.temperature: Expected `float | null`, got `str`"
    assert [one["number"] for one in bench.rows("out/train.jsonl")] == [0, 1]
    assert bench.metrics("a_metrics.json")["number"]["Max"] == 1.0


def test_a_prompt_makes_the_input_before_a_row_is_checked(bench: Bench) -> None:
    (bench.folder / "p.yaml").write_text("user: What is {what}?\nsystem: Be brief.\n")
    write(bench.folder / "a.jsonl", {"what": "x"}, {"thing": "y"}, row(1, what="z"))
    benchmark = dataset("a.jsonl", "benchmark", prompt_config="p.yaml", prepare_script="make.py")
    bench(agent("one", benchmark))
    (made,) = bench.rows("out/benchmark.jsonl")
    assert [item["content"] for item in made["responses_create_params"]["input"]] == [
        "Be brief.",
        "What is x?",
    ]
    assert [line for _, line, _ in bench.left_out] == [2, 3]
    assert "prompt_config" not in bench.metrics("a_metrics.json")


def test_a_broken_line_ends_it_and_nothing_is_written(bench: Bench) -> None:
    write(bench.folder / "a.jsonl", row(0))
    write(bench.folder / "b.jsonl", row(0))
    with (bench.folder / "b.jsonl").open("a") as file:
        file.write('{"torn')
    with pytest.raises(DataError, match=r"b\.jsonl:2: not valid JSON"):
        bench(agent("one", dataset("a.jsonl"), dataset("b.jsonl")))
    assert bench.files() == {"a.jsonl", "b.jsonl"}


def test_a_data_set_without_a_valid_row_is_an_error(bench: Bench) -> None:
    write(bench.folder / "a.jsonl", {"number": 1})
    with pytest.raises(UsageError, match=r"a\.jsonl: there is no valid row"):
        bench(agent("one", dataset("a.jsonl")))


def test_other_metrics_than_before_are_a_conflict_until_they_are_overwritten(bench: Bench) -> None:
    path = write(bench.folder / "a.jsonl", row(0), row(1))
    one = agent("one", dataset("a.jsonl"))
    bench(one)
    before = bench.files()
    bench(one)
    assert bench.files() == before
    write(path, row(0), row(5))
    old = (bench.folder / "out/train.jsonl").read_text()
    with pytest.raises(MetricsConflict, match=r"a_metrics\.json: number: Average: was 0\.5, is 2\.5"):
        bench(one)
    assert (bench.folder / "out/train.jsonl").read_text() == old
    assert bench.metrics("a_metrics.json")["number"]["Max"] == 1.0
    assert bench.metrics("a_metrics_conflict.json")["number"]["Max"] == 5.0
    assert bench.files() == before | {"a_metrics_conflict.json", "out/train_metrics_conflict.json"}
    bench(one, overwrite_conflicts=True)
    assert bench.metrics("a_metrics.json")["number"]["Max"] == 5.0
    assert bench.files() == before


def test_metrics_that_are_no_metrics_are_an_error(bench: Bench) -> None:
    write(bench.folder / "a.jsonl", row(0))
    (bench.folder / "a_metrics.json").write_text("{")
    with pytest.raises(UsageError, match=r"a_metrics\.json: not valid JSON"):
        bench(agent("one", dataset("a.jsonl")))


@pytest.mark.parametrize(
    ("before", "now", "differs"),
    [
        (1.0, 1.0049, False),
        (1.0, 1.0051, True),
        (0.5, 0.5004, False),
        (0.5, 0.5006, True),
        (0.9999, 1.003, False),
        (-2.0, -2.004, False),
        (10**400, 1.0, True),
        ("MIT", "MIT ", True),
        (True, 1, False),
        (None, 0, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, 1, True),
    ],
)
def test_numbers_may_differ_a_little_and_nothing_else(before: Any, now: Any, differs: bool) -> None:
    assert bool(differences({"figure": before}, {"figure": now})) is differs


def test_files_that_would_be_written_over_are_refused(bench: Bench) -> None:
    write(bench.folder / "out" / "train.jsonl", row(0))
    with pytest.raises(UsageError, match="would be written over"):
        bench(agent("one", dataset("out/train.jsonl")))
    write(bench.folder / "a.jsonl", row(0))
    with pytest.raises(UsageError, match=r"data set 'a'.*would be written over"):
        bench(agent("one", dataset("a.jsonl")), agent("two", dataset("a.jsonl")))


def test_all_data_sets_without_a_file_are_named_and_how_to_get_them(bench: Bench) -> None:
    one = agent(
        "one",
        dataset("a.jsonl", source=HuggingFaceSource("acme/sums")),
        dataset("b.jsonl", "validation", huggingface_identifier={"repo_id": "acme/old"}),
        dataset("c.jsonl", "benchmark", prepare_script="make.py"),
        dataset("d.jsonl"),
    )
    with pytest.raises(UsageError) as caught:
        bench(one)
    assert str(caught.value).splitlines()[1:] == [
        "  one: data set 'a' has no file a.jsonl: `gym dataset collate --download` gets it from acme/sums",
        "  one: data set 'b' has no file b.jsonl: `gym dataset collate --download` gets it from acme/old",
        "  one: data set 'c' has no file c.jsonl: `gym eval prepare` makes it with make.py",
        "  one: data set 'd' has no file d.jsonl: put it there",
    ]


def test_a_mode_without_data_sets_says_what_there_is(bench: Bench) -> None:
    with pytest.raises(UsageError, match="no data set of type example: there is train"):
        bench(agent("one", dataset("a.jsonl")), mode="example_validation")
    with pytest.raises(UsageError, match="no data set of type train or validation or benchmark: none is"):
        bench(agent("one"))


def test_the_older_pair_is_chosen_from_by_the_store_that_is_asked_for() -> None:
    gitlab = {"dataset_name": "a", "version": "1", "artifact_fpath": "a.jsonl"}
    pair = dataset("a.jsonl", huggingface_identifier={"repo_id": "a/b"}, gitlab_identifier=gitlab)
    assert type(origin(pair, "huggingface")).__name__ == "HuggingFaceSource"
    assert type(origin(pair, "gitlab")).__name__ == "GitlabSource"
    assert (
        type(origin(dataset("a.jsonl", gitlab_identifier=gitlab), "huggingface")).__name__ == "GitlabSource"
    )
    with pytest.raises(UsageError, match="huggingface_identifier: Object contains unknown field `repo`"):
        origin(dataset("a.jsonl", huggingface_identifier={"repo": "a/b"}), "huggingface")


def test_gitlab_is_not_offered_and_says_what_is(tmp_path: Path) -> None:
    gitlab = {"dataset_name": "a", "version": "1", "artifact_fpath": "a.jsonl"}
    one = agent("one", dataset("a.jsonl", gitlab_identifier=gitlab))
    with pytest.raises(UsageError, match=r"'a' has no file.*GitLab.*not offered.*gym dataset upload"):
        fetch_missing([one], ["train"], [tmp_path])


def test_settings_come_from_the_configuration_and_flags_win() -> None:
    tree = {"mode": "example_validation", "output_dirpath": "a", "should_download": True, "other": 1}
    asked = settings_of(CollateSettings, tree, mode=None, output_dirpath="b", should_download=False)
    assert asked == CollateSettings("b", "example_validation", should_download=True)
    with pytest.raises(ConfigError, match="Invalid enum value 'all' - at `mode`"):
        settings_of(CollateSettings, {"mode": "all"})
