"""What a captured call knows of itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.model_call import (
    ModelCall,
    call_of_entry,
    check_rollout_id,
    error_category,
    find_rollout_id,
    new_call_id,
    rollout_id,
    token_entry,
)

TOKENS = {"prompt_token_ids": [1, 2], "generation_token_ids": [3], "generation_log_probs": [-0.1]}


def call(*output: dict[str, Any], params: Any = None) -> ModelCall:
    return ModelCall(
        rollout_id="3-1",
        model_call_id="call_1",
        dialect="chat",
        started_at=1.0,
        completed_at=2.0,
        latency_ms=1000.0,
        status_code=200,
        request={"input": "asked"},
        params=params,
        answer={"output": list(output), "model": "m"},
    )


def test_the_rollout_id_is_task_and_repeat_and_the_attempt_after_the_first() -> None:
    row = {"_ng_task_index": 3, "_ng_rollout_index": 1}
    assert rollout_id(row) == "3-1"
    assert rollout_id({**row, "_ng_attempt_index": 2}) == "3-1-a2"
    assert rollout_id({**row, "_ng_rollout_id": "train.7_x", "_ng_attempt_index": 0}) == "train.7_x"


@pytest.mark.parametrize("text", ["", ".hidden", "../x", "a/b", "a b", "é", "a\n", "a" * 201])
def test_an_id_that_may_not_be_part_of_a_path_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="rollout id"):
        check_rollout_id(text)


@given(st.text(max_size=20))
def test_an_id_that_is_let_through_stays_one_path_part(text: str) -> None:
    try:
        check_rollout_id(text)
    except UsageError:
        return
    assert text.isascii()
    assert not set(text) & set("/\\\n\0 ")
    assert text[0] not in ".-_"


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (200, None), (408, "timeout"), (504, "timeout"), (429, "rate_limit"), (401, "auth"), (403, "auth"),
        (404, "not_found"), (422, "client_error"), (500, "upstream_error"), (503, "upstream_error"),
    ],
)  # fmt: skip
def test_statuses_have_the_categories_of_the_contract(status: int, category: str | None) -> None:
    assert error_category(status) == category


def test_the_tokens_of_a_call_come_with_its_items_stripped_of_them() -> None:
    first = {"type": "reasoning", "summary": []}
    entry = token_entry(call(first, {"type": "message", "content": "x", **TOKENS}))
    assert entry is not None
    assert entry.prompt_token_ids == [1, 2]
    assert entry.token_item_index == 1
    assert entry.output_items == [first, {"type": "message", "content": "x"}]
    assert (entry.rollout_id, entry.model_call_id, entry.model) == ("3-1", "call_1", "m")


def test_an_entry_gives_the_call_s_tokens_and_what_was_asked_back() -> None:
    entry = token_entry(call({"type": "reasoning", "summary": []}, {"type": "message", **TOKENS}))
    assert entry is not None
    again = call_of_entry(entry)
    assert again.request_params == {"input": "asked"}
    assert token_entry(again) == entry


@pytest.mark.parametrize(("place", "found"), [(None, True), (0, True), (1, False), (-1, False)])
def test_an_entry_s_tokens_go_on_an_item_that_it_has(place: int | None, found: bool) -> None:
    entry = token_entry(call({"type": "message", **TOKENS}))
    assert entry is not None
    entry.token_item_index = place
    if found:
        assert token_entry(call_of_entry(entry)) is not None
    else:
        with pytest.raises(ValueError, match="token entry call_1: there is no item"):
            call_of_entry(entry)


@pytest.mark.parametrize(
    "output",
    [
        [{"type": "message", "content": "x"}],
        [{"type": "message", **TOKENS, "generation_token_ids": []}],
        [{"type": "message", **TOKENS, "generation_log_probs": [-0.1, -0.2]}],
        [{"type": "message", **TOKENS}, {"type": "message", **TOKENS}],
    ],
    ids=["none", "empty", "uneven", "twice"],
)
def test_tokens_that_do_not_fit_are_no_tokens(output: list[dict[str, Any]]) -> None:
    assert token_entry(call(*output)) is None


def test_a_request_in_the_one_language_is_not_kept_twice() -> None:
    assert call().request_params == {"input": "asked"}
    assert call(params={"input": "converted"}).request_params == {"input": "converted"}


def test_a_row_without_an_identity_has_no_rollout_id() -> None:
    assert find_rollout_id({"_ng_task_index": 0}) is None
    assert find_rollout_id({"_ng_task_index": 0, "_ng_rollout_index": 2}) == "0-2"
    assert find_rollout_id({"_ng_rollout_id": "mine"}) == "mine"


def test_call_ids_differ() -> None:
    assert len({new_call_id() for _ in range(1000)}) == 1000
