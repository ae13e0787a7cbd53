"""Token ids once in a file: packing loses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.items import assistant, user
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.token_packing import ADDED, expand_items, expand_row, pack_items, pack_row

ids = st.lists(st.integers(0, 3), max_size=4)


@st.composite
def branches(draw: st.DrawFn) -> list[Any]:
    """Items of a branch: each call continues the one before, or starts again."""
    items: list[Any] = []
    seen: list[int] = []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            items.append(user("more"))
        item: dict[str, Any] = dict(assistant("hello"))
        if draw(st.integers(0, 3)):
            prompt = [*(seen if draw(st.integers(0, 3)) else []), *draw(ids)]
            sampled = draw(ids)
            item |= {
                "prompt_token_ids": prompt,
                "generation_token_ids": sampled,
                "generation_log_probs": [-0.5] * len(sampled),
            }
            seen = [*prompt, *sampled]
        items.append(item)
    return items


@given(branches())
def test_expanded_items_are_the_packed_ones(items: list[Any]) -> None:
    packed = pack_items(items)

    assert expand_items(packed) == items
    assert [list(item) for item in expand_items(packed)] == [list(item) for item in items], (
        "the order of fields"
    )
    assert expand_items(items) == items, "items that are not packed stay as they are"
    assert pack_items(packed) == packed


@given(branches(), branches())
def test_a_row_is_packed_in_its_response_and_its_trajectory(main: list[Any], other: list[Any]) -> None:
    row = {
        "reward": 1.0,
        "response": {"id": "r", "output": main},
        "ng_trajectory": {"invocations": [{"conversation": main}, {"conversation": other}], "gaps": []},
    }

    assert expand_row(pack_row(row)) == row


def test_thirty_turns_hold_each_id_once() -> None:
    items, seen = [], list[int]()
    for turn in range(30):
        prompt, sampled = [*seen, *range(turn, turn + 200)], list(range(turn, turn + 200))
        tokens = {
            "prompt_token_ids": prompt,
            "generation_token_ids": sampled,
            "generation_log_probs": [-0.25] * 200,
        }
        items.append({**assistant("text " * 100), **tokens})
        seen = [*prompt, *sampled]

    once = len(encode(seen)) + sum(
        len(encode(assistant("text " * 100))) + len(encode([-0.25] * 200)) for _ in items
    )

    assert len(encode(pack_items(items))) < 1.3 * once
    assert len(encode(items)) > 7 * once


def test_a_row_without_tokens_stays_as_it_is() -> None:
    row = {"response": {"output": [assistant("hello")]}, "ng_trajectory": None, "x": [1]}

    assert pack_row(row) == row
    assert expand_row(row) == row


def test_tokens_that_continue_nothing_are_an_error() -> None:
    item = {**assistant("hello"), ADDED: [1], "generation_token_ids": [2], "generation_log_probs": [-1.0]}

    with pytest.raises(ValueError, match="without an item before it"):
        expand_items([item])
