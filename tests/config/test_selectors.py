from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.config.selection import select
from nemo_gym.config.selectors import config_path
from nemo_gym.wire.errors import UsageError


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("{}")


@pytest.mark.parametrize(
    ("file", "flag", "name"),
    [
        ("resources_servers/a/configs/a.yaml", "resources_server", "a"),
        ("resources_servers/a/configs/hard.yaml", "resources_server", "a/hard"),
        ("resources_servers/a/configs/more/hard.yaml", "resources_server", "a/more/hard"),
        ("environments/a/config.yaml", "environment", "a"),
        ("environments/a/a.yaml", "environment", "a"),
        ("resources_servers/a/configs/a.yaml", "environment", "a"),
        ("benchmarks/gpqa/config.yaml", "benchmark", "gpqa"),
        ("benchmarks/gpqa/config_long.yaml", "benchmark", "gpqa/config_long"),
        ("responses_api_models/m/configs/m.yaml", "model_type", "m"),
    ],
)
def test_a_name_is_a_file_in_a_search_root(tmp_path: Path, file: str, flag: str, name: str) -> None:
    touch(tmp_path, file)
    assert config_path(flag, name, [tmp_path / "other", tmp_path]) == file


def test_a_built_in_component_needs_no_file() -> None:
    assert config_path("environment", "mcqa", []) == "resources_servers/mcqa/configs/mcqa.yaml"
    assert config_path("model_type", "vllm_model/vllm_model_for_training", []).endswith("for_training.yaml")


def test_an_unknown_name_says_what_it_implies_the_nearest_and_where_it_was_looked_for(tmp_path: Path) -> None:
    touch(tmp_path, "benchmarks/gpqa/config.yaml")
    with pytest.raises(UsageError) as raised:
        config_path("benchmark", "gpqaa", [tmp_path])
    text = str(raised.value)
    assert text.startswith("benchmark gpqaa means benchmarks/gpqaa/configs/gpqaa.yaml, which does not exist.")
    assert "Did you mean 'gpqa'?" in text
    assert str(tmp_path) in text


def test_an_unknown_flavor_is_met_with_the_nearest_that_there_is(tmp_path: Path) -> None:
    touch(tmp_path, "benchmarks/gpqa/config.yaml", "benchmarks/gpqa/configs/diamond.yaml")
    with pytest.raises(UsageError, match=r"gpqa/diamnd means .* Did you mean 'diamond'\?"):
        config_path("benchmark", "gpqa/diamnd", [tmp_path])
    with pytest.raises(UsageError, match=r"Known: .*together"):
        config_path("model_type", "inference_provider/nope", [tmp_path])


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../b", "", "a//b", "a\nb"])
def test_a_name_that_is_a_way_out_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected NAME or NAME/FLAVOR"):
        config_path("environment", name, [])


def test_words_and_flags_become_files_and_changes() -> None:
    selection = select(
        ["mcqa", "+x=1", "my.py:Env"],
        config=["own.yaml"],
        selectors={"model_type": ["vllm_model"]},
        model="m",
        model_api_key="k",
    )
    assert selection.paths == (
        "own.yaml",
        "responses_api_models/vllm_model/configs/vllm_model.yaml",
        "resources_servers/mcqa/configs/mcqa.yaml",
    )
    assert [(change.key, change.value) for change in selection.overrides] == [
        ("environment", "my.py:Env"),
        ("policy_api_key", "k"),
        ("policy_model_name", "m"),
        ("x", 1),
    ]
