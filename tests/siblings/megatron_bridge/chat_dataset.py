"""Megatron-Bridge's `GPTSFTChatDataset` reads exported rollouts: `make test-siblings-megatron_bridge`.

Its packages import CUDA libraries for its models, so their `__init__` modules are left out. All that the data
set itself uses is real, the tokenizer of Megatron Core too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemo_gym.training.exports.export import export
from tests.support.byte_tokenizer import answers, tokenizer, whole_text
from tests.support.workplace_run import write_workplace_run

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs
Read = Callable[[str], Any]
PACKAGES = ("", ".data", ".data.datasets", ".training", ".training.tokenizers", ".utils")


@pytest.fixture(scope="module")
def bridge() -> tuple[Any, Any, Any]:
    """The data set's class, and what builds its tokenizer."""
    (megatron,) = {Path(folder) for folder in find_spec("megatron").submodule_search_locations}  # type: ignore[union-attr]
    for name in PACKAGES:
        package = ModuleType(f"megatron.bridge{name}")
        package.__path__ = [str((megatron / "bridge").joinpath(*name.split(".")[1:]))]
        sys.modules[package.__name__] = package
    data = "gpt_sft" if (megatron / "bridge/data/datasets/gpt_sft.py").exists() else "sft"
    return (
        import_module(f"megatron.bridge.data.datasets.{data}").GPTSFTChatDataset,
        import_module("megatron.bridge.training.tokenizers.tokenizer").build_tokenizer,
        import_module("megatron.bridge.training.tokenizers.config").TokenizerConfig,
    )


@pytest.fixture(scope="module")
def read(bridge: tuple[Any, Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Reads a file as Megatron-Bridge does."""
    dataset_type, build_tokenizer, config_type = bridge
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer().save_pretrained(folder)
    config = config_type(tokenizer_type="HuggingFaceTokenizer", tokenizer_model=str(folder))
    options = {"use_hf_tokenizer_chat_template": True, "max_seq_length": 200_000}
    return lambda path: dataset_type(path, build_tokenizer(config), **options)


def texts(sample: Any) -> tuple[str, str]:
    """The text of a sample, and the part of it that is trained on."""
    fast = tokenizer()
    ids, mask = (sample[name].tolist() for name in ("input_ids", "loss_mask"))
    trained = [token for token, is_trained in zip(ids, mask, strict=True) if is_trained]
    return fast.decode(ids, skip_special_tokens=False), fast.decode(trained, skip_special_tokens=False)


def test_what_is_trained_on_is_exactly_what_the_policy_said(read: Read, tmp_path: Path) -> None:
    run, rollouts = write_workplace_run(tmp_path)

    dataset = read(export(run, "sft").path)

    assert len(dataset) == len(rollouts) == 500
    for place, rollout in enumerate(rollouts):
        assert texts(dataset[place]) == (whole_text(rollout), "".join(answers(rollout)))


def test_a_folder_with_a_validation_file_has_every_rollout_once(read: Read, tmp_path: Path) -> None:
    run, rollouts = write_workplace_run(tmp_path)
    folder = Path(export(run, "sft", validation=0.2).path)

    parts = [read(str(folder / name)) for name in ("training.jsonl", "validation.jsonl")]

    assert len(parts[0]) > len(parts[1]) > 0
    found = sorted(texts(part[place]) for part in parts for place in range(len(part)))
    assert found == sorted((whole_text(rollout), "".join(answers(rollout))) for rollout in rollouts)
