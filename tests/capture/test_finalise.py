"""From captured tokens to a row: the output is the main chain, every branch is there, the rest is masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.capture.finalise import Finaliser, retirable
from nemo_gym.capture.settings import Strategy
from nemo_gym.capture.token_files import TokenFiles
from nemo_gym.capture.tokens import TokenRecorder
from nemo_gym.wire.items import Item, assistant, function_call, function_call_output, user
from nemo_gym.wire.model_call import ModelCall
from nemo_gym.wire.response import Response

ASK, A, B, C = user("Mend it."), assistant("a"), assistant("b"), assistant("c")
MORE = user("more")
ROW = {"responses_create_params": {"input": [ASK]}, "_ng_task_index": 0, "_ng_rollout_index": 0}
GIVEN = Response.of([assistant("what the agent says")], id="theirs")


def call(
    name: str, asked: Sequence[Item], made: Item, prompt: Sequence[int], generation: Sequence[int]
) -> ModelCall:
    """An answered call; without a generation the back end gave no tokens."""
    tokens = {
        "prompt_token_ids": prompt,
        "generation_token_ids": generation,
        "generation_log_probs": [-1.0] * len(generation),
    }
    return ModelCall(
        rollout_id="0-0", model_call_id=name, dialect="chat", started_at=0.0, completed_at=1.0,
        latency_ms=1000.0, status_code=200, request={"messages": []}, response={},
        params={"input": list(asked), "tools": [{"type": "function", "name": "bash"}]},
        answer={"model": "m", "output": [{**made, **(tokens if generation else {})}]},
    )  # fmt: skip


@dataclass
class Store:
    """The finaliser over the default store, and what a model server does to it."""

    folder: Path
    strategy: Strategy = "prefix_merging"
    files: TokenFiles = field(init=False)

    def __post_init__(self) -> None:
        self.files = TokenFiles(self.folder)
        self.finaliser = Finaliser(self.files, self.strategy)

    async def finish(self, *calls: ModelCall, told: dict[str, Any] | None = None) -> tuple[Response, Any]:
        recorder = TokenRecorder(self.files)
        for made in calls:
            await recorder.record(made)
        return await self.finaliser.finish(ROW, "0-0", GIVEN, told or {})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def branches(columns: Any) -> list[tuple[list[str], str | None]]:
    return [(one["model_call_ids"], one["masked"]) for one in columns["_ng_token_capture"]["branches"]]


def sampled(response: Response) -> list[list[int]]:
    return [item["generation_token_ids"] for item in response.output if "generation_token_ids" in item]  # type: ignore[typeddict-item]


async def test_a_single_chain_becomes_the_output_and_nothing_else_changes(store: Store) -> None:
    ran = function_call("bash", "{}", call_id="c1")
    output = function_call_output("c1", "a.py")
    response, columns = await store.finish(
        call("1", [ASK], ran, [1], [2]), call("2", [ASK, ran, output], B, [1, 2, 3], [4])
    )
    assert [item["type"] for item in response.output] == ["function_call", "function_call_output", "message"]
    assert sampled(response) == [[2], [4]]
    assert {**response.data, "output": []} == {**GIVEN.data, "output": []}
    assert columns["mask_sample"] is False
    assert branches(columns) == [(["1", "2"], None)]


async def test_a_sub_agent_is_delivered_as_a_branch_of_the_trajectory(store: Store) -> None:
    response, columns = await store.finish(
        call("sub", [user("Look around.")], C, [9], [8]),
        call("1", [ASK], A, [1], [2]),
        call("2", [ASK, A, MORE], B, [1, 2, 3], [4]),
    )
    assert sampled(response) == [[2], [4]]
    assert columns["mask_sample"] is False
    main, sub = columns["ng_trajectory"]["invocations"]
    assert sub["model_calls"] == [{"model_call_id": "sub"}]
    assert sub["conversation"][-1]["generation_token_ids"] == [8]
    assert main["conversation"][0] == ASK


async def test_after_a_compaction_both_parts_are_delivered(store: Store) -> None:
    response, columns = await store.finish(
        call("1", [ASK], A, [1], [2]),
        call("summary", [ASK, A, user("Sum up.")], B, [1, 2, 5], [6]),
        call("2", [user("So far: b")], C, [7, 6], [8]),
    )
    assert sampled(response) == [[2], [6]]
    assert branches(columns) == [(["1", "summary"], None), (["2"], None)]


async def test_a_superseded_retry_is_masked_and_the_sample_is_not(store: Store) -> None:
    response, columns = await store.finish(
        call("1", [ASK], A, [1], [2]),
        call("again", [ASK], B, [1], [3]),
        call("2", [ASK, B, MORE], C, [1, 3, 4], [5]),
    )
    assert sampled(response) == [[3], [5]]
    assert columns["mask_sample"] is False
    assert branches(columns) == [(["again", "2"], None), (["1"], "superseded_retry")]


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ([call("1", [ASK], A, [1], [2]), call("2", [ASK], B, [1], [3])], "unresolved_retry"),
        (
            [
                call("1", [ASK], A, [1], [2]),
                call("2", [ASK], A, [1], [2]),
                call("3", [ASK, A, MORE], B, [1, 2, 3], [4]),
            ],
            "ambiguous_parent",
        ),
        (
            [call("1", [ASK], A, [1], [2]), call("2", [ASK, A, MORE], B, [1, 77, 3], [4])],
            "tokens_not_contiguous",
        ),
        ([call("1", [ASK], A, [1], [2]), call("2", [ASK, A, MORE], B, [], [])], "capture_incomplete"),
        ([call("1", [ASK], A, [], [])], "capture_incomplete"),
        ([], "no_calls"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_can_not_be_proven_is_masked_and_says_why(
    store: Store, calls: list[ModelCall], reason: str
) -> None:
    response, columns = await store.finish(*calls)
    assert columns["mask_sample"] is True
    assert columns["_ng_token_capture"]["masked"] == reason
    assert response.output


async def test_failed_and_abandoned_calls_leave_no_hole(store: Store) -> None:
    failed = call("no", [ASK], A, [1], [2])
    failed.answer, failed.status_code, failed.error_category = None, 429, "rate_limit"
    recorder = TokenRecorder(store.files)
    await recorder.mark_incomplete("0-0")
    _, columns = await store.finish(failed, call("1", [ASK], A, [1], [2]))
    assert (columns["mask_sample"], branches(columns)) == (False, [(["1"], None)])


async def test_without_merging_every_call_is_a_branch(tmp_path: Path) -> None:
    store = Store(tmp_path, "per_request")
    response, columns = await store.finish(
        call("1", [ASK], A, [1], [2]), call("2", [ASK, A, MORE], B, [1, 77, 3], [4])
    )
    assert branches(columns) == [(["1"], None), (["2"], None)]
    assert sampled(response) == [[2]]
    assert columns["_ng_token_capture"]["strategy"] == "per_request"


async def test_a_trajectory_that_the_agent_told_keeps_its_invocations(store: Store) -> None:
    told = {
        "ng_trajectory": {"schema_version": "1.0", "invocations": [{"invocation_id": "root"}], "turns": []}
    }
    _, columns = await store.finish(call("1", [ASK], A, [1], [2]), told=told)
    ids = [one["invocation_id"] for one in columns["ng_trajectory"]["invocations"]]
    assert ids == ["root", "main"]


async def test_a_row_whose_door_has_captured_already_stays_as_it_is(store: Store) -> None:
    told = {"_ng_token_capture": {"masked": None}}
    assert await store.finish(call("1", [ASK], A, [1], [2]), told=told) == (GIVEN, {})


async def test_a_store_that_breaks_masks_the_sample_and_costs_nothing(store: Store) -> None:
    (store.folder / "0-0.tokens.jsonl").mkdir()
    response, columns = await store.finish()
    assert response is GIVEN
    assert columns["mask_sample"] is True
    assert columns["_ng_token_capture"]["masked"] == "source_failed"


async def test_a_retired_rollout_is_gone(store: Store) -> None:
    _, columns = await store.finish(call("1", [ASK], A, [1], [2]))
    await store.finaliser.retire(retirable(columns))
    await store.finaliser.retire(retirable({}))
    assert list(store.folder.iterdir()) == []
