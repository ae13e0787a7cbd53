"""Megatron-Bridge's `GPTSFTChatDataset` reads exported rollouts: `make test-siblings-megatron_bridge`.

Its packages import CUDA libraries for its models, so their `__init__` modules are left out. All that the data
set itself uses is real, the tokenizer of Megatron Core too.
"""

from __future__ import annotations

import sys
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


def test_what_is_trained_on_is_exactly_what_the_policy_said(
    bridge: tuple[Any, Any, Any], tmp_path: Path
) -> None:
    dataset_type, build_tokenizer, config_type = bridge
    run, rollouts = write_workplace_run(tmp_path)
    fast = tokenizer()
    fast.save_pretrained(tmp_path / "tokenizer")
    config = config_type(tokenizer_type="HuggingFaceTokenizer", tokenizer_model=str(tmp_path / "tokenizer"))

    dataset = dataset_type(
        export(run, "sft").path,
        build_tokenizer(config),
        use_hf_tokenizer_chat_template=True,
        max_seq_length=200_000,
    )

    assert len(dataset) == len(rollouts) == 500
    for place, rollout in enumerate(rollouts):
        sample = dataset[place]
        ids, mask = (sample[name].tolist() for name in ("input_ids", "loss_mask"))
        trained = [token for token, is_trained in zip(ids, mask, strict=True) if is_trained]
        assert fast.decode(trained, skip_special_tokens=False) == "".join(answers(rollout))
        assert fast.decode(ids, skip_special_tokens=False) == whole_text(rollout)
