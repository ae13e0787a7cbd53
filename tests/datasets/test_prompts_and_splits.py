"""Prompts rendered into files, the original names for it, and which files of a repository are which split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nemo_gym.prompt import (
    PromptConfig,
    apply_prompt_to_row,
    fill_prompt,
    load_prompt_config,
    materialize_prompts,
    validate_prompt_compatibility,
)

from nemo_gym.datasets.render import render
from nemo_gym.datasets.splits import find_splits
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.prompt import Prompt
from tests.conftest import read_rows

PROMPT = Prompt("p.yaml", "What is {what}?", "Be brief.")


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    return path


def contents(row: dict[str, Any]) -> list[str]:
    return [item["content"] for item in row["responses_create_params"]["input"]]


def test_a_file_is_rendered_whole(tmp_path: Path) -> None:
    params = {"temperature": 0.5}
    source = write(tmp_path / "a.jsonl", {"what": "x", "responses_create_params": params}, {"what": 2})
    assert render(source, PROMPT, tmp_path / "made" / "b.jsonl") == 2
    first, second = read_rows(tmp_path / "made" / "b.jsonl")
    assert contents(first) == ["Be brief.", "What is x?"]
    assert contents(second) == ["Be brief.", "What is 2?"]
    assert (first["prompt_config_used"], first["responses_create_params"]["temperature"]) == ("p.yaml", 0.5)


def test_all_rows_that_the_prompt_does_not_fit_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    own = {"what": "x", "responses_create_params": {"input": "mine"}}
    source = write(
        tmp_path / "a.jsonl",
        {"what": "x"},
        own,
        {"why": 1},
        own,
        {"what": 1, "responses_create_params": 3},
    )
    with pytest.raises(DataError) as caught:
        render(source, PROMPT, tmp_path / "b.jsonl")
    assert "lines 2, 4: the row has an input of its own; line 3: no column 'what'" in str(caught.value)
    assert "line 5: responses_create_params: expected an object, got int" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    with pytest.raises(UsageError, match="nothing in it"):
        render(write(tmp_path / "empty.jsonl"), PROMPT, tmp_path / "b.jsonl")


def test_the_original_names_fill_prompts_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("user: What is {what}?\nsystem: Be brief.\n")
    config = load_prompt_config("p.yaml")
    assert config == PromptConfig(user="What is {what}?", system="Be brief.")
    assert fill_prompt(config, {"what": "x"})[1] == {"role": "user", "content": "What is x?"}
    given = {"what": "x", "responses_create_params": {"input": "old", "top_p": 1}}
    assert contents(apply_prompt_to_row(given, config)) == ["Be brief.", "What is x?"]
    write(tmp_path / "a.jsonl", {"what": "x"})
    materialize_prompts("a.jsonl", "p.yaml", "b.jsonl")
    (made,) = read_rows(tmp_path / "b.jsonl")
    assert made["prompt_config_used"] == "p.yaml"
    with pytest.raises(KeyError, match="no column 'what'"):
        fill_prompt(config, {"that": 1})
    with pytest.raises(ValueError, match=r"rows 0, 2: the row has an input.*row 1: no column 'what'"):
        validate_prompt_compatibility([given, {}, given], config)
    with pytest.raises(ValueError, match="line 1: no column"):
        materialize_prompts(str(write(tmp_path / "c.jsonl", {"that": 1})), "p.yaml", "b.jsonl")
    with pytest.raises(FileNotFoundError, match=r"other\.yaml"):
        load_prompt_config("other.yaml")
    Path("p.yaml").write_text("usr: x\n")
    with pytest.raises(ValueError, match="usr"):
        load_prompt_config("p.yaml")


FILES = ["README.md", "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "dev.jsonl"]


@pytest.mark.parametrize(
    ("files", "card", "splits"),
    [
        (FILES, {}, {"train": FILES[1:3], "validation": FILES[3:]}),
        (["a.jsonl", "b.jsonl", "c.txt"], {}, {"train": ["a.jsonl", "b.jsonl"]}),
        (["strain.jsonl", "my_test.jsonl"], {}, {"test": ["my_test.jsonl"]}),
        (["README.md"], {}, {}),
        (FILES, {"configs": "?"}, {"train": FILES[1:3], "validation": FILES[3:]}),
        (FILES, {"configs": [{"data_files": "dev.jsonl"}]}, {"train": ["dev.jsonl"]}),
        (
            FILES,
            {
                "configs": [
                    {"config_name": "other", "data_files": "nothing"},
                    {
                        "config_name": "default",
                        "data_files": [
                            {"split": "easy", "path": "data/*"},
                            {"split": "hard", "path": ["dev.jsonl", "x"]},
                            {"split": "../../evil", "path": "dev.jsonl"},
                        ],
                    },
                ]
            },
            {"easy": FILES[1:3], "hard": ["dev.jsonl"]},
        ),
    ],
)
def test_splits_are_what_the_card_says_or_what_files_are_called_after(
    files: list[str], card: dict[str, Any], splits: dict[str, list[str]]
) -> None:
    assert find_splits(files, card) == splits


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["configs", "data_files", "split", "path", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.just("configs"), json_values))
def test_whatever_a_card_says_no_split_is_called_like_a_path(card: dict[str, Any]) -> None:
    assert all("/" not in split and not split.startswith(".") for split in find_splits(FILES, card))
