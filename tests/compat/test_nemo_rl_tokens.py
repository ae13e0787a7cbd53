"""A thousand random trajectories on their way to NeMo RL: the whole ones pass its contiguity rule, and the
corrupted ones are masked with a reason."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from nemo_gym.rollout_collection import RolloutFailed

from nemo_gym.training import sequences
from tests.compat.trainer import Actor
from tests.conftest import StartEndpoint
from tests.support.nemo_rl import post_process
from tests.support.random_trajectories import CORRUPTIONS, TOOLS, Call, conversation, output_of

ON_ITEMS, CAPTURED = 750, 250
"""The trajectories of the two ways in which tokens come."""
PLANNED = """
from pathlib import Path

from nemo_gym.base_resources_server import BaseRunRequest
from nemo_gym.base_responses_api_agent import BaseResponsesAPIAgentConfig, SimpleResponsesAPIAgent
from nemo_gym.capture.token_files import TokenFiles
from nemo_gym.wire.model_call import TokenEntry
from pydantic import ConfigDict
from fastapi import Body


class Config(BaseResponsesAPIAgentConfig):
    tokens: str


class Row(BaseRunRequest):
    model_config = ConfigDict(extra="allow")


class Planned(SimpleResponsesAPIAgent):
    config: Config

    async def responses(self, body=Body()):
        raise NotImplementedError

    async def run(self, body: dict = Body()) -> dict:
        plan = body["plan"]
        store, rollout_id = TokenFiles(Path(self.config.tokens)), body.get("_ng_rollout_id", "")
        for number, call in enumerate(plan["calls"]):
            about = {"rollout_id": rollout_id, "model_call_id": str(number), "model": "m", "created_at": 0.0}
            store.put(TokenEntry(**call, **about))
        if plan["incomplete"]:
            store.mark_incomplete(rollout_id)
        return {"responses_create_params": body["responses_create_params"], **plan["result"]}


if __name__ == "__main__":
    Planned.run_webserver()
"""

Collect = Callable[[list[dict[str, Any]]], list[Any]]


@pytest.fixture
def collect(
    start_endpoint: StartEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Collect]:
    """Collects rows from an existing agent that says and stores what the row plans; a list of outcomes."""
    folder = tmp_path / "responses_api_agents" / "planned"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(PLANNED)
    monkeypatch.setenv("NEMO_GYM_EXTRA_ROOTS", str(tmp_path))
    tokens = str(tmp_path / "tokens")

    def agent(captured: bool) -> dict[str, Any]:
        own = {"entrypoint": "app.py", "share": True, "tokens": tokens, "token_id_capture": captured}
        return {"responses_api_agents": {"planned": own}}

    actor = Actor(
        [start_endpoint("token_server.py")],
        in_band=agent(False),
        captured=agent(True),
        token_id_capture={"enabled": True, "dir": tokens},
    )

    async def outcomes(rows: list[dict[str, Any]]) -> list[Any]:
        examples = actor.rch.run_examples(examples=rows, head_server_config=actor.head)
        found = await asyncio.gather(*examples, return_exceptions=True)
        results = {one[0]["_rowidx"]: one[1] for one in found if not isinstance(one, BaseException)}
        failures = [one for one in found if isinstance(one, BaseException)]
        return [results[row["_rowidx"]] for row in rows if row["_rowidx"] in results] + failures

    yield lambda rows: asyncio.run(outcomes(rows))
    actor.rh.shutdown()


def planned(number: int, output: list[Any], calls: list[Call] = [], **more: Any) -> dict[str, Any]:  # noqa: B006
    """A row whose agent delivers an output, and stores calls."""
    response = {"id": "r", "object": "response", "model": "m", "output": output}
    plan = {
        "result": {"reward": 0.5, "response": response, **more},
        "calls": [entry(call) for call in calls],
        "incomplete": False,
    }
    return {
        "responses_create_params": {"input": [{"role": "user", "content": task(number)}], "tools": TOOLS},
        "agent_ref": {"name": "captured" if calls else "in_band"},
        "_rowidx": number,
        "plan": plan,
    }


def task(number: int) -> str:
    return f"task {number}"


def entry(call: Call) -> dict[str, Any]:
    return {
        "prompt_token_ids": call.prompt,
        "generation_token_ids": call.sampled,
        "generation_log_probs": [-0.25] * len(call.sampled),
        "output_items": call.said,
        "request": {"input": call.asked, "tools": call.tools},
    }


def expected(calls: list[Call]) -> tuple[list[int], list[bool]]:
    """The tokens of a conversation, and which of them the policy sampled."""
    ids, sampled, seen = [], [], 0
    for call in calls:
        ids += [*call.prompt[seen:], *call.sampled]
        sampled += [False] * (len(call.prompt) - seen) + [True] * len(call.sampled)
        seen = len(ids)
    return ids, sampled


def with_branches(calls: list[Call], rng: Random, number: int) -> list[Call]:
    """The calls with what a harness does beside its main conversation, in the order of a store."""
    whole = list(calls)
    if rng.random() < 0.3:  # a sub-agent, or a title for the conversation
        side = conversation(rng, task=f"side {number}", first=5000)
        for call in side:
            call.tools = []
        place = rng.randrange(len(whole) + 1)
        whole[place:place] = side
    if len(calls) > 1 and rng.random() < 0.3:  # the same question again; it goes on with the second answer
        retried = rng.choice(calls[:-1])
        other = Call(retried.asked, [{**retried.said[-1], "id": "other"}], retried.prompt, [9999])
        whole.insert(whole.index(retried), other)
    return whole


def test_whole_trajectories_pass_and_keep_every_token(collect: Collect) -> None:
    rng = Random(11)
    conversations = [conversation(rng, task=task(number)) for number in range(ON_ITEMS + CAPTURED)]
    rows = [planned(number, output_of(calls, rng)) for number, calls in enumerate(conversations[:ON_ITEMS])]
    for number, calls in enumerate(conversations[ON_ITEMS:], ON_ITEMS):
        rows.append(
            planned(number, [{"role": "assistant", "content": "x"}], with_branches(calls, rng, number))
        )

    results = collect(rows)

    assert len(results) == 1000
    for calls, result in zip(conversations, results, strict=True):
        sample = post_process(result, router_replay="routed_experts" in str(result["response"]))
        ids, sampled = expected(calls)
        assert (sample.token_ids, sample.trained) == (ids, sampled)
        assert not sample.masked
        assert sequences(result)[0].mask is None
        assert sequences(result)[0].ids.tolist() == ids
    branches = Counter(len(one["_ng_token_capture"]["branches"]) for one in results[ON_ITEMS:])
    assert all(branches[count] for count in (1, 2, 3))


def test_corrupted_tokens_on_items_are_masked_with_a_reason(collect: Collect) -> None:
    rng = Random(12)
    rows, reasons = [], []
    while len(rows) < 1000:
        corrupt, allowed = list(CORRUPTIONS.values())[len(rows) % len(CORRUPTIONS)]
        output = output_of(conversation(rng, task=task(len(rows))), rng)
        if corrupt(output, rng):
            rows.append(planned(len(rows), output))
            reasons.append(allowed)

    results = collect(rows)

    assert len(results) == len(rows)
    for allowed, result in zip(reasons, results, strict=True):
        check_masked(result, allowed)
    assert {one["_ng_token_capture"]["masked"] for one in results} == set.union(*reasons)


BREAKS: dict[str, set[str]] = {
    "changed": {"tokens_not_contiguous"},
    "lengths": {"no_tokens"},
    "negative": {"no_tokens"},
    "nan": {"capture_incomplete"},
    "nothing": {"no_tokens"},
    "lost": {"no_tokens", "tokens_not_contiguous"},
    "marked": {"capture_incomplete"},
    "unresolved": {"unresolved_retry"},
}
"""Ways to break captured calls, and the reasons that may be given."""


def test_corrupted_captures_are_masked_with_a_reason(collect: Collect) -> None:
    rng = Random(13)
    rows, reasons = [], []
    while len(rows) < 120:
        way = list(BREAKS)[len(rows) % len(BREAKS)]
        calls = conversation(rng, task=task(len(rows)))
        if len(calls) < 3:
            continue
        row = planned(len(rows), [{"role": "assistant", "content": "x"}], calls)
        break_capture(way, row["plan"], rng)
        rows.append(row)
        reasons.append(BREAKS[way])

    results = collect(rows)

    assert len(results) == len(rows)
    for allowed, result in zip(reasons, results, strict=True):
        check_masked(result, allowed)


def break_capture(way: str, plan: dict[str, Any], rng: Random) -> None:
    place = rng.randrange(1, len(plan["calls"]) - 1)
    broken = plan["calls"][place]
    match way:
        case "changed":
            broken["prompt_token_ids"] = [broken["prompt_token_ids"][0] + 1, *broken["prompt_token_ids"][1:]]
        case "lengths":
            broken["generation_log_probs"] = [*broken["generation_log_probs"], -1.0]
        case "negative":
            broken["generation_token_ids"] = [-1, *broken["generation_token_ids"][1:]]
        case "nan":
            broken["generation_log_probs"] = [None, *broken["generation_log_probs"][1:]]
        case "nothing":
            broken |= {"generation_token_ids": [], "generation_log_probs": []}
        case "lost":
            del plan["calls"][place]
        case "marked":
            del plan["calls"][place]
            plan["incomplete"] = True
        case _:
            plan["calls"].append(
                {**plan["calls"][-1], "generation_token_ids": [9999], "generation_log_probs": [-1]}
            )


def check_masked(result: dict[str, Any], allowed: set[str]) -> None:
    reason = result["_ng_token_capture"]["masked"]
    assert result["mask_sample"] is True
    assert reason in allowed
    assert sequences(result)[0].mask == reason
    try:
        assert post_process(result).masked
    except ValueError as error:
        assert "no item of the response has tokens" in str(error)  # noqa: PT017 - nothing is left


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"reward": None}, "reward: verify returned NoneType, not a number"),
        ({"reward": "1"}, "reward: verify returned str, not a number"),
        ({"response": None}, "response.output: expected a list of items"),
        ({"response": {"output": ["text"]}}, "response.output: expected a list of items"),
    ],
)
def test_a_result_without_a_score_or_a_trajectory_is_a_failure(
    collect: Collect, fields: dict[str, Any], why: str
) -> None:
    (failure,) = collect([planned(0, output_of(conversation(Random(1), task="t"), Random(1)), **fields)])
    assert isinstance(failure, RolloutFailed)
    assert failure.status == 502
    assert why in str(failure)
    assert b'"reward"' in failure.response_content
