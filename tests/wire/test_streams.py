"""Streams as the official clients put them together, fed with the bytes themselves."""

import json

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.wire.chat import chat_completion
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.messages import anthropic_message
from nemo_gym.wire.response import Response
from nemo_gym.wire.streams import chat_events, failed_response_events, message_events, response_events

# What breaks lines or bytes somewhere between here and a client.
letters = st.sampled_from(list('ab \n\r\t\x00\x0b\x1c\x85\u2028\u2029"\\{}é😀')) | st.characters(
    codec="utf-8"
)
texts = st.text(letters, min_size=1, max_size=8)
names = st.text("abcdef", min_size=1, max_size=4)
values = st.none() | st.booleans() | st.integers(-9, 9) | texts
tokens = st.just({}) | st.just(
    {"prompt_token_ids": [1], "generation_token_ids": [2, 3], "generation_log_probs": [-0.5, -1.0]}
)
usages = st.none() | st.just(
    {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": None},
        "total_tokens": 9,
    }
)


@st.composite
def responses(draw):
    output = []
    if draw(st.booleans()):
        summary = [{"type": "summary_text", "text": draw(texts)}]
        seal = draw(st.none() | texts)
        item = {"type": "reasoning", "id": "rs", "summary": summary}
        output.append({**item, "encrypted_content": seal} if seal else item)
    if draw(st.booleans()):
        output.append(assistant(draw(texts), id="msg"))
    for place in range(draw(st.integers(0 if output else 1, 2))):
        arguments = json.dumps(draw(st.dictionaries(texts, values, max_size=2)))
        output.append(function_call(draw(names), arguments, call_id=f"call_{place}"))
    output[-1] = {**output[-1], **draw(tokens)}
    incomplete = draw(st.sampled_from([None, "max_output_tokens"]))
    return Response.of(
        output, model="m", id="resp_1", created_at=5.0, usage=draw(usages), incomplete=incomplete
    )


def replying(stream, answer):
    """A transport that answers with the stream or with the whole, as the request wants it."""

    def reply(request):
        if json.loads(request.content).get("stream"):
            return httpx2.Response(200, content=stream, headers={"content-type": "text/event-stream"})
        return httpx2.Response(200, json=answer)

    return httpx2.Client(transport=httpx2.MockTransport(reply), verify=False)


@settings(max_examples=60)
@given(responses())
def test_a_response_is_put_together(response):
    stream = b"".join(response_events(response.data))
    client = openai.OpenAI(api_key="none", http_client=replying(stream, response.data))
    whole = client.responses.create(model="m", input="x")
    with client.responses.stream(model="m", input="x") as events:
        together = events.get_final_response()
    assert without(together, "parsed", "parsed_arguments") == without(whole)


@settings(max_examples=60)
@given(responses(), st.integers(0, 4))
def test_what_the_events_of_an_item_say_is_the_item(response, sent):
    """As clients do it that never look at the finished Response."""
    stream = b"".join(response_events(response.data, sent=sent))
    events = [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: ")]
    items = {}
    for event in events:
        item = items.get(event.get("output_index"))
        match event["type"].removeprefix("response."):
            case "output_item.added":
                items[event["output_index"]] = event["item"]
                assert not {"prompt_token_ids", "encrypted_content"} & event["item"].keys()
            case "content_part.added":
                assert event["content_index"] == len(item["content"])
                item["content"].append(event["part"])
            case "output_text.delta":
                item["content"][event["content_index"]]["text"] += event["delta"]
            case "function_call_arguments.delta":
                item["arguments"] += event["delta"]
            case "reasoning_summary_part.added":
                item["summary"].append(event["part"])
            case "reasoning_summary_text.delta":
                item["summary"][event["summary_index"]]["text"] += event["delta"]
            case "output_text.done":
                assert item["content"][event["content_index"]]["text"] == event["text"]
            case "function_call_arguments.done":
                assert item["arguments"] == event["arguments"]
            case _:
                pass
    said = [(item.get("content"), item.get("arguments"), item.get("summary")) for item in response.output]
    assert [
        (item.get("content"), item.get("arguments"), item.get("summary")) for item in items.values()
    ] == said
    assert [event["sequence_number"] for event in events] == list(range(sent, sent + len(events)))


def test_refusals_annotations_and_other_calls_have_events_too():
    note = {
        "type": "url_citation",
        "url": "https://example.org",
        "title": "t",
        "start_index": 0,
        "end_index": 1,
    }
    parts = [
        {"type": "output_text", "text": "a", "annotations": [note]},
        {"type": "refusal", "refusal": "no"},
    ]
    output = [
        {"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": parts},
        {"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "f", "input": "go"},
        {"type": "web_search_call", "id": "ws", "status": "completed"},
    ]
    stream = b"".join(response_events(Response.of(output, model="m", id="resp_1").data))
    client = openai.OpenAI(api_key="none", http_client=replying(stream, {}))
    events = list(client.responses.create(model="m", input="x", stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds == [
        *("created", "in_progress"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.done"),
        *("output_text.annotation.added", "content_part.done"),
        *("content_part.added", "refusal.delta", "refusal.done", "content_part.done", "output_item.done"),
        *("output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done"),
        *("output_item.done", "output_item.added", "output_item.done", "completed"),
    ]


@settings(max_examples=60)
@given(responses())
def test_a_chat_completion_is_put_together(response):
    answer = chat_completion(response)
    stream = b"".join(chat_events(answer, include_usage=True))
    client = openai.OpenAI(api_key="none", http_client=replying(stream, answer))
    whole = client.chat.completions.create(model="m", messages=[])
    state = openai.lib.streaming.chat.ChatCompletionStreamState()
    for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
        state.handle_chunk(chunk)
    together = without(state.current_completion_snapshot, "parsed", "parsed_arguments", "index")
    assert together == without(whole, "index")


@settings(max_examples=60)
@given(responses())
def test_a_message_is_put_together(response):
    answer = anthropic_message(response)
    stream = b"".join(message_events(answer))
    client = anthropic.Anthropic(api_key="none", http_client=replying(stream, answer))
    ask = {"model": "m", "max_tokens": 5, "messages": []}
    whole = client.messages.create(**ask)
    with client.messages.stream(**ask) as events:
        together = events.get_final_message()
    assert without(together, "parsed_output") == without(whole)


@given(responses())
def test_no_event_breaks_a_line_where_some_client_would(response):
    for event in response_events(response.data):
        assert len(event.decode().splitlines()) == 3


def test_a_failed_response_is_two_events():
    shell = Response.of([], id="resp_1", model="m").data
    client = openai.OpenAI(
        api_key="none", http_client=replying(b"".join(failed_response_events(shell, "gone")), {})
    )
    created, failed = client.responses.create(model="m", input="x", stream=True)
    assert (created.type, created.response.status) == ("response.created", "in_progress")
    assert (failed.type, failed.response.status) == ("response.failed", "failed")
    assert (failed.response.error.code, failed.response.error.message) == ("server_error", "gone")
    assert created.response.id == failed.response.id


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_chat_stream_ends_as_clients_expect(include_usage):
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    answer = chat_completion(Response.of([assistant("a")], usage=usage))
    *chunks, done = chat_events(answer, include_usage=include_usage)
    assert done == b"data: [DONE]\n\n"
    last = json.loads(chunks[-1].removeprefix(b"data: "))
    assert (last["choices"] == []) is include_usage


def without(model, *keys):
    """A client's object as JSON without nulls and without what its parser added."""

    def clean(value):
        match value:
            case dict():
                return {key: clean(item) for key, item in value.items() if key not in keys}
            case list():
                return [clean(item) for item in value]
            case _:
                return value

    return clean(model.model_dump(exclude_none=True))
