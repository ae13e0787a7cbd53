"""The official clients, and schemathesis, at servers that `gym env start` started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from pydantic import BaseModel

from tests.support.started import Gym

SCRIPT = """
from nemo_gym.wire.items import function_call
from nemo_gym.wire.params import input_items

def answer(params):
    *_, last = [{}, *input_items(params)]
    if last.get("type") == "function_call_output":
        return f"It is {last['output']}."
    if params.get("tools"):
        return [function_call("get_weather", '{"city": "Rome"}', call_id="call_1")]
    return '{"city": "Rome"}' if params.get("text") else "Hello there."
"""
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "The weather in a city.", "parameters": PARAMETERS}
COUNTER = "example_session_state_mgmt"
ROW: dict[str, Any] = {
    "responses_create_params": {"input": "Count to five."},
    "initial_count": 3,
    "expected_count": 5,
}
HELLO: Any = [{"role": "user", "content": "Hello"}]
BACK_ENDS = ("policy_model", "relay")


class Capital(BaseModel):
    city: str


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URLs by name: a counter with MCP, its agent, a scripted model, and `relay`, which asks that model."""
    gym = Gym(tmp_path_factory.mktemp("started"))
    exposed = f"++{COUNTER}.resources_servers.{COUNTER}.expose_tools_over_mcp=true"
    try:
        gym.start(COUNTER, "--model-type", "scripted", "-m", gym.script(SCRIPT), exposed)
        first = gym.servers()
        chat = {"entrypoint": "app.py", "base_url": f"{first['policy_model']['url']}/v1", "model": "script"}
        config = gym.folder / "relay.yaml"
        config.write_text(json.dumps({"relay": {"responses_api_models": {"chat": chat}}}))
        gym.start("--config", config)
        urls = {name: server["url"] for name, server in gym.servers().items()}
        yield urls | {"head_server": first["policy_model"]["head_url"]}
    finally:
        gym.clean()


@pytest.mark.parametrize("name", BACK_ENDS)
def test_the_openai_client_speaks_responses(servers: dict[str, str], name: str) -> None:
    with openai.OpenAI(base_url=f"{servers[name]}/v1", api_key="none") as client:
        asked: Any = {"model": "any", "input": "Hello"}
        tools: Any = {"tools": [{"type": "function", "strict": False, **WEATHER}]}
        said = client.responses.create(**asked).output_text
        with client.responses.stream(**asked) as stream:
            streamed = stream.get_final_response().output_text
        parsed = client.responses.parse(**asked, text_format=Capital).output_parsed
        (call,) = client.responses.create(**asked, **tools).output
        given: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "21"}]
        last = client.responses.create(model="any", input=[*HELLO, call.to_dict(), *given], **tools)
    assert (said, streamed, parsed) == ("Hello there.", "Hello there.", Capital(city="Rome"))
    assert isinstance(call, openai.types.responses.ResponseFunctionToolCall)
    assert (call.name, call.arguments, last.output_text) == ("get_weather", '{"city": "Rome"}', "It is 21.")


@pytest.mark.parametrize("name", BACK_ENDS)
def test_the_openai_client_speaks_chat_completions(servers: dict[str, str], name: str) -> None:
    with openai.OpenAI(base_url=f"{servers[name]}/v1", api_key="none") as client:
        asked: Any = {"model": "any", "messages": HELLO}
        tools: Any = {"tools": [{"type": "function", "function": WEATHER}]}
        said = client.chat.completions.create(**asked).choices[0].message.content
        with client.chat.completions.stream(**asked) as stream:
            streamed = stream.get_final_completion().choices[0].message.content
        parsed = client.chat.completions.parse(**asked, response_format=Capital).choices[0].message.parsed
        message = client.chat.completions.create(**asked, **tools).choices[0].message
        given = {"role": "tool", "tool_call_id": "call_1", "content": "21"}
        asked["messages"] = [*HELLO, message.to_dict(), given]
        last = client.chat.completions.create(**asked, **tools).choices[0].message.content
    assert (said, streamed, parsed) == ("Hello there.", "Hello there.", Capital(city="Rome"))
    assert [call.id for call in message.tool_calls or []] == ["call_1"]
    assert last == "It is 21."


@pytest.mark.parametrize("name", BACK_ENDS)
def test_the_anthropic_client_speaks_messages(servers: dict[str, str], name: str) -> None:
    with anthropic.Anthropic(base_url=servers[name], api_key="none") as client:
        asked: Any = {"model": "any", "max_tokens": 100, "messages": HELLO}
        tools: Any = {"tools": [{"name": "get_weather", "input_schema": PARAMETERS}]}
        said = text_of(client.messages.create(**asked))
        with client.messages.stream(**asked) as stream:
            streamed = text_of(stream.get_final_message())
        parsed = client.messages.parse(**asked, output_format=Capital).parsed_output
        called = client.messages.create(**asked, **tools)
        given = {"type": "tool_result", "tool_use_id": "call_1", "content": "21"}
        asked["messages"] = [
            *HELLO,
            {"role": "assistant", "content": called.content},
            {"role": "user", "content": [given]},
        ]
        last = text_of(client.messages.create(**asked, **tools))
    assert (said, streamed, parsed) == ("Hello there.", "Hello there.", Capital(city="Rome"))
    (use,) = called.content
    assert isinstance(use, anthropic.types.ToolUseBlock)
    assert (use.id, use.input, last) == ("call_1", {"city": "Rome"}, "It is 21.")


def text_of(message: anthropic.types.Message) -> str:
    (block,) = message.content
    assert isinstance(block, anthropic.types.TextBlock)
    return block.text


async def test_the_mcp_client_acts_in_the_session_that_is_scored(servers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=servers[COUNTER]) as caller:
        access = (await caller.post("/seed_session", json=ROW)).json()["mcp"]
        url = f"{servers[COUNTER]}{access['url_path']}"
        async with (
            httpx2.AsyncClient(headers=access["headers"]) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            tools = [tool.name for tool in (await client.list_tools()).tools]
            await client.call_tool("increment_counter", {"count": 2})
        verdict = await caller.post("/verify", json={**ROW, "response": {"output": []}})
    assert sorted(tools) == ["get_counter_value", "increment_counter"]
    assert verdict.json()["reward"] == 1.0


@pytest.mark.parametrize("name", [COUNTER, f"{COUNTER}_simple_agent", "policy_model", "head_server"])
def test_no_request_that_a_description_allows_or_forbids_leads_to_a_5xx(
    servers: dict[str, str], name: str
) -> None:
    document = schemathesis.openapi.from_url(f"{servers[name]}/openapi.json")
    for operation in (found.ok() for found in document.get_all_operations()):
        requests = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
        if operation.body:
            requests |= operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

        @settings(max_examples=6, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
        @given(requests)
        def no_5xx(case: schemathesis.Case) -> None:
            answer = case.call()
            assert answer.status_code < 500, (case.path, case.body, answer.text)

        no_5xx()
