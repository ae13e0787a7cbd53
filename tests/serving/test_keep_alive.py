"""A back end that thinks for long: what streaming clients hear meanwhile; the official ones bear it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from loopback import served as on_loopback

from nemo_gym.models.base import Model
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import ModelError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

ASKED: dict[str, dict[str, Any]] = {
    "/v1/responses": {"input": "hi"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
}
SIGNS = {
    "/v1/responses": "event: response.in_progress",
    "/v1/chat/completions": ": waiting for the model",
    "/v1/messages": "event: ping",
}


class Slow(Model):
    """Answers when it is told to."""

    name = "slow"

    def __init__(self, *, fails: bool = False) -> None:
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()
        self._fails = fails

    async def responses(self, params: RequestParams) -> Response:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self._fails:
            raise ModelError("the engine is gone")
        return Response.of([assistant("at last")], model="slow")


@asynccontextmanager
async def serving(model: Model) -> AsyncIterator[httpx2.AsyncClient]:
    app = model_app(model, name="policy_model", options=AppOptions(ping_s=0.02))
    async with on_loopback(app) as url, httpx2.AsyncClient(base_url=url, verify=False) as http:
        yield http


async def heard(http: httpx2.AsyncClient, path: str, model: Slow) -> list[str]:
    """The lines of a stream; the model answers once two signs of life have come."""
    lines: list[str] = []
    async with http.stream("POST", path, json={**ASKED[path], "stream": True}) as stream:
        assert stream.status_code == 200
        async for line in stream.aiter_lines():
            lines.append(line)
            if lines.count(SIGNS[path]) == 2:
                model.go.set()
    return lines


@pytest.mark.parametrize("path", ASKED)
async def test_a_waiting_client_hears_signs_of_life_and_then_the_answer(path: str) -> None:
    model = Slow()
    async with serving(model) as http:
        lines = await heard(http, path, model)
    assert lines.count(SIGNS[path]) >= 2
    assert any("at last" in line for line in lines)


async def test_the_events_of_a_late_response_are_in_order_and_numbered() -> None:
    model = Slow()
    async with serving(model) as http:
        lines = await heard(http, "/v1/responses", model)
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    begun = events.index("response.output_item.added")
    first, *waiting = events[:begun]
    item, last = events[-2:]
    assert (first, set(waiting)) == ("response.created", {"response.in_progress"})
    assert (item, last) == ("response.output_item.done", "response.completed")
    numbers = [line.partition('"sequence_number":')[2].partition(",")[0] for line in lines if "data" in line]
    assert numbers == [str(number) for number in range(len(events))]


async def test_the_openai_client_puts_late_answers_together() -> None:
    model = Slow()
    async with serving(model) as http:
        client = openai.AsyncOpenAI(base_url=f"{http.base_url}/v1", api_key="none", http_client=http)
        asyncio.get_running_loop().call_later(0.1, model.go.set)
        async with client.responses.stream(model="m", input="hi") as stream:
            response = await stream.get_final_response()
        model.go.clear()
        asyncio.get_running_loop().call_later(0.1, model.go.set)
        async with client.chat.completions.stream(
            model="m", messages=[{"role": "user", "content": "hi"}]
        ) as chat:
            completion = await chat.get_final_completion()
    assert response.output_text == completion.choices[0].message.content == "at last"


async def test_the_anthropic_client_puts_a_late_answer_together() -> None:
    model = Slow()
    async with serving(model) as http:
        client = anthropic.AsyncAnthropic(base_url=str(http.base_url), api_key="none", http_client=http)
        asyncio.get_running_loop().call_later(0.1, model.go.set)
        messages: list[Any] = [{"role": "user", "content": "hi"}]
        async with client.messages.stream(model="m", max_tokens=9, messages=messages) as stream:
            assert await stream.get_final_text() == "at last"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/responses", '"type":"response.failed"'),
        ("/v1/chat/completions", '"type":"server_error"'),
        ("/v1/messages", '"type":"api_error"'),
    ],
)
async def test_a_late_failure_is_an_event(path: str, said: str) -> None:
    model = Slow(fails=True)
    async with serving(model) as http:
        lines = await heard(http, path, model)
    (failure,) = [line for line in lines if "the engine is gone" in line]
    assert said in failure


async def test_the_official_clients_raise_a_late_failure() -> None:
    model = Slow(fails=True)
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    async with serving(model) as http:
        mine = {"api_key": "none", "max_retries": 0, "http_client": http}
        chat = openai.AsyncOpenAI(base_url=f"{http.base_url}/v1", **mine)
        asyncio.get_running_loop().call_later(0.1, model.go.set)
        stream = await chat.chat.completions.create(model="m", messages=messages, stream=True)
        with pytest.raises(openai.APIError, match="the engine is gone"):
            _ = [chunk async for chunk in stream]
        model.go.clear()
        claude = anthropic.AsyncAnthropic(base_url=str(http.base_url), **mine)
        asyncio.get_running_loop().call_later(0.1, model.go.set)
        with pytest.raises(anthropic.APIError, match="the engine is gone"):
            async with claude.messages.stream(model="m", max_tokens=9, messages=messages) as events:
                await events.get_final_text()


@pytest.mark.parametrize("path", ASKED)
async def test_a_client_that_hangs_up_while_it_waits_stops_the_call(path: str) -> None:
    model = Slow()
    async with serving(model) as http:
        async with http.stream("POST", path, json={**ASKED[path], "stream": True}) as stream:
            async for line in stream.aiter_lines():
                if line == SIGNS[path]:
                    break
        async with asyncio.timeout(60):
            await model.cancelled.wait()
