"""The Messages converters: each rule by example, and nothing lost on the way there and back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_strategies import json_objects, spoiled

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant, function_call, function_call_output, system, user
from nemo_gym.wire.messages import (
    anthropic_message,
    messages_request,
    messages_response,
    params_from_messages,
)
from nemo_gym.wire.params import check_served_params
from nemo_gym.wire.response import Response

PNG = "data:image/png;base64,AAAA"
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}

RESULT = {"type": "tool_result", "tool_use_id": "c"}


def thought(text, seal=None):
    item = {"type": "reasoning", "id": "rs_0", "summary": [{"type": "summary_text", "text": text}]}
    return {**item, "encrypted_content": seal} if seal else item


def said(*content, role="user"):
    return {"role": role, "content": list(content)}


def text(words):
    return {"type": "text", "text": words}


def read(**request):
    return params_from_messages({"messages": [], **request})


class TestServedRequest:
    def test_a_plain_request(self):
        params = params_from_messages(
            {
                "model": "m",
                "max_tokens": 5,
                "temperature": 0.5,
                "top_p": 0.9,
                "messages": [{"role": "user", "content": "hi"}],
                "thinking": {"type": "adaptive"},
            }
        )
        assert params == {
            "model": "m",
            "max_output_tokens": 5,
            "temperature": 0.5,
            "top_p": 0.9,
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        }

    @pytest.mark.parametrize("given", ["a\nb", [text("a"), {**text("b"), "cache_control": {}}]])
    def test_system_becomes_instructions(self, given):
        assert read(system=given)["instructions"] == "a\nb"

    def test_text_and_images_make_one_message(self):
        (item,) = read(messages=[said(text("look"), IMAGE, text("there"))])["input"]
        assert item["content"] == [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": PNG},
            {"type": "input_text", "text": "there"},
        ]

    def test_a_turn_with_tools_and_thinking_becomes_items_in_order(self):
        thinking = {"type": "thinking", "thinking": "hm", "signature": "seal"}
        hidden = {"type": "redacted_thinking", "data": "blob"}
        use = {"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}}
        result = {"type": "tool_result", "tool_use_id": "c", "content": [text("one"), text("two")]}
        failed = {"type": "tool_result", "tool_use_id": "d", "content": "no", "is_error": True}
        messages = [
            said(thinking, hidden, text("ok"), use, role="assistant"),
            said(result, failed, text("go on")),
        ]
        items = read(messages=messages)["input"]
        assert [item["type"] for item in items] == [
            "reasoning", "reasoning", "message", "function_call",
            "function_call_output", "function_call_output", "message",
        ]  # fmt: skip
        assert items[0]["encrypted_content"] == "seal"
        assert (items[1]["summary"], items[1]["encrypted_content"]) == ([], "blob")
        assert items[3] == function_call("f", '{"x":1}', call_id="c")
        assert items[4] == function_call_output("c", "one\ntwo")
        assert items[5]["status"] == "incomplete"

    def test_images_and_documents_may_come_from_tools_and_by_address(self):
        web = {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}}
        pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
        document = {"type": "document", "source": pdf, "title": "report.pdf"}
        result = {**RESULT, "content": [{"type": "text", "text": "seen"}, IMAGE, web, document]}
        (item,) = read(messages=[said(result)])["input"]
        assert item["output"] == [
            {"type": "input_text", "text": "seen"},
            {"type": "input_image", "image_url": PNG},
            {"type": "input_image", "image_url": "https://example.org/cat.png"},
            {
                "type": "input_file",
                "file_data": "data:application/pdf;base64,JVBE",
                "filename": "report.pdf",
            },
        ]

    @pytest.mark.parametrize(
        ("source", "part"),
        [
            ({"type": "url", "url": "https://example.org/a.pdf"}, {"file_url": "https://example.org/a.pdf"}),
            ({"type": "file", "file_id": "file_1"}, {"file_id": "file_1"}),
        ],
    )
    def test_a_document_elsewhere_is_a_file(self, source, part):
        (item,) = read(messages=[said({"type": "document", "source": source})])["input"]
        assert item["content"] == [{"type": "input_file", **part}]

    @pytest.mark.parametrize(
        "source",
        [
            {"type": "text", "media_type": "text/plain", "data": "body"},
            {"type": "content", "content": "body"},
        ],
    )
    def test_a_document_of_text_is_text(self, source):
        block = {"type": "document", "source": source, "title": "Title", "context": "Context"}
        (item,) = read(messages=[said(block)])["input"]
        assert item["content"] == [{"type": "input_text", "text": "Title\nContext\nbody"}]

    def test_tools_and_choices(self):
        schema = {"type": "object"}
        params = read(
            tools=[{"name": "f", "description": "d", "input_schema": schema}],
            tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        )
        tool = {"type": "function", "name": "f", "parameters": schema, "description": "d", "strict": False}
        assert params["tools"] == [tool]
        assert params["tool_choice"] == {"type": "function", "name": "f"}
        assert params["parallel_tool_calls"] is False
        for kind, choice in (("auto", "auto"), ("none", "none"), ("any", "required")):
            assert read(tool_choice={"type": kind})["tool_choice"] == choice

    def test_what_responses_has_no_field_for_goes_to_the_extra_body(self):
        params = read(stop_sequences=["END"], top_k=3)
        assert json.loads(params["metadata"]["extra_body"]) == {"stop": ["END"], "top_k": 3}

    def test_a_user_too_long_for_others_is_left_out(self):
        assert read(metadata={"user_id": "u" * 64})["user"] == "u" * 64
        assert "user" not in read(metadata={"user_id": "u" * 65})

    @pytest.mark.parametrize(
        ("request_", "message"),
        [
            ({"messages": "hi"}, "messages: expected a list"),
            ({"messages": [said(role="system")]}, r"messages\[0\].role"),
            ({"messages": [said({"type": "video"})]}, r"messages\[0\].content\[0\]: not implemented"),
            ({"messages": [said({"type": "document"})]}, r"messages\[0\].content\[0\].source: expected"),
            ({"messages": [said(IMAGE | {"source": {"type": "url"}})]}, "expected base64"),
            ({"messages": [said({**RESULT, "content": [{"type": "video"}]})]}, "text, image or document"),
            ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, r"tools\[0\]: not implemented"),
            ({"tool_choice": "any"}, "tool_choice: expected"),
        ],
    )  # fmt: skip
    def test_what_cant_be_said_is_named(self, request_, message):
        with pytest.raises(UsageError, match=message):
            read(**request_)


class TestServedAnswer:
    def test_every_kind_of_item_is_a_block(self):
        refusal = {**assistant(""), "content": [{"type": "refusal", "refusal": "no"}]}
        call = function_call("f", '{"x": 1}', call_id="c")
        message = anthropic_message(Response.of([thought("hm"), refusal, call], model="m", id="resp_1"))
        assert message == {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "no"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}},
            ],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }

    @pytest.mark.parametrize("arguments", ['{"x": ', "[1]", "null", "[" * 5000, '{"x": NaN}'])
    def test_arguments_that_are_no_object_are_wrapped_and_unwrapped(self, arguments):
        message = anthropic_message(Response.of([function_call("f", arguments, call_id="c")]))
        assert message["content"][0]["input"] == {"INVALID_JSON": arguments}
        assert messages_response(message).function_calls[0]["arguments"] == arguments


class TestSentRequest:
    def test_system_messages_become_system_blocks_and_same_roles_one_turn(self):
        items = [system("a"), user("x"), {"role": "developer", "content": "b"}, user("y"), assistant("z")]
        request = messages_request({"instructions": "i", "input": items}, max_tokens=9)
        assert request["system"] == [text("i"), text("a"), text("b")]
        assert request["messages"] == [said(text("x"), text("y")), said(text("z"), role="assistant")]
        assert request["max_tokens"] == 9

    def test_empty_text_is_left_out(self):
        request = messages_request({"input": [user("x"), assistant(""), user("y")]}, max_tokens=9)
        assert request["messages"] == [said(text("x"), text("y"))]

    def test_what_tools_show_is_sent_as_blocks(self):
        pdf = {"type": "input_file", "file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}
        output = [{"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": PNG}, pdf]
        call = function_call("look", "{}", call_id="c")
        params = {"input": [call, {"type": "function_call_output", "call_id": "c", "output": output}]}
        (result,) = messages_request(params, max_tokens=5)["messages"][1]["content"]
        source = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
        assert result["content"] == [
            {"type": "text", "text": "seen"},
            IMAGE,
            {"type": "document", "source": source, "title": "a.pdf"},
        ]

    def test_images_on_the_web_go_by_address(self):
        part = {"type": "input_image", "image_url": "https://example.org/cat.png"}
        request = messages_request({"input": [{"role": "user", "content": [part]}]}, max_tokens=9)
        source = {"type": "url", "url": "https://example.org/cat.png"}
        assert request["messages"] == [said({"type": "image", "source": source})]

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"previous_response_id": "r"}, "previous_response_id"),
            ({"tool_choice": "required"}, "needs tools"),
            ({"tools": [{"type": "web_search"}]}, r"tools\[0\]"),
            ({"text": {"format": {"type": "json_object"}}}, "text.format"),
            ({"input": [{"type": "web_search_call"}]}, r"input\[0\]"),
            ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input_file"),
            ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "image_url"),
        ],
    )
    def test_what_cant_be_said_is_named(self, params, message):
        with pytest.raises(UsageError, match=message):
            messages_request({"input": "x", **params}, max_tokens=9)


class TestReceivedAnswer:
    def test_an_empty_message_is_an_empty_text(self):
        response = messages_response({"content": [], "stop_reason": "end_turn"})
        assert (response.output_text, len(response.output), response.usage) == ("", 1, None)

    def test_cached_tokens_are_input_tokens(self):
        usage = {
            "input_tokens": 1, "output_tokens": 2,
            "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4,
        }  # fmt: skip
        response = messages_response({"content": [], "usage": usage})
        assert response.usage["input_tokens"] == 8
        assert response.usage["input_tokens_details"] == {"cached_tokens": 3}
        assert response.usage["output_tokens_details"] == {"reasoning_tokens": None}

    def test_a_full_context_says_so(self):
        response = messages_response({"content": [], "stop_reason": "model_context_window_exceeded"})
        assert response.data["incomplete_details"]["detail"] == "context_overflow"

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"{}", b'{"content": 5}', b'{"content": [{"type": "odd"}]}']
    )
    def test_anything_else_is_no_message(self, body):
        with pytest.raises(ValueError, match=r"not a Message|was not asked for"):
            messages_response(body)


words = st.text(min_size=1, max_size=6)
seals = st.none() | words
calls = st.builds(
    lambda name, arguments, id: function_call(name, json.dumps(arguments), call_id=id),
    words,
    json_objects,
    words,
)
hidden = words.map(lambda seal: {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": seal})
parts = st.one_of(
    words.map(lambda value: {"type": "input_text", "text": value}),
    st.just({"type": "input_image", "image_url": PNG}),
)
items = st.one_of(
    words.map(user),
    st.lists(parts, max_size=3).map(lambda content: {"type": "message", "role": "user", "content": content}),
    words.map(system),
    words.map(assistant),
    st.builds(thought, words, seals),
    hidden,
    calls,
    st.builds(function_call_output, words, st.text(max_size=6)),
    st.builds(lambda id: {**function_call_output(id, "no"), "status": "incomplete"}, words),
)
tools = st.builds(
    lambda name, extra: {"type": "function", "name": name, "parameters": {"type": "object"}, **extra},
    words,
    st.sampled_from([{}, {"strict": True}, {"description": "d"}]),
)
choices = st.sampled_from(["auto", "none", "required", {"type": "function", "name": "f"}])
requests = st.fixed_dictionaries(
    {"input": st.lists(items, max_size=6)},
    optional={
        "model": words,
        "instructions": words,
        "max_output_tokens": st.integers(1, 99),
        "temperature": st.floats(0, 1),
        "user": words,
        "reasoning": st.just({"effort": "low"}),
        "text": st.just({"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}),
        "parallel_tool_calls": st.booleans(),
    },
).flatmap(
    lambda params: (
        st.just(params)
        | st.builds(
            lambda offered, choice: {**params, "tools": offered, "tool_choice": choice},
            st.lists(tools, min_size=1, max_size=2),
            choices,
        )
    )
)


@given(requests)
def test_a_request_survives_the_way_there_and_back(params):
    there = messages_request(params, max_tokens=9)
    back = params_from_messages(there)
    check_served_params(back)
    again = messages_request(back, max_tokens=1)
    assert joined(again.pop("system", [])) == joined(there.pop("system", []))
    assert again == there


def joined(blocks):
    return "\n".join(block["text"] for block in blocks)


def test_an_image_of_a_tool_is_a_block_of_its_result():
    image = {"type": "input_image", "image_url": "https://a.example/x.png"}
    output = {**function_call_output("c", ""), "output": [{"type": "input_text", "text": "here"}, image]}
    items = [function_call("look", "{}", call_id="c"), output]
    _, message = messages_request({"input": items}, max_tokens=9)["messages"]
    (result,) = message["content"]
    source = {"type": "url", "url": "https://a.example/x.png"}
    assert result["content"] == [{"type": "text", "text": "here"}, {"type": "image", "source": source}]


answers = st.lists(
    st.one_of(st.builds(thought, words, seals), hidden, words.map(assistant), calls), min_size=1, max_size=4
).filter(lambda items: len(ids := [item["call_id"] for item in items if "call_id" in item]) == len({*ids}))
counts = st.integers(0, 9)
usages = st.none() | st.builds(
    lambda fresh, cached, wrote: {
        "input_tokens": fresh + (cached or 0),
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": wrote,
        "output_tokens_details": {"reasoning_tokens": None},
        "total_tokens": fresh + (cached or 0) + wrote,
    },
    counts,
    st.none() | counts,
    counts,
)


@given(answers, usages, st.sampled_from([None, "max_output_tokens", "content_filter"]))
def test_an_answer_survives_the_way_there_and_back(output, usage, incomplete):
    message = anthropic_message(Response.of(output, model="m", usage=usage, incomplete=incomplete))
    for body in (message, json.dumps(message).encode()):
        back = messages_response(body)
        assert content_of(back.output) == content_of(output)
        assert (back.incomplete_reason, back.model) == (incomplete, "m")
        assert back.usage == usage or usage is None


def content_of(output):
    """What the items say; neighbouring messages are one, and arguments are JSON rather than text."""
    said = []
    for item in output:
        match item:
            case {"type": "message", "content": parts}:
                if not (said and said[-1][0] == "text"):
                    said.append(("text", []))
                said[-1][1].extend(part["text"] for part in parts)
            case {"type": "function_call"}:
                said.append((item["call_id"], item["name"], json.loads(item["arguments"])))
            case _:
                said.append((item["summary"], item.get("encrypted_content")))
    return said


FULL = {
    "model": "m",
    "max_tokens": 5,
    "system": [text("s")],
    "stop_sequences": ["x"],
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "tools": [{"name": "f", "description": "d", "input_schema": {}}],
    "tool_choice": {"type": "tool", "name": "f"},
    "messages": [
        {"role": "user", "content": "hi"},
        said(
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            text("ok"),
            {"type": "tool_use", "id": "c", "name": "f", "input": {"x": [1]}},
            role="assistant",
        ),
        said({**RESULT, "content": [text("one")]}, IMAGE),
    ],
}


@settings(max_examples=300)
@given(spoiled(FULL))
def test_any_request_is_read_or_refused_in_words(body):
    try:
        params = check_served_params(params_from_messages(body))
        messages_request(params, max_tokens=9)
    except UsageError:
        return
