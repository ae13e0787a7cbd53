"""What streaming clients send, made fit for the strict parser."""

import pytest
from hypothesis import given, settings
from wire_strategies import spoiled

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import function_call, system, user
from nemo_gym.wire.params import check_served_params
from nemo_gym.wire.stream_request import read_streamed, with_namespaces

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def test_what_is_fit_stays_as_it_is():
    body = {"model": "m", "input": [user("hi")], "tools": [LOOK], "temperature": 0.5}
    request = read_streamed({**body, "stream": True})
    assert (request.params, request.namespaces, request.dropped) == (body, {}, ())


def test_unknown_fields_and_items_are_dropped_and_named():
    request = read_streamed({"input": [user("hi"), {"type": "ghost"}], "client_metadata": {}})
    assert request.params == {"input": [user("hi")]}
    assert request.dropped == ("the field 'client_metadata'", "input[1], an item of type 'ghost'")


def test_tools_in_a_namespace_are_called_by_both_names():
    namespace = {"type": "namespace", "name": "eyes", "description": "d", "tools": [LOOK]}
    request = read_streamed({"input": "hi", "tools": [LOOK, namespace]})
    assert [tool["name"] for tool in request.params["tools"]] == ["look", "eyes__look"]
    calls = [function_call(name, "{}", call_id="c") for name in ("look", "eyes__look")]
    first, second = with_namespaces(calls, request.namespaces)
    assert first == calls[0]
    assert (second["namespace"], second["name"]) == ("eyes", "look")


def test_a_call_that_comes_back_is_called_as_it_was_made():
    call = {**function_call("look", "{}", call_id="c"), "namespace": "eyes"}
    request = read_streamed({"input": [user("hi"), call]})
    assert request.params["input"][1] == function_call("eyes__look", "{}", call_id="c")


def test_tools_among_the_items_join_the_others():
    inner = {"type": "namespace", "name": "eyes", "tools": [{**LOOK, "name": "blink"}]}
    more = {"type": "additional_tools", "tools": [LOOK, inner, {"type": "web_search"}]}
    request = read_streamed({"input": [more, user("hi")], "tools": None})
    assert request.params == {"input": [user("hi")], "tools": [LOOK, {**LOOK, "name": "eyes__blink"}]}
    assert request.dropped == ("a tool that isn't a function",)


def test_leading_messages_of_the_house_are_instructions():
    parts = [{"type": "input_text", "text": "b"}, {"type": "input_text", "text": "c"}]
    developer = {"type": "message", "role": "developer", "content": parts}
    request = read_streamed({"instructions": "a", "input": [system("s"), developer, user("hi"), system("x")]})
    assert request.params == {"instructions": "a\n\ns\n\nbc", "input": [user("hi"), system("x")]}


def test_a_message_with_an_image_stays_where_it_is():
    image = {"role": "system", "content": [{"type": "input_image", "image_url": "data:x"}]}
    assert read_streamed({"input": [image]}).params == {"input": [image]}


@pytest.mark.parametrize(
    ("body", "message"),
    [({}, "input: required"), ({"input": "x", "top_p": "y"}, "top_p: Expected"), ({"input": [5]}, "input")],
)
def test_what_is_still_wrong_is_refused(body, message):
    with pytest.raises(UsageError, match=message):
        read_streamed(body)


FULL = {
    "instructions": "a",
    "tools": [LOOK, {"type": "namespace", "name": "eyes", "tools": [LOOK]}],
    "input": [
        {"type": "additional_tools", "tools": [LOOK]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "b"}]},
        user("hi"),
        {**function_call("look", "{}", call_id="c"), "namespace": "eyes"},
    ],
}


@settings(max_examples=300)
@given(spoiled(FULL))
def test_any_request_is_made_fit_or_refused_in_words(body):
    try:
        params = read_streamed(body).params
    except UsageError:
        return
    check_served_params(params)
