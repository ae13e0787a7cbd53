"""A model server as its clients see it: the official `openai` and `anthropic` clients over real sockets."""

import asyncio
import json
from contextlib import asynccontextmanager

import anthropic
import httpx2
import openai
import pytest
from loopback import served as on_loopback
from pydantic import BaseModel

from nemo_gym.capture.stores import MemoryCapture
from nemo_gym.models.base import Model
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.errors import (
    ModelDenied,
    ModelError,
    ModelRejected,
    ModelTimeout,
    ModelUnreachable,
    RateLimited,
)
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.response import Response

TOKENS = {"prompt_token_ids": [1, 2], "generation_token_ids": [9, 8], "generation_log_probs": [-0.1, -0.2]}
USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 9,
}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_0",
    "summary": [{"type": "summary_text", "text": "hm"}],
    "encrypted_content": "seal",
}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
LINES = "one\ntwo\u2028three\x85four"


class Capital(BaseModel):
    city: str


class Scripted(ScriptedModel):
    """Says what it is told, and remembers what it was asked."""

    def __init__(self, *answers):
        super().__init__(self._next)
        self.answers = list(answers)
        self.asked = []

    def _next(self, params):
        self.asked.append(params)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Server:
    def __init__(self, url):
        self.url = url
        self.http = httpx2.AsyncClient(base_url=url, verify=False)
        given = {"api_key": "none", "max_retries": 0, "http_client": self.http}
        self.openai = openai.AsyncOpenAI(base_url=f"{url}/v1", **given)
        self.anthropic = anthropic.AsyncAnthropic(base_url=url, **given)


@asynccontextmanager
async def served(model, **options):
    async with on_loopback(model_app(model, name="policy_model", options=AppOptions(**options))) as url:
        server = Server(url)
        async with server.http:
            yield server


def whole_answer():
    call = {**function_call("get_weather", '{"city": "Rome"}', call_id="call_1"), **TOKENS}
    return Response.of([THOUGHT, assistant(LINES), call], model="m", usage=USAGE)


def plain(model):
    """A client's object as JSON, without what is unset or null."""
    return model.model_dump(exclude_none=True)


class TestResponses:
    async def test_an_answer_is_whole(self):
        async with served(Scripted(whole_answer())) as server:
            tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
            response = await server.openai.responses.create(
                model="any", input="hi", tools=[tool], temperature=0.5, instructions="Be brief."
            )
        assert response.output_text == LINES
        assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
        assert response.output[0].encrypted_content == "seal"
        assert response.output[2].arguments == '{"city": "Rome"}'
        assert response.output[2].model_extra == TOKENS
        assert response.usage.input_tokens_details.cached_tokens == 3
        assert (response.temperature, response.instructions, len(response.tools)) == (0.5, "Be brief.", 1)
        assert response.id.startswith("resp_")
        assert response.created_at > 1e9

    async def test_two_answers_have_two_ids(self):
        async with served(Scripted("a")) as server:
            ids = {(await server.openai.responses.create(model="m", input="x")).id for _ in range(2)}
        assert len(ids) == 2

    async def test_a_stream_is_created_items_completed(self):
        async with served(Scripted(whole_answer())) as server:
            stream = await server.openai.responses.create(model="m", input="hi", stream=True)
            events = [event async for event in stream]
        kinds = [event.type for event in events]
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 3
        assert kinds[-1] == "response.completed"
        assert events[0].response.status == "in_progress"
        assert events[0].response.output == []
        assert [event.sequence_number for event in events] == list(range(len(events)))
        done = [event.item for event in events if event.type == "response.output_item.done"]
        assert done == events[-1].response.output
        assert events[-1].response.output_text == LINES

    async def test_a_stream_put_together_by_the_client_is_the_answer(self):
        answer = whole_answer()
        answer.data |= {"id": "resp_7", "created_at": 5.0}
        async with served(Scripted(answer)) as server:
            whole = await server.openai.responses.create(model="m", input="hi")
            async with server.openai.responses.stream(model="m", input="hi") as stream:
                put_together = await stream.get_final_response()
        assert plain(put_together)["output"][:2] == plain(whole)["output"][:2]
        assert put_together.output[2].parsed_arguments is None
        assert put_together.usage == whole.usage

    async def test_structured_output(self):
        async with served(model := Scripted('{"city": "Rome"}')) as server:
            response = await server.openai.responses.parse(model="m", input="hi", text_format=Capital)
        assert response.output_parsed == Capital(city="Rome")
        assert model.asked[0]["text"]["format"]["name"] == "Capital"

    async def test_a_tool_is_called_and_answered(self):
        async with served(model := Scripted(whole_answer(), "21 degrees")) as server:
            first = await server.openai.responses.create(model="m", input="hi")
            output = {"type": "function_call_output", "call_id": "call_1", "output": "21"}
            history = [{"role": "user", "content": "hi"}, *first.output, output]
            second = await server.openai.responses.create(model="m", input=history)
        assert second.output_text == "21 degrees"
        kinds = [item["type"] for item in model.asked[1]["input"][1:]]
        assert kinds == ["reasoning", "message", "function_call", "function_call_output"]

    async def test_the_strict_door_names_the_unknown_field(self):
        async with served(Scripted("a")) as server:
            reply = await server.http.post("/v1/responses", json={"input": "x", "temprature": 1})
        (problem,) = reply.json()["detail"]
        assert reply.status_code == 422
        assert problem["loc"] == ["body", "temprature"]
        assert "Did you mean 'temperature'" in problem["msg"]

    async def test_a_streaming_client_may_send_what_only_it_knows(self):
        inner = {"type": "function", "name": "look", "parameters": WEATHER}
        body = {
            "stream": True,
            "client_metadata": {"a": 1},
            "instructions": "First.",
            "tools": [{"type": "namespace", "name": "eyes", "tools": [inner]}],
            "input": [
                {"type": "additional_tools", "tools": [{**inner, "name": "more"}, {"type": "web_search"}]},
                {"type": "message", "role": "developer", "content": "Second."},
                {"type": "message", "role": "user", "content": "hi"},
                {"type": "ghost_snapshot", "commit": "abc"},
            ],
        }
        call = function_call("eyes__look", "{}", call_id="c")
        async with served(model := Scripted([call])) as server:
            reply = await server.http.post("/v1/responses", json=body)
        assert model.asked == [
            {
                "instructions": "First.\n\nSecond.",
                "tools": [{**inner, "name": "eyes__look"}, {**inner, "name": "more"}],
                "input": [{"type": "message", "role": "user", "content": "hi"}],
            }
        ]
        items = [event["item"] for event in events_of(reply.text) if "item" in event]
        assert [(item["namespace"], item["name"]) for item in items] == [("eyes", "look")] * 2

    async def test_an_invalid_streamed_request_is_refused_before_the_stream(self):
        async with served(Scripted("a")) as server:
            with pytest.raises(openai.UnprocessableEntityError, match="temperature"):
                await server.openai.responses.create(
                    model="m", input="x", stream=True, extra_body={"temperature": "hot"}
                )

    @pytest.mark.parametrize("problem", [RateLimited("slow down"), RuntimeError("bug")])
    async def test_a_failure_after_commit_is_an_event(self, problem):
        async with served(Scripted(problem)) as server:
            stream = await server.openai.responses.create(model="m", input="x", stream=True)
            events = [event async for event in stream]
        assert [event.type for event in events] == ["response.created", "response.failed"]
        assert events[1].response.error.code == "server_error"
        assert str(problem) in events[1].response.error.message
        assert events[0].response.id == events[1].response.id


class TestChat:
    async def test_an_answer_is_whole(self):
        async with served(Scripted(whole_answer())) as server:
            completion = await server.openai.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}]
            )
        (choice,) = completion.choices
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == LINES
        assert choice.message.model_extra == {"reasoning_content": "hm", **TOKENS}
        assert choice.message.tool_calls[0].function.arguments == '{"city": "Rome"}'
        assert completion.usage.prompt_tokens == 7

    async def test_a_stream_put_together_by_the_client_is_the_answer(self):
        answer = whole_answer()
        answer.data |= {"id": "resp_7", "created_at": 5.0}
        ask = {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}],
        }
        async with served(Scripted(answer)) as server:
            whole = await server.openai.chat.completions.create(**ask)
            options = {"include_usage": True}
            async with server.openai.chat.completions.stream(**ask, stream_options=options) as stream:
                put_together = await stream.get_final_completion()
        first, second = plain(whole), plain(put_together)
        for place, call in enumerate(first["choices"][0]["message"]["tool_calls"]):
            call["index"] = place
        second["choices"][0]["message"]["tool_calls"][0]["function"].pop("parsed_arguments", None)
        assert second == first

    async def test_usage_is_streamed_only_when_asked_for(self):
        async with served(Scripted(whole_answer())) as server:
            ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
            without = [chunk async for chunk in await server.openai.chat.completions.create(**ask)]
            options = {"include_usage": True}
            stream = await server.openai.chat.completions.create(**ask, stream_options=options)
            chunks = [chunk async for chunk in stream]
        assert all(chunk.usage is None for chunk in without)
        assert chunks[-1].choices == []
        assert chunks[-1].usage.total_tokens == 9
        assert without[0].choices[0].delta.role == "assistant"
        assert without[-1].choices[0].finish_reason == "tool_calls"

    async def test_structured_output(self):
        async with served(model := Scripted('{"city": "Rome"}')) as server:
            completion = await server.openai.chat.completions.parse(
                model="m", messages=[{"role": "user", "content": "hi"}], response_format=Capital
            )
        assert completion.choices[0].message.parsed == Capital(city="Rome")
        assert model.asked[0]["text"]["format"]["type"] == "json_schema"

    async def test_reasoning_and_tool_answers_come_back(self):
        async with served(model := Scripted("ok")) as server:
            call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            spoken = {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]}
            answer = {"role": "tool", "tool_call_id": "c", "content": "21"}
            await server.openai.chat.completions.create(model="m", messages=[spoken, answer])
        kinds = [item["type"] for item in model.asked[0]["input"]]
        assert kinds == ["reasoning", "function_call", "function_call_output"]

    async def test_unknown_fields_are_tolerated(self):
        async with served(model := Scripted("ok")) as server:
            for stream in (False, True):
                await server.openai.chat.completions.create(
                    model="m", messages=[], stream=stream, extra_body={"top_k": 3, "seed": 1}
                )
        assert json.loads(model.asked[0]["metadata"]["extra_body"]) == {"top_k": 3, "seed": 1}
        assert json.loads(model.asked[1]["metadata"]["extra_body"]) == {"seed": 1}

    async def test_a_stream_that_is_neither_true_nor_false_is_refused(self):
        async with served(Scripted("ok")) as server:
            reply = await server.http.post("/v1/chat/completions", json={"messages": [], "stream": "yes"})
        assert reply.status_code == 422
        assert reply.json()["detail"][0]["loc"] == ["body", "stream"]


class TestMessages:
    ask = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}

    async def test_an_answer_is_whole(self):
        async with served(model := Scripted(whole_answer())) as server:
            tool = {"name": "get_weather", "description": "d", "input_schema": WEATHER}
            message = await server.anthropic.messages.create(
                **self.ask, system="Be brief.", tools=[tool], tool_choice={"type": "any"}
            )
        thought, text, use = message.content
        assert (thought.thinking, thought.signature) == ("hm", "seal")
        assert text.text == LINES
        assert (use.id, use.name, use.input) == ("call_1", "get_weather", {"city": "Rome"})
        assert message.stop_reason == "tool_use"
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (4, 3)
        assert model.asked[0]["tool_choice"] == "required"
        assert model.asked[0]["tools"][0]["parameters"] == WEATHER

    async def test_a_stream_put_together_by_the_client_is_the_answer(self):
        answer = whole_answer()
        answer.data["id"] = "resp_7"
        async with served(Scripted(answer)) as server:
            whole = await server.anthropic.messages.create(**self.ask)
            async with server.anthropic.messages.stream(**self.ask) as stream:
                put_together = await stream.get_final_message()
        first, second = plain(whole), plain(put_together)
        second["content"][1].pop("parsed_output", None)
        assert second == first

    async def test_a_conversation_with_tools_goes_on(self):
        async with served(model := Scripted(whole_answer(), "21 degrees")) as server:
            first = await server.anthropic.messages.create(**self.ask)
            result = {"type": "tool_result", "tool_use_id": "call_1", "content": "21"}
            history = [
                *self.ask["messages"],
                {"role": "assistant", "content": first.content},
                {"role": "user", "content": [result, {"type": "text", "text": "and?"}]},
            ]
            second = await server.anthropic.messages.create(**{**self.ask, "messages": history})
        assert second.content[0].text == "21 degrees"
        items = model.asked[1]["input"]
        kinds = [item["type"] for item in items]
        assert kinds == [
            "message", "reasoning", "message", "function_call", "function_call_output", "message",
        ]  # fmt: skip
        assert items[1]["encrypted_content"] == "seal"

    async def test_structured_output(self):
        async with served(model := Scripted('{"city": "Rome"}')) as server:
            message = await server.anthropic.messages.parse(**self.ask, output_format=Capital)
        assert message.parsed_output == Capital(city="Rome")
        assert model.asked[0]["text"]["format"]["type"] == "json_schema"

    async def test_a_truncated_answer_says_so(self):
        async with served(Scripted(Response.of([assistant("a")], incomplete="max_output_tokens"))) as server:
            message = await server.anthropic.messages.create(**self.ask)
        assert message.stop_reason == "max_tokens"

    async def test_tokens_are_counted_before_anything_is_asked(self):
        async with served(model := Scripted("a")) as server:
            short = await server.anthropic.messages.count_tokens(
                model="m", messages=[{"role": "user", "content": "four" * 10}]
            )
            with pytest.raises(anthropic.UnprocessableEntityError, match="messages"):
                await server.anthropic.messages.count_tokens(
                    model="m", messages=[{"role": "nobody", "content": "x"}]
                )
        assert 10 <= short.input_tokens <= 20
        assert model.asked == []

    async def test_an_unknown_block_is_the_clients_mistake(self):
        block = {"type": "hologram", "source": {"type": "text", "data": "x", "media_type": "text/plain"}}
        async with served(Scripted("a")) as server:
            ask = {**self.ask, "messages": [{"role": "user", "content": [block]}]}
            with pytest.raises(anthropic.UnprocessableEntityError, match="hologram") as caught:
                await server.anthropic.messages.create(**ask)
        assert caught.value.type == "invalid_request_error"


FAILURES = [
    (RateLimited("slow down"), 429, openai.RateLimitError, anthropic.RateLimitError),
    (ModelTimeout("late"), 504, openai.InternalServerError, anthropic.InternalServerError),
    (ModelUnreachable("gone"), 502, openai.InternalServerError, anthropic.InternalServerError),
    (ModelError("odd", http_status=503), 503, openai.InternalServerError, anthropic.InternalServerError),
    (ModelError("odd", http_status=500), 502, openai.InternalServerError, anthropic.InternalServerError),
    (ModelDenied("no", http_status=401), 401, openai.AuthenticationError, anthropic.AuthenticationError),
    (ModelDenied("no", http_status=404), 404, openai.NotFoundError, anthropic.NotFoundError),
    (ModelRejected("no"), 400, openai.BadRequestError, anthropic.BadRequestError),
]


class TestFailures:
    @pytest.mark.parametrize(("problem", "status", "of_openai", "of_anthropic"), FAILURES)
    async def test_the_clients_raise_what_they_know(self, problem, status, of_openai, of_anthropic):
        async with served(Scripted(problem)) as server:
            with pytest.raises(of_openai) as responses:
                await server.openai.responses.create(model="m", input="x")
            with pytest.raises(of_openai) as chat:
                await server.openai.chat.completions.create(model="m", messages=[], stream=True)
            with pytest.raises(of_anthropic) as messages:
                await server.anthropic.messages.create(**TestMessages.ask, stream=True)
        for caught in (responses, chat, messages):
            assert caught.value.status_code == status
            assert str(problem) in str(caught.value)
        assert "retry-after" in responses.value.response.headers or status not in (429, 503)

    async def test_the_endpoints_own_pause_is_handed_on(self):
        problem = RateLimited("slow down")
        problem.retry_after = 7.2
        async with served(Scripted(problem)) as server:
            reply = await server.http.post("/v1/responses", json={"input": "x"})
        assert reply.headers["retry-after"] == "8"

    async def test_the_openai_client_tries_again(self):
        async with served(Scripted(ModelTimeout("late"), "better")) as server:
            client = server.openai.with_options(max_retries=1)
            assert (await client.responses.create(model="m", input="x")).output_text == "better"

    async def test_a_bug_in_the_model_is_a_500_without_a_traceback(self):
        async with served(Scripted(RuntimeError("bug"))) as server:
            reply = await server.http.post("/v1/messages", json=TestMessages.ask)
        assert (reply.status_code, reply.json()) == (500, "RuntimeError('bug')")

    @pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/messages"])
    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"[" * 500, b'{"messages": 5, "input": 5}'])
    async def test_a_body_that_says_nothing_is_422(self, path, body):
        async with served(Scripted("a")) as server:
            reply = await server.http.post(path, content=body)
        assert reply.status_code == 422
        assert reply.json()["detail"][0]["loc"][0] == "body"
        assert reply.json()["error"]["type"] == "invalid_request_error"

    async def test_a_stranger_gets_401_in_every_dialect(self):
        async with served(Scripted("a"), token=Secret("right")) as server:
            with pytest.raises(openai.AuthenticationError):
                await server.openai.responses.create(model="m", input="x")
            with pytest.raises(anthropic.AuthenticationError):
                await server.anthropic.messages.create(**TestMessages.ask)
            friend = server.openai.with_options(api_key="right")
            assert (await friend.responses.create(model="m", input="x")).output_text == "a"
            friend = server.anthropic.with_options(api_key="right")
            assert (await friend.messages.create(**TestMessages.ask)).content[0].text == "a"


class TestModels:
    async def test_both_clients_list_the_model(self):
        async with served(Scripted("a")) as server:
            listed = await server.openai.models.list()
            assert [model.id for model in listed.data] == ["scripted"]
            assert (await server.openai.models.retrieve("scripted")).id == "scripted"
            page = await server.anthropic.models.list()
            assert [(model.id, model.type) for model in page.data] == [("scripted", "model")]
            with pytest.raises(openai.NotFoundError):
                await server.openai.models.retrieve("org/other")

    async def test_sync_clients_work_too(self):
        async with served(Scripted("a")) as server:

            def ask():
                with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
                    first = client.responses.create(model="m", input="x").output_text
                with (
                    anthropic.Anthropic(base_url=server.url, api_key="none") as client,
                    client.messages.stream(**TestMessages.ask) as stream,
                ):
                    return first + stream.get_final_text()

            assert await asyncio.to_thread(ask) == "aa"


class TestRecording:
    async def test_every_dialect_is_recorded_with_its_tokens(self):
        capture = MemoryCapture()
        async with served(Scripted(whole_answer()), capture=capture) as server:
            base = f"{server.url}/ng-rollout/3-1/training-token-capture"
            rollout = server.openai.with_options(base_url=f"{base}/v1")
            await rollout.responses.create(model="m", input="x")
            await rollout.chat.completions.create(model="m", messages=[])
            messages = server.anthropic.with_options(base_url=base)
            async with messages.messages.stream(**TestMessages.ask) as stream:
                message = await stream.get_final_message()
            await server.openai.responses.create(model="m", input="nobody's")
        calls = (await capture.read("3-1")).calls
        assert [call.dialect for call in calls] == ["responses", "chat", "messages"]
        assert all(call.output[-1]["generation_token_ids"] == [9, 8] for call in calls)
        assert calls[0].request_params["input"] == "x"
        assert calls[2].response["id"] == message.id
        assert calls[2].latency_ttft_ms is not None
        assert {call.model_ref for call in calls} == {"policy_model"}

    async def test_failures_are_recorded_by_kind(self):
        capture = MemoryCapture()
        problems = [RateLimited("a"), ModelTimeout("b"), ModelUnreachable("c"), RuntimeError("d")]
        async with served(Scripted(*problems), capture=capture) as server:
            for _ in problems:
                await server.http.post("/ng-rollout/r/v1/responses", json={"input": "x"})
            await server.http.post("/ng-rollout/r/v1/responses", json={"input": "x", "stream": True})
            await server.http.post("/ng-rollout/r/v1/responses", content=b"{")
        calls = (await capture.read("r")).calls
        assert [(call.status_code, call.error_category) for call in calls] == [
            (429, "rate_limit"),
            (504, "timeout"),
            (502, "connection"),
            (500, "exception"),
            (500, "exception"),
            (422, "client_error"),
        ]
        assert all(call.answer is None for call in calls)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_client_that_goes_away_stops_the_call_and_leaves_a_mark(self, stream):
        capture, asked, stopped = MemoryCapture(), asyncio.Event(), asyncio.Event()

        class Slow(Model):
            name = "slow"

            async def responses(self, params):
                asked.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    stopped.set()

        async with served(Slow(), capture=capture) as server:
            body = {"input": "x", "stream": stream}
            post = asyncio.create_task(server.http.post("/ng-rollout/r/v1/responses", json=body))
            await asked.wait()
            post.cancel()
            await stopped.wait()
            while not (await capture.read("r")).incomplete:
                await asyncio.sleep(0.01)


class TestSessions:
    async def test_the_model_knows_whose_turn_it_is(self):
        class Homes(Model):
            name = "homes"

            def __init__(self):
                self.seen = []

            def for_session_id(self, session_id):
                self.seen.append(session_id)
                return self

            async def responses(self, params):
                return Response.of([assistant("a")])

        async with served(model := Homes()) as server:
            for path in ("/v1/responses", "/v1/responses", "/ng-rollout/r-1/v1/responses"):
                await server.http.post(path, json={"input": "x"})
        assert model.seen[0] == model.seen[1]
        assert model.seen[2] == "r-1"


def events_of(text):
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n") if line.startswith("data: ")]
