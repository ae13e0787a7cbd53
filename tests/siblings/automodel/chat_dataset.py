"""NeMo AutoModel's `ChatDataset` reads exported rollouts: `make test-siblings-automodel`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from nemo_automodel.components.datasets.llm.chat_dataset import ChatDataset
from transformers import PreTrainedTokenizerFast

from nemo_gym.wire.rollout import Rollout
from tests.support.byte_tokenizer import TEMPLATE, answers, tokenizer, whole_text
from tests.support.exported_texts import READERS, joined, said, turn_of
from tests.support.workplace_run import pieces, prompt_texts, write_workplace_run

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Rollout]]:
    return write_workplace_run(tmp_path_factory.mktemp("run"))


def exported(run: Path, format: str, *words: str) -> str:
    """The path of an export by the command line."""
    target = run.with_name(f"{format}.jsonl" if format != "parquet" else "rows.parquet")
    command = [sys.executable, "-m", "nemo_gym", "export", run, "--format", format, "-o", target, *words]
    subprocess.run(command, check=True, capture_output=True)
    return str(target)


def supervised(fast: PreTrainedTokenizerFast, sample: dict[str, Any]) -> str:
    return fast.decode([label for label in sample["labels"] if label != -100], skip_special_tokens=False)


def test_what_is_trained_on_is_exactly_what_the_policy_said(run: tuple[Path, list[Rollout]]) -> None:
    path, rollouts = run
    fast = tokenizer()
    dataset = ChatDataset(exported(path, "sft"), fast)

    assert len(dataset) == len(rollouts) == 500
    assert {one.reward for one in rollouts} == {0.0, 1.0}
    for rollout, sample in zip(rollouts, (dataset[place] for place in range(500)), strict=True):
        assert supervised(fast, sample) == "".join(answers(rollout))
        text = fast.decode(sample["input_ids"], skip_special_tokens=False)
        assert f"{text}<|end|>" == whole_text(rollout)


def test_rows_with_a_least_reward_are_those_rollouts(run: tuple[Path, list[Rollout]]) -> None:
    path, rollouts = run
    fast = tokenizer()
    good = [rollout for rollout in rollouts if rollout.reward == 1.0]
    dataset = ChatDataset(exported(path, "sft", "--min-reward", "1"), fast)

    assert len(dataset) == len(good) > 100
    for place in range(0, len(good), 10):
        assert supervised(fast, dataset[place]) == "".join(answers(good[place]))


def test_without_marks_in_the_template_the_answers_with_their_headers_are_trained_on(
    run: tuple[Path, list[Rollout]],
) -> None:
    path, rollouts = run
    fast = tokenizer()
    plain = TEMPLATE.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")
    dataset = ChatDataset(exported(path, "sft"), fast, chat_template=plain, mask_generation_prompt=True)

    for place in range(0, 500, 25):
        assert supervised(fast, dataset[place]) == "".join(answers(rollouts[place]))


@pytest.mark.parametrize("format", READERS)
def test_the_datasets_library_reads_every_text(
    run: tuple[Path, list[Rollout]], tmp_path: Path, format: str
) -> None:
    path, rollouts = run
    kind = "parquet" if format == "parquet" else "json"
    rows = load_dataset(
        kind, data_files=exported(path, format), split="train", cache_dir=str(tmp_path / "cache")
    )

    texts = [text for row in rows for text in READERS[format](row)]
    assert len(texts) >= (200 if format.startswith("dpo") else 500)
    for place, prompt, completion in texts:
        assert prompt == prompt_texts(rollouts[place])
        assert completion == pieces(rollouts[place])


def test_the_datasets_library_keeps_the_schemas_of_tools(
    run: tuple[Path, list[Rollout]], tmp_path: Path
) -> None:
    path, rollouts = run
    rows = load_dataset("json", data_files=exported(path, "sft"), split="train", cache_dir=str(tmp_path))
    for rollout, row in zip(rollouts[:20], rows, strict=False):
        offered = rollout.row["responses_create_params"]["tools"]
        assert [one["function"]["parameters"] for one in row["tools"]] == [
            one["parameters"] for one in offered
        ]


def test_the_datasets_library_reads_the_texts_of_openai_and_sharegpt(
    run: tuple[Path, list[Rollout]], tmp_path: Path
) -> None:
    path, rollouts = run
    openai, sharegpt = (
        load_dataset(
            "json", data_files=exported(path, name), split="train", cache_dir=str(tmp_path / "cache")
        )
        for name in ("openai", "sharegpt")
    )
    for rollout, row, turns in zip(rollouts, openai, sharegpt, strict=True):
        assert list(said(row["messages"][2:])) == [one for one in pieces(rollout) if one[0] != "think"]
        answers = [turn_of(turn["from"], turn["value"]) for turn in turns["conversations"][1:]]
        assert answers == list(joined(pieces(rollout)))
