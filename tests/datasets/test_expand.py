"""`gym dataset expand`: rows with every prompt in full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nemo_gym.datasets.expand import expand
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.token_packing import pack_row

TOKENS = {"generation_token_ids": [2], "generation_log_probs": [-1.0]}


def test_every_prompt_is_written_in_full(tmp_path: Path) -> None:
    items = [
        {**assistant("a"), "prompt_token_ids": [1], **TOKENS},
        {**assistant("b"), "prompt_token_ids": [1, 2, 3], **TOKENS},
    ]
    row = {"reward": 1.0, "response": {"output": items}}
    source, target = tmp_path / "packed.jsonl", tmp_path / "full.jsonl"
    source.write_bytes(encode(pack_row(row)) + b"\n")

    assert expand(source, target) == 1
    assert json.loads(target.read_text()) == row
    assert json.loads(source.read_text()) != row


def test_tokens_that_continue_nothing_name_their_line(tmp_path: Path) -> None:
    source = tmp_path / "broken.jsonl"
    item = {**assistant("a"), "added_prompt_token_ids": [1], **TOKENS}
    source.write_bytes(b"{}\n" + encode({"response": {"output": [item]}}) + b"\n")

    with pytest.raises(DataError, match=r"broken\.jsonl:2: added_prompt_token_ids without an item"):
        expand(source, tmp_path / "full.jsonl")

    assert not (tmp_path / "full.jsonl").exists()


def test_the_input_is_not_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text("{}\n")

    with pytest.raises(UsageError, match="another file"):
        expand(source, source)
