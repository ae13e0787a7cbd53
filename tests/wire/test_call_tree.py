"""The calls of a rollout as a tree: what goes on from what, and what can't be proven."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.call_tree import Branch, call_tree
from nemo_gym.wire.items import Item, assistant, function_call, function_call_output, system, user
from nemo_gym.wire.model_call import Captured, ModelCall


def call(
    name: str,
    asked: list[Item],
    made: list[Item],
    *,
    prompt: list[int] | None = None,
    generation: list[int] | None = None,
    tools: bool = True,
) -> ModelCall:
    """A captured call; with `prompt` and `generation` its last item bears these tokens."""
    output: list[Any] = [dict(item) for item in made]
    if prompt is not None and generation is not None:
        output[-1] |= {
            "prompt_token_ids": prompt,
            "generation_token_ids": generation,
            "generation_log_probs": [-1.0] * len(generation),
        }
    request = {"input": asked, **({"tools": [{"type": "function", "name": "bash"}]} if tools else {})}
    return ModelCall(
        rollout_id="0-0",
        model_call_id=name,
        dialect="responses",
        started_at=0.0,
        completed_at=1.0,
        latency_ms=1000.0,
        status_code=200,
        request=request,
        response={},
        answer={"output": output},
    )


def tree(*calls: ModelCall, prompt: str = "", incomplete: bool = False) -> list[Branch]:
    return call_tree(Captured(list(calls), incomplete), prompt=prompt)


def names(branches: list[Branch]) -> list[list[str]]:
    return [[made.model_call_id for made in branch.calls] for branch in branches]


ASK, A, B, C = user("Mend it."), assistant("a"), assistant("b"), assistant("c")
MORE = user("more")


def test_calls_that_go_on_from_each_other_are_one_branch() -> None:
    (main,) = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("2", [ASK, A, MORE], [B], prompt=[1, 2, 3], generation=[4]),
        call("3", [ASK, A, MORE, B, MORE], [C], prompt=[1, 2, 3, 4, 5], generation=[6]),
    )
    assert [made.model_call_id for made in main.calls] == ["1", "2", "3"]
    assert (main.mask, main.evidence, main.parent) == (None, "tokens", None)
    assert main.opening == [ASK]
    assert [item.get("content") for item in main.trainable_items][1::2] == ["more", "more"]
    assert [item.get("generation_token_ids") for item in main.trainable_items] == [[2], None, [4], None, [6]]


def test_the_tools_outputs_between_the_calls_are_in_the_branch() -> None:
    asked = function_call("bash", '{"command": "ls"}', call_id="c1")
    given_back = function_call("bash", '{"command":"ls"}', call_id="toolu_1")
    output = function_call_output("toolu_1", "a.py\n")
    (main,) = tree(call("1", [ASK], [asked]), call("2", [ASK, given_back, output], [A]))
    assert main.items == [asked, output, A]


def test_a_sub_agent_is_a_branch_of_its_own_and_not_masked() -> None:
    branches = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("sub 1", [user("Look around.")], [A], prompt=[9], generation=[8]),
        call("sub 2", [user("Look around."), A, MORE], [B], prompt=[9, 8, 7], generation=[6]),
        call("2", [ASK, A, MORE], [B], prompt=[1, 2, 3], generation=[4]),
        prompt="Mend it.",
    )
    assert names(branches) == [["1", "2"], ["sub 1", "sub 2"]]
    assert [branch.mask for branch in branches] == [None, None]


def test_a_compaction_starts_a_new_branch_and_all_are_delivered() -> None:
    branches = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("summary", [ASK, A, user("Sum up.")], [B], prompt=[1, 2, 5], generation=[6]),
        call("2", [user("So far: b")], [C], prompt=[7, 6], generation=[8]),
        prompt="Mend it.",
    )
    assert names(branches) == [["1", "summary"], ["2"]]
    assert [branch.mask for branch in branches] == [None, None]


def test_a_fork_leaves_its_parent_where_it_began() -> None:
    branches = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("side", [ASK, A, user("side")], [B], prompt=[1, 2, 9], generation=[9]),
        call("2", [ASK, A, MORE], [B], prompt=[1, 2, 3], generation=[4]),
        call("3", [ASK, A, MORE, B, MORE], [C], prompt=[1, 2, 3, 4, 5], generation=[6]),
    )
    assert names(branches) == [["1", "2", "3"], ["side"]]
    side = branches[1]
    assert (side.parent, side.after, side.mask) == (0, "1", None)
    assert side.opening == [user("side")]


def test_of_retries_the_one_that_was_gone_on_from_is_kept_and_the_other_masked() -> None:
    branches = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("again", [ASK], [B], prompt=[1], generation=[3]),
        call("2", [ASK, B, MORE], [C], prompt=[1, 3, 4], generation=[5]),
    )
    assert names(branches) == [["again", "2"], ["1"]]
    assert [branch.mask for branch in branches] == [None, "superseded_retry"]


def test_retries_that_nothing_tells_apart_are_masked() -> None:
    branches = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("2a", [ASK, A, MORE], [B], prompt=[1, 2, 3], generation=[4]),
        call("2b", [ASK, A, MORE], [C], prompt=[1, 2, 3], generation=[5]),
    )
    assert names(branches) == [["1", "2b"], ["2a"]]
    assert [branch.mask for branch in branches] == ["unresolved_retry", "unresolved_retry"]


def test_without_the_requests_the_tokens_alone_tell_retries_from_sub_agents() -> None:
    branches = tree(
        call("1", [], [A], prompt=[1], generation=[2]),
        call("sub", [], [B], prompt=[9], generation=[8]),
        call("2", [], [C], prompt=[1, 2, 3], generation=[4]),
        call("2 again", [], [A], prompt=[1, 2, 3], generation=[5]),
    )
    assert names(branches) == [["1", "2 again"], ["sub"], ["2"]]
    assert [branch.mask for branch in branches] == ["unresolved_retry", None, "unresolved_retry"]


def test_a_call_that_goes_on_from_one_of_two_equal_ones_is_masked() -> None:
    branches = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("1 again", [ASK], [A], prompt=[1], generation=[2]),
        call("2", [ASK, A, MORE], [B], prompt=[1, 2, 3], generation=[4]),
    )
    assert names(branches) == [["1 again", "2"], ["1"]]
    assert branches[0].mask == "ambiguous_parent"


def test_without_tokens_the_messages_tell_and_the_branch_is_masked() -> None:
    (main,) = tree(call("1", [ASK], [A]), call("2", [ASK, A, MORE], [B]))
    assert (len(main.calls), main.mask, main.evidence) == (2, "no_tokens", "text")


def test_tokens_that_do_not_go_on_are_left_out_and_the_branch_is_masked() -> None:
    (main,) = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("2", [ASK, A, MORE], [B], prompt=[1, 77, 3], generation=[4]),
    )
    assert (len(main.calls), main.mask) == (2, "tokens_not_contiguous")
    assert [item.get("generation_token_ids") for item in main.trainable_items] == [[2], None, None]
    assert [item.get("generation_token_ids") for item in main.items] == [[2], None, [4]]


def test_one_call_without_tokens_masks_its_branch_only() -> None:
    branches = tree(
        call("1", [ASK], [A], prompt=[1], generation=[2]),
        call("2", [ASK, A, MORE], [B]),
        call("3", [ASK, A, MORE, B, MORE], [C], prompt=[1, 2, 3, 4, 5], generation=[6]),
        call("other", [user("x")], [A], prompt=[7], generation=[7]),
    )
    assert names(branches) == [["1", "2", "3"], ["other"]]
    assert [branch.mask for branch in branches] == ["no_tokens", None]


def test_an_incomplete_capture_masks_everything() -> None:
    (main,) = tree(call("1", [ASK], [A], prompt=[1], generation=[2]), incomplete=True)
    assert main.mask == "capture_incomplete"


def test_failed_calls_are_in_no_branch() -> None:
    failed = call("1", [ASK], [A])
    failed.answer, failed.status_code, failed.error_category = None, 502, "upstream_error"
    assert names(tree(failed, call("2", [ASK], [A]))) == [["2"]]
    assert tree(failed) == []


@pytest.mark.parametrize("order", [["title", "1", "2"], ["1", "title", "2"]])
def test_a_title_that_was_asked_for_first_is_not_the_main_branch(order: list[str]) -> None:
    calls = {
        "title": call("title", [user("A title for: Mend it.")], [B], tools=False),
        "1": call("1", [system("Today is Monday."), ASK], [A]),
        "2": call("2", [system("Today is Tuesday."), ASK, A, MORE], [B]),
    }
    branches = tree(*(calls[name] for name in order), prompt="Mend it.")
    assert names(branches) == [["1", "2"], ["title"]]


def test_hundreds_of_calls_are_linked() -> None:
    calls: list[ModelCall] = []
    tokens, items = [0], [ASK]
    for number in range(300):
        answer = assistant(str(number))
        calls.append(call(str(number), [*items], [answer], prompt=[*tokens], generation=[number]))
        tokens += [number, 7]
        items += [answer, MORE]
    (main,) = tree(*calls)
    assert len(main.calls) == 300
    assert main.mask is None


@st.composite
def forests(draw: st.DrawFn) -> list[tuple[int | None, ModelCall]]:
    """Calls with the places of the calls they really go on from; every generation is different."""
    made: list[tuple[int | None, ModelCall]] = []
    with_tokens = draw(st.booleans())
    for place in range(draw(st.integers(1, 12))):
        parent = draw(st.none() | st.integers(0, place - 1)) if place else None
        asked: list[Item] = [user(f"start {draw(st.integers(0, 2))}")]
        prompt = [1000 + len(json.dumps(asked))]
        if parent is not None:
            before = made[parent][1]
            asked = [
                *before.request_params["input"],
                *before.output,
                user(f"go on {draw(st.integers(0, 2))}"),
            ]
            last: Any = before.output[-1]
            seen = [*last.get("prompt_token_ids", []), *last.get("generation_token_ids", [])]
            prompt = [*seen, draw(st.integers(0, 3))]
        generation = [place + 10, *draw(st.lists(st.integers(0, 3), max_size=2))]
        answer = assistant(f"answer {place}")
        tokens = {"prompt": prompt, "generation": generation} if with_tokens else {}
        made.append((parent, call(str(place), asked, [answer], **tokens)))
    return made


@given(forests())
def test_every_call_is_in_exactly_one_branch_and_follows_the_call_it_went_on_from(
    forest: list[tuple[int | None, ModelCall]],
) -> None:
    branches = tree(*(made for _, made in forest))
    assert sorted(name for path in names(branches) for name in path) == sorted(
        made.model_call_id for _, made in forest
    )
    parents: dict[str, str | None] = {}
    for branch in branches:
        before = branch.after
        for made in branch.calls:
            parents[made.model_call_id] = before
            before = made.model_call_id
    assert parents == {made.model_call_id: None if parent is None else str(parent) for parent, made in forest}


@given(forests())
def test_tokens_that_a_trainer_finds_are_contiguous(forest: list[tuple[int | None, ModelCall]]) -> None:
    for branch in tree(*(made for _, made in forest)):
        seen: list[int] = []
        for item in branch.trainable_items:
            tokens: Any = item
            if "generation_token_ids" in tokens:
                assert tokens["prompt_token_ids"][: len(seen)] == seen
                seen = tokens["prompt_token_ids"] + tokens["generation_token_ids"]
        assert seen or branch.mask is not None
