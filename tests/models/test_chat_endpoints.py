"""Any endpoint of Chat Completions: odd answers, history that strict engines refuse, and the limit's name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from nemo_gym import Environment, Response, Rollout, Session, tool
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.anthropic import AnthropicModel
from nemo_gym.models.azure import AzureModel
from nemo_gym.models.base import Model
from nemo_gym.models.chat import ChatModel, ChatSettings
from nemo_gym.models.responses import ResponsesModel
from nemo_gym.models.tokens import check_evidence
from nemo_gym.models.vllm import VllmModel, VllmSettings
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import ModelDenied, ModelError, ModelRejected
from nemo_gym.wire.items import function_call, user
from tests.serving.loopback import served

QUICK = Retry(attempts=2, base=0.0, cap=0.0, budget=60.0)
WITH_TOKENS = VllmSettings(return_token_id_information=True, request_prompt_and_generation_token_ids=True)
Answer = Callable[[dict[str, Any]], Any]


class Workshop(Environment):
    """Counts the calls that reached a tool."""

    @tool
    async def ping(self, session: Session) -> str:
        """Ping."""
        session.state["calls"] = session.state.get("calls", 0) + 1
        return "pong"

    @tool
    async def look(self, session: Session, city: str) -> str:
        """Look."""
        session.state["calls"] = session.state.get("calls", 0) + 1
        return f"sunny in {city}"

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return float(session.state.get("calls", 0))


@asynccontextmanager
async def endpoint(answer: Answer) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An endpoint of any dialect, and the bodies it was sent; an answer may be (status, body)."""
    bodies: list[dict[str, Any]] = []

    async def serve(request: Request) -> JSONResponse:
        bodies.append(await request.json())
        told = answer(bodies[-1])
        status, body = told if isinstance(told, tuple) else (200, told)
        return JSONResponse(body, status)

    paths = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
    app = Starlette(routes=[Route(path, serve, methods=["POST"]) for path in paths])
    async with served(app) as url:
        yield f"{url}/v1", bodies


def completion(message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "choices": [choice], **fields}


def call(name: Any, arguments: Any, id: Any = "a", **fields: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def strict(body: dict[str, Any]) -> str:
    """What an engine that parses its history has against it."""
    for message in body["messages"]:
        calls = message.get("tool_calls") or []
        if len({one["id"] for one in calls}) < len(calls):
            return "Duplicate tool_call_id"
        for one in calls:
            try:
                value = json.loads(one["function"]["arguments"], parse_constant=lambda _: 1 / 0)
            except (ValueError, ZeroDivisionError):
                return "arguments are not JSON"
            if not isinstance(value, dict):
                return "arguments must be an object"
            if not one["function"]["name"].replace("_", "").replace("-", "").isalnum():
                return "a name does not match"
    return ""


def calling(*calls: Any, **message: Any) -> Answer:
    """An engine that makes these calls, and then says "done" if its history passes."""

    def answer(body: dict[str, Any]) -> Any:
        if not any(message["role"] == "tool" for message in body["messages"]):
            return completion({"content": None, "tool_calls": list(calls), **message})
        problem = strict(body)
        return (400, {"error": {"message": problem}}) if problem else completion({"content": "done"})

    return answer


async def play(model: Model) -> Rollout:
    row = {"responses_create_params": {"input": "go"}, "_ng_task_index": 0, "_ng_rollout_index": 0}
    async with model:
        return await ToolLoop(max_steps=3).run(row, LocalEnvironment(Workshop()), model)


@pytest.fixture(params=[ChatModel, VllmModel])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("arguments", [None, "", "  ", "null", "[]", [], {}, "{}"])
async def test_a_call_without_arguments_is_run(kind: Any, arguments: Any) -> None:
    async with endpoint(calling(call("ping", arguments))) as (url, _):
        rollout = await play(kind(url, "m", retry=QUICK))
    assert (rollout.outcome, rollout.reward) == ("completed", 1.0)


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("look", '{"city": "Lis', "Invalid arguments for look"),
        ("look", '{"city":"Oslo"}{"city":"Oslo"}', "Invalid arguments for look"),
        ("look", '["Oslo"]', "Invalid arguments for look"),
        ("look", 7, "Invalid arguments for look"),
        ("look", '{"city": NaN}', "Invalid arguments for look"),
        ("look", '{"city": "a\nb"}', "Invalid arguments for look"),
        (None, "{}", "There is no tool"),
        ("functions.ping", "{}", "There is no tool"),
    ],
)
async def test_a_wrong_call_is_an_error_for_the_model_and_goes_back_as_a_right_one(
    kind: Any, name: Any, arguments: Any, error: str
) -> None:
    async with endpoint(calling(call(name, arguments))) as (url, bodies):
        rollout = await play(kind(url, "m", retry=QUICK))
    assert (rollout.outcome, rollout.reward) == ("completed", 0.0)
    assert error in bodies[-1]["messages"][-1]["content"]
    assert rollout.response is not None
    kept = rollout.response.function_calls[0]["arguments"]
    assert kept == (arguments if isinstance(arguments, str) else "7")


@pytest.mark.parametrize("id", ["x", "", None, 7])
async def test_calls_with_one_id_or_none_are_told_apart(kind: Any, id: Any) -> None:
    two = call("ping", "{}", id), call("look", '{"city": "Oslo"}', id)
    async with endpoint(calling(*two)) as (url, bodies):
        rollout = await play(kind(url, "m", retry=QUICK))
    assert rollout.reward == 2.0
    _, turn, first, second = bodies[-1]["messages"]
    assert [one["id"] for one in turn["tool_calls"]] == [first["tool_call_id"], second["tool_call_id"]]
    assert (first["content"], second["content"]) == ("pong", "sunny in Oslo")


async def test_an_older_function_call_is_a_call(kind: Any) -> None:
    function = {"name": "ping", "arguments": "{}"}
    async with endpoint(calling(function_call=function)) as (url, _):
        assert (await play(kind(url, "m", retry=QUICK))).reward == 1.0


async def test_what_a_provider_wants_back_comes_back(kind: Any) -> None:
    signature = {"google": {"thought_signature": "SIG"}}
    details = [{"type": "reasoning.encrypted", "data": "ENC", "id": "r1"}]
    answer = calling(call("ping", "{}", extra_content=signature), reasoning="hm", reasoning_details=details)
    async with endpoint(answer) as (url, bodies):
        assert (await play(kind(url, "m", retry=QUICK))).reward == 1.0
    turn = bodies[-1]["messages"][1]
    assert turn["tool_calls"][0]["extra_content"] == signature
    assert turn["reasoning_details"] == details


@pytest.mark.parametrize(
    "fields",
    [
        {"id": None}, {"id": 7}, {"id": {}}, {"created": "2024-01-01"}, {"model": None}, {"model": 3},
        {"usage": None}, {"usage": {"prompt_tokens": "10", "completion_tokens": 5.0}}, {"usage": "many"},
        {"usage": {"prompt_tokens": 1, "completion_tokens": -1}}, {"error": None}, {"error": {}},
    ],
)  # fmt: skip
async def test_odd_metadata_does_not_discard_an_answer(kind: Any, fields: dict[str, Any]) -> None:
    async with endpoint(lambda _: completion({"content": "hi"}, **fields)) as (url, _):
        rollout = await play(kind(url, "m", retry=QUICK))
    assert rollout.response is not None
    assert rollout.response.final_text == "hi"
    counted = fields.get("usage") == {"prompt_tokens": "10", "completion_tokens": 5.0}
    assert (rollout.response.usage or {}).get("total_tokens") == (15 if counted else None)


async def test_a_refusal_among_the_parts_and_an_error_beside_them(kind: Any) -> None:
    refusal = {"content": [{"type": "refusal", "refusal": "I can't."}]}
    async with endpoint(lambda _: completion(refusal)) as (url, _):
        rollout = await play(kind(url, "m", retry=QUICK))
    assert rollout.response is not None
    assert rollout.response.output[0]["content"][0] == {"type": "refusal", "refusal": "I can't."}  # type: ignore[typeddict-item]
    failed = completion({"content": ""})
    failed["choices"][0]["error"] = {"code": 502, "message": "upstream"}
    async with endpoint(lambda _: failed) as (url, _):
        with pytest.raises(ModelError, match="upstream"):
            await play(kind(url, "m", retry=QUICK))


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (400, "temperature must be at most 1", ModelRejected),
        (
            400,
            "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens",
            ModelRejected,
        ),
        (402, "Insufficient balance", ModelDenied),
        (307, "moved", ModelDenied),
        (200, "payment", ModelDenied),
    ],
)
async def test_a_refusal_is_a_failure_and_only_a_wrong_request_is_final(
    kind: Any, status: int, message: str, error: type[ModelError]
) -> None:
    body = {"error": {"message": message, "code": 402 if status == 200 else None}}
    async with endpoint(lambda _: (status, body)) as (url, bodies):
        with pytest.raises(ModelError) as caught:
            await play(kind(url, "m", retry=QUICK))
    assert type(caught.value) is error
    assert caught.value.terminal is (error is ModelRejected)
    assert len(bodies) == 1


@pytest.mark.parametrize("status", [400, 422, 200])
async def test_an_overflow_is_an_outcome(kind: Any, status: int) -> None:
    body = {"error": {"message": "prompt is too long: 9 tokens > 8 maximum", "code": 400}}
    async with endpoint(lambda _: (status, body)) as (url, _):
        assert (await play(kind(url, "m", retry=QUICK))).outcome == "context_overflow"


class TestLimitField:
    """`max_tokens` and `max_completion_tokens`."""

    async def test_the_name_that_an_endpoint_wants_is_learnt_from_one_refusal(self) -> None:
        async with endpoint(wanting("max_completion_tokens")) as (url, bodies), ChatModel(url, "m") as model:
            for _ in range(3):
                assert (await model.responses({"input": "x", "max_output_tokens": 5})).output_text == "hi"
        assert [sorted(body.keys() & NAMES) for body in bodies] == [
            ["max_tokens"], *[["max_completion_tokens"]] * 3,
        ]  # fmt: skip

    async def test_the_other_way_round_for_azure(self) -> None:
        async with endpoint(wanting("max_tokens")) as (url, bodies), AzureModel(url, "m") as model:
            assert (await model.responses({"input": "x", "max_output_tokens": 5})).output_text == "hi"
        assert [sorted(body.keys() & NAMES) for body in bodies] == [["max_completion_tokens"], ["max_tokens"]]

    async def test_a_setting_is_followed_and_nothing_is_learnt(self) -> None:
        settings = ChatSettings(max_tokens_field="max_completion_tokens")
        async with (
            endpoint(wanting("max_tokens")) as (url, bodies),
            ChatModel.open(url, "m", settings) as model,
        ):
            with pytest.raises(ModelRejected, match="max_completion_tokens"):
                await model.responses({"input": "x", "max_output_tokens": 5})
        assert [sorted(body.keys() & NAMES) for body in bodies] == [["max_completion_tokens"]]

    async def test_the_first_refusal_counts_when_neither_name_helps(self) -> None:
        async with endpoint(wanting("neither")) as (url, bodies), ChatModel(url, "m") as model:
            for _ in range(2):
                with pytest.raises(ModelRejected, match="'max_tokens' is not supported"):
                    await model.responses({"input": "x", "max_output_tokens": 5})
        assert len(bodies) == 4


NAMES = {"max_tokens", "max_completion_tokens"}


def wanting(name: str) -> Answer:
    """An endpoint that knows the limit by this name."""

    def answer(body: dict[str, Any]) -> Any:
        for other in NAMES - {name}:
            if other in body:
                message = f"Unsupported parameter: '{other}' is not supported with this model."
                return 400, {"error": {"message": message, "code": "unsupported_parameter", "param": other}}
        return completion({"content": "hi"})

    return answer


class TestTokens:
    """Evidence that a trainer could not use is refused."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"generation_token_ids": [-3]}, {"prompt_token_ids": [-1]}, {"generation_log_probs": [0.5]},
            {"generation_log_probs": [None]}, {"generation_token_ids": []}, {"generation_token_ids": ["3"]},
        ],
    )  # fmt: skip
    async def test_in_chat(self, fields: dict[str, Any]) -> None:
        good = {"prompt_token_ids": [1], "generation_token_ids": [3], "generation_log_probs": [1e-7]}
        async with endpoint(lambda _: completion({"content": "hi", **good})) as (url, _):
            rollout = await play(VllmModel(url, "m", WITH_TOKENS, retry=QUICK))
        assert rollout.response is not None
        assert rollout.response.output[-1].items() >= good.items()
        async with endpoint(lambda _: completion({"content": "hi", **good, **fields})) as (url, _):
            with pytest.raises(ModelError) as caught:
                await play(VllmModel(url, "m", WITH_TOKENS, retry=QUICK))
        assert type(caught.value) is ModelError

    @pytest.mark.parametrize("field", ["generation_token_ids", "generation_log_probs"])
    async def test_in_responses(self, field: str) -> None:
        part = {"type": "output_text", "text": "hi", "annotations": []}
        message: dict[str, Any] = {"type": "message", "role": "assistant", "content": [part]}
        good = {"prompt_token_ids": [1], "generation_token_ids": [3], "generation_log_probs": [-0.5]}
        bad = {**good, field: [-3] if field == "generation_token_ids" else [0.5]}
        async with endpoint(lambda _: {"output": [message | bad]}) as (url, _):
            with pytest.raises(ModelError, match=field):
                await play(ResponsesModel(url, "m", retry=QUICK))


class TestOtherDialects:
    async def test_messages(self) -> None:
        """Blank text is not sent back, and ids that the API refuses are rewritten."""
        use: list[dict[str, Any]] = [
            {"type": "text", "text": "\n\n"},
            {"type": "tool_use", "id": "functions.ping:0", "name": "ping", "input": None},
            {"type": "tool_use", "id": "functions.ping:0", "name": "ping", "input": {}},
        ]

        def answer(body: dict[str, Any]) -> Any:
            blocks = [block for message in body["messages"] for block in message["content"]]
            if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
                return 400, {"error": {"message": "text content blocks must contain non-whitespace text"}}
            done = any(block["type"] == "tool_result" for block in blocks)
            content = [{"type": "text", "text": "done"}] if done else use
            return {"id": None, "model": None, "content": content, "usage": {"input_tokens": None}}

        async with endpoint(answer) as (url, bodies):
            rollout = await play(AnthropicModel(url, "m", retry=QUICK))
        assert (rollout.outcome, rollout.reward) == ("completed", 2.0)
        _, turn, results = bodies[-1]["messages"]
        ids = [block["id"] for block in turn["content"]]
        assert ids == ["functions_ping_0", "functions_ping_0_1"]
        assert [block["tool_use_id"] for block in results["content"]] == ids

    async def test_responses(self) -> None:
        odd = {"type": "function_call", "call_id": "x", "name": "ping", "arguments": None}

        def answer(body: dict[str, Any]) -> Any:
            calls = [item for item in body["input"] if item.get("type") == "function_call"]
            if not calls:
                return {"id": None, "output": [odd, odd, {**odd, "name": None, "arguments": "{oops"}]}
            assert len({item["call_id"] for item in calls}) == 3
            assert all(isinstance(json.loads(item["arguments"]), dict) for item in calls)
            part = {"type": "output_text", "text": "done", "annotations": []}
            message = {"type": "message", "role": "assistant", "content": [part]}
            return {"output": [message], "usage": {"input_tokens": None}}

        async with endpoint(answer) as (url, _):
            rollout = await play(ResponsesModel(url, "m", retry=QUICK))
        assert (rollout.outcome, rollout.reward) == ("completed", 2.0)

    async def test_a_response_that_failed_is_a_failure(self) -> None:
        failed = {"status": "failed", "error": {"code": "server_error", "message": "boom"}, "output": []}
        async with endpoint(lambda _: failed) as (url, _):
            with pytest.raises(ModelError, match=r"the model failed: .+boom"):
                await play(ResponsesModel(url, "m", retry=QUICK))

    @pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
    async def test_a_response_that_is_not_finished_is_a_failure(self, status: str) -> None:
        async with endpoint(lambda _: {"status": status, "output": []}) as (url, _):
            with pytest.raises(ModelError, match=f"not finished: its status is {status}"):
                await play(ResponsesModel(url, "m", retry=QUICK))

    async def test_a_response_that_failed_for_its_length_is_an_overflow(self) -> None:
        error = {"code": "context_length_exceeded", "message": "Your input exceeds the context window."}
        async with endpoint(lambda _: {"status": "failed", "error": error, "output": []}) as (url, _):
            rollout = await play(ResponsesModel(url, "m", retry=QUICK))
        assert rollout.outcome == "context_overflow"

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            ({"output": []}, "completed"),
            ({"output": [None, {"type": "message", "role": "assistant", "content": None}]}, "completed"),
            (
                {"output": [{"role": "assistant", "type": "message",
                             "content": [{"type": "output_text", "text": None}]}]},
                "completed",
            ),
            ({"status": "incomplete", "output": []}, "max_output_tokens"),
        ],
    )  # fmt: skip
    async def test_a_response_without_text_is_an_answer(self, answer: dict[str, Any], outcome: str) -> None:
        async with endpoint(lambda _: answer) as (url, bodies):
            rollout = await play(ResponsesModel(url, "m", retry=QUICK))
        assert (rollout.outcome, len(bodies)) == (outcome, 1)

    async def test_a_history_of_responses_is_sent_as_the_api_wants_it(self) -> None:
        thought = {"type": "reasoning", "id": "rs_1", "summary": None}
        use = {"type": "function_call", "id": "fc_1", "call_id": "x", "name": "ping", "arguments": "{}"}
        answers = [[thought], [thought, {**use, "status": None}], [thought, use]]
        done = {"type": "message", "id": "m", "role": "assistant", "content": "done"}

        def answer(body: dict[str, Any]) -> Any:
            ids = [item["id"] for item in body["input"] if item.get("id")]
            assert len(ids) == len(set(ids))
            assert body["input"][-1]["type"] != "reasoning"
            return {"output": answers.pop(0) if answers else [done]}

        async with endpoint(answer) as (url, _), ResponsesModel(url, "m", retry=QUICK) as model:
            row = {"responses_create_params": {"input": "go"}}
            rollout = await ToolLoop(max_steps=5).run(row, LocalEnvironment(Workshop()), model)
        assert (rollout.outcome, rollout.reward) == ("completed", 2.0)


async def test_a_turn_that_says_nothing_is_left_out_for_strict_engines() -> None:
    answers = [
        {"content": "", "reasoning_content": "hm"},
        {"content": "<think>hm</think>"},
        {"content": "done"},
    ]
    async with endpoint(lambda _: completion(answers.pop(0))) as (url, bodies):
        rollout = await play(ChatModel(url, "m", retry=QUICK))
    assert rollout.outcome == "completed"
    assert [[message["role"] for message in body["messages"]] for body in bodies] == [["user"]] * 3


async def test_a_call_that_a_step_environment_leaves_unanswered_gets_an_output() -> None:
    row = {"input": [user("go"), function_call("ping", "{}", call_id="a"), user("and now?")]}
    async with (
        endpoint(lambda _: completion({"content": "done"})) as (url, bodies),
        ChatModel(url, "m", retry=QUICK) as model,
    ):
        await model.responses(row)  # type: ignore[arg-type]
    roles = [message["role"] for message in bodies[0]["messages"]]
    assert roles == ["user", "assistant", "tool", "user"]


@pytest.mark.parametrize(
    "tokens",
    [
        {"prompt_token_ids": [1], "generation_token_ids": [2, 3], "generation_log_probs": [-0.1]},
        {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [float("-inf")]},
        {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [float("nan")]},
        {"prompt_token_ids": [1], "generation_token_ids": [-2], "generation_log_probs": [-0.1]},
    ],
)
def test_tokens_of_a_response_that_can_not_be_evidence(tokens: dict[str, Any]) -> None:
    item = {"type": "message", "role": "assistant", "content": "hi", **tokens}
    with pytest.raises(ValueError, match=r"output\[0\]: "):
        check_evidence(Response({"output": [item]}))
