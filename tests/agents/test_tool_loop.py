"""The tool loop: what is asked, what is run, when it stops, and what is kept."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from canned import Canned, Endless, calls, row, say, think, usage

from nemo_gym import Environment, Model, Response, Rollout, Session, tool
from nemo_gym.agents.tool_loop import SingleCall, ToolLoop
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.chat import ChatModel
from nemo_gym.models.replicas import ReplicatedModel
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import EnvironmentFault, ModelError, ModelTimeout, RateLimited, VerifierFault
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.rollout import take_partial
from tests.conftest import StartEndpoint
from tests.support.virtual_time import run_virtual


class Workshop(Environment):
    """Tools that meet, wait and fail; the reward is the number of items verify was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []
        self.left = asyncio.Event()
        self.right = asyncio.Event()

    @tool
    async def left_hand(self) -> str:
        """Waits until the right hand is there."""
        self.order.append("left begins")
        self.left.set()
        await self.right.wait()
        self.order.append("left ends")
        return "left"

    @tool
    async def right_hand(self) -> str:
        """Waits until the left hand is there."""
        self.order.append("right begins")
        self.right.set()
        await self.left.wait()
        self.order.append("right ends")
        return "right"

    @tool
    async def first(self) -> str:
        return await self._note("first")

    @tool
    async def second(self) -> str:
        return await self._note("second")

    @tool
    async def stuck(self) -> str:
        await asyncio.Event().wait()
        return "never"

    @tool
    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @tool
    def fail(self) -> str:
        raise RuntimeError("out of paper")

    def verify(self, task: Any, response: Response, session: Session) -> float:
        if response.final_text == "verify breaks":
            raise ValueError("no such answer")
        return float(len(response.output))

    async def _note(self, name: str) -> str:
        self.order.append(f"{name} begins")
        for _ in range(3):
            await asyncio.sleep(0)
        self.order.append(f"{name} ends")
        return name


async def play(model: Model, agent: ToolLoop | None = None, **params: Any) -> Rollout:
    return await (agent or ToolLoop()).run(row(**params), LocalEnvironment(Workshop()), model)


def outputs(items: list[Item]) -> list[tuple[str, str]]:
    return [
        (item["call_id"], str(item["output"])) for item in items if item["type"] == "function_call_output"
    ]


async def test_a_message_ends_the_rollout_and_is_scored() -> None:
    model = Canned(say("hello"))

    rollout = await play(model)

    assert (rollout.reward, rollout.outcome) == (1.0, "completed")
    assert rollout.response is not None
    assert rollout.response.output == [assistant("hello")]
    assert rollout.timing["model_calls"] == len(model.asked) == 1


async def test_a_plain_string_as_input_is_one_user_message() -> None:
    model = Canned(calls("first"), say("done"))

    await play(model, input="hi there")

    assert model.asked[1]["input"][0] == {"type": "message", "role": "user", "content": "hi there"}


async def test_the_tools_of_the_environment_are_offered_unless_the_row_names_its_own() -> None:
    model = Canned(say("a"), say("b"), say("c"))
    own = [{"type": "function", "name": "add", "parameters": {"type": "object"}}]

    await play(model)
    await play(model, tools=own)
    await play(model, tools=[])

    offered = [[schema["name"] for schema in request["tools"]] for request in model.asked]
    assert offered[0] == ["left_hand", "right_hand", "first", "second", "stuck", "add", "fail"]
    assert model.asked[1]["tools"] == own
    assert model.asked[2]["tools"] == []


async def test_every_call_is_answered_and_put_to_the_model_with_all_that_went_before() -> None:
    call = function_call("add", '{"a": 1, "b": 2}', call_id="c1")
    model = Canned(Response.of([assistant("let me see"), call]), say("3"))

    rollout = await play(model, temperature=0.5)

    given = {"type": "message", "role": "user", "content": "go"}
    answer = {"type": "function_call_output", "call_id": "c1", "output": "3"}
    assert model.asked[1]["input"] == [given, assistant("let me see"), call, answer]
    assert model.asked[1]["temperature"] == 0.5
    assert rollout.response is not None
    assert rollout.response.output == [assistant("let me see"), call, answer, assistant("3")]


async def test_a_message_beside_a_call_does_not_end_the_rollout() -> None:
    model = Canned(Response.of([*calls("first").output, assistant("wait")]), say("done"))

    assert (await play(model)).outcome == "completed"
    assert len(model.asked) == 2


async def test_an_answer_of_nothing_but_reasoning_keeps_looping() -> None:
    model = Canned(think("a"), think("b"), say("done"))

    rollout = await play(model)

    assert len(model.asked) == 3
    assert [item["type"] for item in model.asked[2]["input"]] == ["message", "reasoning", "reasoning"]
    assert rollout.outcome == "completed"


async def test_at_max_steps_the_last_tools_still_run_and_nothing_is_called_incomplete() -> None:
    model = Endless(lambda: calls("first"))

    rollout = await play(model, ToolLoop(max_steps=2))

    assert model.calls == 2
    assert rollout.outcome == "max_steps"
    assert rollout.reward == 4.0
    assert rollout.response is not None
    assert rollout.response.output[-1]["type"] == "function_call_output"
    assert rollout.response.incomplete_reason is None


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
async def test_an_incomplete_answer_stops_and_its_calls_are_not_run(reason: str) -> None:
    model = Canned(calls("first"), calls("second", incomplete=reason))

    rollout = await play(model)

    assert rollout.outcome == reason
    assert rollout.response is not None
    assert outputs(rollout.response.output) == [("call_0", "first")]
    assert rollout.response.incomplete_reason == reason
    assert rollout.reward == 3.0


async def test_a_full_context_window_is_an_outcome_and_what_was_done_is_scored() -> None:
    full = Response.of([], incomplete="max_output_tokens")
    full.data["incomplete_details"]["detail"] = "context_overflow"

    rollout = await play(Canned(calls("first"), full))

    assert rollout.outcome == "context_overflow"
    assert rollout.reward == 2.0


async def test_usage_is_added_up_and_the_rest_is_the_last_answer_s() -> None:
    model = Canned(
        calls("first", usage=usage(10, 2, cached=8), id="a", created_at=1.0),
        calls("second", usage=usage(20, 3, cached=16), id="b", created_at=2.0),
        say("done", usage=usage(30, 4, cached=24, reasoning=1), id="c", created_at=3.0, model="policy-7"),
    )

    rollout = await play(model)

    assert rollout.response is not None
    assert rollout.response.usage == usage(60, 9, cached=48, reasoning=1)
    assert {key: rollout.response.data[key] for key in ("id", "created_at", "model")} == {
        "id": "c",
        "created_at": 3.0,
        "model": "policy-7",
    }


async def test_an_unknown_token_detail_once_is_unknown_for_ever() -> None:
    model = Canned(
        calls("first", usage=usage(10, 2, cached=None)),
        say("done", usage=usage(20, 3, cached=16)),
    )

    rollout = await play(model)

    assert rollout.response is not None
    assert rollout.response.usage == usage(30, 5, cached=None, reasoning=0)


@pytest.mark.parametrize("arguments", ["nonsense", "[1]", '{"a": 1}', '{"a": "one", "b": 2}', ""])
async def test_bad_arguments_are_answered_to_the_model_and_the_rollout_goes_on(arguments: str) -> None:
    model = Canned(Response.of([function_call("add", arguments, call_id="c")]), say("sorry"))

    rollout = await play(model)

    assert rollout.outcome == "completed"
    (answer,) = outputs(model.asked[1]["input"])  # type: ignore[arg-type]
    assert json.loads(answer[1])["error"].startswith("Invalid arguments for add")


async def test_unknown_tools_and_tools_that_raise_are_answered_too() -> None:
    model = Canned(calls("fail", "fall"), say("sorry"))

    await play(model)

    failed, unknown = outputs(model.asked[1]["input"])  # type: ignore[arg-type]
    assert json.loads(failed[1]) == {"error": "fail failed: RuntimeError: out of paper"}
    assert json.loads(unknown[1]) == {"error": "There is no tool 'fall'. Did you mean 'fail'?"}


async def test_calls_of_one_answer_run_side_by_side_and_are_answered_in_order() -> None:
    model = Canned(calls("left_hand", "right_hand"), say("clap"))

    rollout = await play(model)

    assert rollout.response is not None
    assert outputs(rollout.response.output) == [("call_0", "left"), ("call_1", "right")]


async def test_when_the_request_forbids_it_they_run_one_after_the_other() -> None:
    environment = Workshop()
    model = Canned(calls("first", "second"), say("done"))

    await ToolLoop().run(row(parallel_tool_calls=False), LocalEnvironment(environment), model)

    assert environment.order == ["first begins", "first ends", "second begins", "second ends"]


def test_a_tool_that_takes_too_long_is_told_to_the_model_and_the_others_are_kept() -> None:
    model = Canned(calls("stuck", "first"), say("never mind"))

    rollout = run_virtual(play(model, ToolLoop(tool_timeout=60)))

    late, fine = outputs(model.asked[1]["input"])  # type: ignore[arg-type]
    assert json.loads(late[1]) == {"error": "stuck did not finish within 60 seconds"}
    assert fine[1] == "first"
    assert rollout.outcome == "completed"


class Silent(Model):
    """Answers once, then never again."""

    def __init__(self) -> None:
        self.calls = 0

    async def responses(self, params: RequestParams) -> Response:
        self.calls += 1
        if self.calls > 1:
            await asyncio.Event().wait()
        return calls("first", usage=usage(1, 2))


def test_a_turn_past_its_time_is_a_model_timeout_with_what_was_done_so_far() -> None:
    with pytest.raises(ModelTimeout, match="no answer within the turn's 60 seconds") as caught:
        run_virtual(play(Silent(), ToolLoop(turn_timeout=60)))

    partial = take_partial(caught.value, row()).response
    assert partial is not None
    assert outputs(partial.output) == [("call_0", "first")]
    assert partial.usage == usage(1, 2)


@pytest.mark.parametrize(("fault", "kind", "urls"), [("429", RateLimited, 1), ("500", ModelError, 2)])
async def test_a_turn_that_ends_between_attempts_keeps_their_cause(
    start_endpoint: StartEndpoint, fault: str, kind: type[ModelError], urls: int
) -> None:
    url = start_endpoint(fault_share=1, faults=fault)
    patient = Retry(attempts=50, base=50.0, cap=50.0, budget=1000.0)
    model: Model = ChatModel(url, "m", retry=patient)
    if urls > 1:
        model = ReplicatedModel([url] * urls, replica, retry=patient)
    async with model:
        with pytest.raises(ModelError, match=rf"the turn's 1 seconds; .+ before: .+HTTP {fault}") as caught:
            await play(model, ToolLoop(turn_timeout=1.0))
    assert type(caught.value) is kind
    assert caught.value.http_status == int(fault)


def replica(url: str, retry: Retry) -> Model:
    return ChatModel(url, "m", retry=retry)


@pytest.mark.parametrize("turn_timeout", [None, 60.0])
async def test_a_time_out_raised_by_the_model_itself_is_a_model_timeout(turn_timeout: float | None) -> None:
    with pytest.raises(ModelTimeout):
        await play(Canned(TimeoutError("the socket")), ToolLoop(turn_timeout=turn_timeout))  # type: ignore[arg-type]


async def test_what_was_done_before_a_failure_is_kept() -> None:
    environment = Workshop()
    link = LocalEnvironment(environment)
    with pytest.raises(ModelError) as of_model:
        await ToolLoop().run(row(), link, Canned(calls("first"), ModelError("gone")))
    with pytest.raises(VerifierFault) as of_verifier:
        await ToolLoop().run(row(), link, Canned(say("verify breaks", usage=usage(3, 4))))

    by_model = take_partial(of_model.value, row()).response
    assert by_model is not None
    assert [item["type"] for item in by_model.output] == [
        "function_call",
        "function_call_output",
    ]
    by_verifier = take_partial(of_verifier.value, row()).response
    assert by_verifier is not None
    assert by_verifier.final_text == "verify breaks"
    assert by_verifier.usage == usage(3, 4)
    assert link.open_sessions == 0


async def test_a_failure_of_the_first_call_leaves_an_empty_trajectory() -> None:
    with pytest.raises(ModelError) as caught:
        await play(Canned(ModelError("gone")))

    partial = take_partial(caught.value, row()).response
    assert partial is not None
    assert partial.output == []


async def test_a_seed_that_raises_never_asks_the_model() -> None:
    class Unready(Environment):
        def seed(self, task: Any, session: Session) -> None:
            raise OSError("no disk")

    model = Canned(say("x"))
    with pytest.raises(EnvironmentFault):
        await ToolLoop().run(row(), LocalEnvironment(Unready()), model)

    assert model.asked == []


async def test_items_are_replayed_unchanged_with_token_ids_and_fields_nobody_knows() -> None:
    thought: Item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "opaque",
        "x_vendor": {"deep": [1, None]},  # type: ignore[typeddict-unknown-key]
    }
    call: Item = {
        "type": "function_call",
        "call_id": "c",
        "name": "first",
        "arguments": " { } ",
        "id": "fc_1",
        "status": "completed",
        "prompt_token_ids": [1, 2, 3],
        "generation_token_ids": [9, 8],
        "generation_log_probs": [-0.1, -2.5],
        "routed_experts": [[[0, 1]]],
    }
    hosted: Item = {"type": "web_search_call", "query": "x"}  # type: ignore[typeddict-unknown-key]
    model = Canned(Response.of([thought, hosted, call]), say("done"))

    rollout = await play(model)

    assert model.asked[1]["input"][1:4] == [thought, hosted, call]
    assert rollout.response is not None
    assert rollout.response.output[:3] == [thought, hosted, call]


async def test_the_row_is_left_as_it_came() -> None:
    given = row()
    before = json.dumps(given)

    rollout = await ToolLoop().run(given, LocalEnvironment(Workshop()), Canned(calls("first"), say("done")))

    assert json.dumps(given) == before
    offered = rollout.row["responses_create_params"].pop("tools")
    assert [tool["name"] for tool in offered] == [tool["name"] for tool in LocalEnvironment(Workshop()).tools]
    assert rollout.row == given


async def test_the_model_of_the_session_is_the_one_that_is_asked() -> None:
    class PerSession(Model):
        def for_session(self, session: Session) -> Model:
            return Canned(say(f"I am in {session.id}"))

        async def responses(self, params: RequestParams) -> Response:
            raise AssertionError("not for a session")

    rollout = await play(PerSession())

    assert rollout.response is not None
    assert rollout.response.final_text == "I am in s0"


async def test_a_single_call_runs_no_tools() -> None:
    environment = Workshop()
    model = Endless(lambda: calls("first"))

    rollout = await SingleCall().run(row(), LocalEnvironment(environment), model)

    assert model.calls == 1
    assert environment.order == []
    assert rollout.response is not None
    assert [item["type"] for item in rollout.response.output] == ["function_call"]
    assert (await play(Canned(say("hi")), SingleCall())).outcome == "completed"
