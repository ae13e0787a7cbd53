"""The Anthropic back end against a model server that speaks Messages over real sockets."""

import json
from contextlib import asynccontextmanager

import pytest
from serving.loopback import served
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from nemo_gym.models.anthropic import AnthropicModel, AnthropicSettings
from nemo_gym.models.registry import build_model
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import ModelDenied, ModelError, ModelRejected, RateLimited, UsageError
from nemo_gym.wire.items import assistant, function_call, function_call_output, user
from nemo_gym.wire.response import Response

ONCE = Retry(attempts=1)
SEALED = {
    "type": "reasoning",
    "id": "rs_0",
    "summary": [{"type": "summary_text", "text": "hm"}],
    "encrypted_content": "seal",
}
HIDDEN = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "blob"}
USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": None},
    "total_tokens": 9,
}


@asynccontextmanager
async def asking(script, settings=None, **options):
    """An Anthropic back end whose endpoint is a model server over `script`."""
    app = model_app(ScriptedModel(script), name="upstream", options=AppOptions(**options))
    async with served(app) as url, AnthropicModel(url, "claude", settings, retry=ONCE) as model:
        yield model


@asynccontextmanager
async def endpoint(answer, status=200, headers=None):
    """A bare endpoint that gives one answer; its URL, and what it was sent."""
    seen = []

    async def messages(request):
        seen.append((dict(request.headers), await request.json()))
        return JSONResponse(answer, status, headers=headers)

    async with served(Starlette(routes=[Route("/v1/messages", messages, methods=["POST"])])) as url:
        yield url, seen


def message(*content, stop_reason="end_turn"):
    usage = {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 2}
    return {"id": "msg_1", "model": "m", "content": list(content), "stop_reason": stop_reason, "usage": usage}


class TestConversation:
    async def test_what_the_model_says_arrives_whole(self):
        call = function_call("f", '{"x":1}', call_id="c")
        output = [SEALED, HIDDEN, assistant("hello"), call]
        async with asking(lambda _: Response.of(output, model="m", usage=USAGE)) as model:
            response = await model.responses({"input": "hi"})
        bare = [{k: v for k, v in item.items() if k not in ("id", "status")} for item in response.output]
        assert bare == [{k: v for k, v in item.items() if k not in ("id", "status")} for item in output]
        assert (response.usage, response.model) == (USAGE, "m")

    async def test_what_was_said_before_goes_back(self):
        asked = []
        history = [
            user("hi"),
            SEALED,
            assistant("let me see"),
            function_call("f", '{"x":1}', call_id="c"),
            function_call_output("c", "21"),
        ]
        async with asking(lambda params: asked.append(params) or "21 degrees") as model:
            response = await model.responses({"input": history, "instructions": "Be brief."})
        assert response.output_text == "21 degrees"
        assert asked[0]["instructions"] == "Be brief."
        kinds = [item["type"] for item in asked[0]["input"]]
        assert kinds == ["message", "reasoning", "message", "function_call", "function_call_output"]
        assert asked[0]["input"][1]["encrypted_content"] == "seal"

    @pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
    async def test_an_answer_cut_off_says_why(self, reason):
        async with asking(lambda _: Response.of([assistant("a")], incomplete=reason)) as model:
            assert (await model.responses({"input": "x"})).incomplete_reason == reason

    async def test_a_full_context_window_is_no_error(self):
        error = {"type": "error", "error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}
        async with endpoint(error, 400) as (url, _), AnthropicModel(url, "m", retry=ONCE) as model:
            response = await model.responses({"input": "x"})
        assert response.data["incomplete_details"]["detail"] == "context_overflow"


class TestRequest:
    async def test_the_endpoint_gets_what_it_insists_on(self):
        async with (
            endpoint(message({"type": "text", "text": "a"})) as (url, seen),
            AnthropicModel(url, "claude", api_key="sesame") as model,
        ):
            await model.responses({"input": "x", "user": "u", "metadata": {"note": "n"}})
        headers, body = seen[0]
        assert (headers["x-api-key"], headers["anthropic-version"]) == ("sesame", "2023-06-01")
        assert "authorization" not in headers
        assert body == {
            "model": "claude",
            "max_tokens": 8192,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
            "metadata": {"user_id": "u"},
        }

    async def test_settings_and_the_rows_own_extras_are_laid_over(self):
        settings = AnthropicSettings(
            thinking_budget_tokens=1024, extra_body={"service_tier": "auto"}, max_tokens=2048
        )
        extra = {"stop": "END", "top_k": 5, "seed": 1}
        async with (
            endpoint(message({"type": "text", "text": "a"})) as (url, seen),
            AnthropicModel(url, "claude", settings) as model,
        ):
            await model.responses({"input": "x", "metadata": {"extra_body": json.dumps(extra)}})
        _, body = seen[0]
        del body["messages"]
        assert body == {
            "model": "claude",
            "max_tokens": 2048,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "service_tier": "auto",
            "stop_sequences": ["END"],
            "top_k": 5,
        }

    def test_thinking_is_configured_in_one_place(self):
        settings = AnthropicSettings(thinking_budget_tokens=1024, extra_body={"thinking": {}})
        with pytest.raises(UsageError, match="thinking_budget_tokens and in extra_body"):
            AnthropicModel("http://localhost", "m", settings)

    async def test_sampling_is_refused_where_the_model_refuses_it(self):
        async with AnthropicModel("http://localhost:9", "claude-opus-4-7") as model:
            with pytest.raises(ModelRejected, match="leave out temperature"):
                await model.responses({"input": "x", "temperature": 0.5})


class TestFailures:
    async def test_a_wrong_key_is_denied(self):
        async with asking(lambda _: "a", token=Secret("right")) as model:
            with pytest.raises(ModelDenied):
                await model.responses({"input": "x"})

    async def test_the_endpoints_pause_is_kept(self):
        async with (
            endpoint({"type": "error"}, 429, {"retry-after": "9"}) as (url, _),
            AnthropicModel(url, "m", retry=ONCE) as model,
        ):
            with pytest.raises(RateLimited) as caught:
                await model.responses({"input": "x"})
        assert caught.value.retry_after == 9

    async def test_a_block_that_nobody_asked_for_is_a_failed_call(self):
        block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
        async with endpoint(message(block)) as (url, _), AnthropicModel(url, "m", retry=ONCE) as model:
            with pytest.raises(ModelError, match="server_tool_use"):
                await model.responses({"input": "x"})


def test_the_type_is_known_by_name(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sesame")
    model = build_model("anthropic", name="claude", settings={"thinking_budget_tokens": 1024})
    assert isinstance(model, AnthropicModel)
    assert model.endpoint.url == "https://api.anthropic.com/v1"
    with pytest.raises(UsageError, match="no setting 'thinkin'"):
        build_model("anthropic", name="claude", settings={"thinkin": {}})


def text_block(text):
    return {"type": "text", "text": text}


@asynccontextmanager
async def answering(*answers):
    """A model whose endpoint gives these answers, the last for ever, and the messages it was sent."""
    seen = []
    left = list(answers)

    async def messages(request):
        seen.append((await request.json())["messages"])
        return JSONResponse(left.pop(0) if len(left) > 1 else left[0])

    app = Starlette(routes=[Route("/v1/messages", messages, methods=["POST"])])
    async with served(app) as url, AnthropicModel(f"{url}/v1", "claude", retry=ONCE) as model:
        yield model, seen


def paused(*blocks):
    return {
        "content": list(blocks),
        "stop_reason": "pause_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }


async def test_a_turn_that_the_api_interrupts_goes_on():
    thought = {"type": "thinking", "thinking": "hm", "signature": "S"}
    end = {**paused(text_block("and done")), "stop_reason": "end_turn"}
    async with answering(paused(thought, text_block("so far \n")), paused(), end) as (model, seen):
        response = await model.responses({"input": "go"})
    assert [item["type"] for item in response.output] == ["reasoning", "message", "message"]
    assert response.output_text == "so far \nand done"
    assert response.incomplete_reason is None
    assert response.usage["output_tokens"] == 6
    assert seen[1] == [
        {"role": "user", "content": [text_block("go")]},
        {"role": "assistant", "content": [thought, text_block("so far")]},
    ]
    assert seen[2] == seen[1]


async def test_a_turn_that_is_interrupted_for_ever_ends():
    async with answering(paused(text_block("hm"))) as (model, seen):
        response = await model.responses({"input": "go"})
    assert response.incomplete_reason == "max_output_tokens"
    assert len(seen) == 11


async def test_calls_of_an_interrupted_turn_are_run_first():
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    async with answering(paused(use)) as (model, seen):
        response = await model.responses({"input": "go"})
    assert len(response.function_calls) == len(seen) == 1
    assert response.incomplete_reason is None


async def test_thinking_at_the_end_of_a_turn_is_not_sent_back():
    answer = {"content": "done", "stop_reason": "end_turn"}
    async with answering(answer) as (model, seen):
        response = await model.responses({"input": [user("a"), SEALED, user("b"), assistant("c \n"), SEALED]})
    assert response.output_text == "done"
    (asked,) = seen
    assert asked == [
        {"role": "user", "content": [text_block("a"), text_block("b")]},
        {"role": "assistant", "content": [text_block("c")]},
    ]


async def test_an_endpoint_that_signs_gets_no_reasoning_without_a_signature():
    plain = {"type": "reasoning", "id": "rs_9", "summary": [{"type": "summary_text", "text": "hm"}]}
    row = {"input": [user("a"), plain, assistant("b"), user("c")]}
    signed = {"type": "thinking", "thinking": "hm", "signature": "S"}
    async with answering({"content": [signed, text_block("d")]}) as (model, seen):
        await model.responses(row)
        await model.responses(row)
    assert [len(messages[1]["content"]) for messages in seen] == [2, 1]
