"""The Chat Completions converters: each rule by example, and nothing lost on the way there and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.chat import chat_completion, chat_request, chat_response, params_from_chat
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant, function_call, function_call_output, system, user
from nemo_gym.wire.params import check_params
from nemo_gym.wire.response import Response

TOKENS = {"prompt_token_ids": [1, 2], "generation_token_ids": [9, 8], "generation_log_probs": [-0.1, -0.2]}


def thought(text, **fields):
    return {"type": "reasoning", "id": "rs_0", "summary": [{"type": "summary_text", "text": text}], **fields}


def completion(message=None, **fields):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **(message or {})}}
    choice |= fields.pop("choice", {})
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **fields,
    }


class TestRequest:
    def test_a_plain_string_is_one_user_message(self):
        assert chat_request({"input": "hi"}, model="m") == {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
        }

    def test_easy_messages_need_no_type(self):
        request = chat_request({"input": [{"role": "user", "content": "hi"}]})
        assert request == {"messages": [{"role": "user", "content": "hi"}]}

    def test_instructions_and_leading_system_messages_become_one(self):
        developer = {"role": "developer", "content": [{"type": "input_text", "text": "c"}]}
        request = chat_request(
            {"instructions": "a", "input": [system("b"), developer, user("hi"), system("later")]}
        )
        assert request["messages"] == [
            {"role": "system", "content": "a\n\nb\n\nc"},
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "later"},
        ]

    def test_one_assistant_turn_is_one_message(self):
        calls = [function_call("f", '{"x": 1}', call_id="c1"), function_call("g", "{}", call_id="c2")]
        outputs = [function_call_output("c1", "one"), function_call_output("c2", "two")]
        request = chat_request({"input": [user("go"), thought("hm"), assistant("ok"), *calls, *outputs]})
        assert request["messages"][1:] == [
            {
                "role": "assistant",
                "content": "ok",
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
        ]

    def test_a_turn_of_calls_alone_has_null_content(self):
        (message,) = chat_request({"input": [function_call("f", "{}", call_id="c")]})["messages"]
        assert message["content"] is None

    def test_reasoning_can_be_replayed_as_tags(self):
        items = [thought("\nhm\n"), assistant("\n\n4")]
        (message,) = chat_request({"input": items}, reasoning="tags")["messages"]
        assert message == {"role": "assistant", "content": "<think>\nhm\n</think>\n\n4"}

    def test_reasoning_content_stands_in_for_a_missing_summary(self):
        item = {
            "type": "reasoning",
            "id": "r",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "x"}],
        }
        (message,) = chat_request({"input": [item]})["messages"]
        assert message["reasoning_content"] == "x"

    def test_token_ids_are_replayed_only_when_asked_and_from_the_last_item_that_has_them(self):
        older = {**TOKENS, "generation_token_ids": [5, 5]}
        items = [
            {**thought("x"), **older},
            {**assistant("a"), **TOKENS},
            function_call("f", "{}", call_id="c"),
        ]
        (with_tokens,) = chat_request({"input": items}, replay_tokens=True)["messages"]
        (without,) = chat_request({"input": items})["messages"]
        assert with_tokens == {**without, **TOKENS}

    def test_routed_experts_travel_with_the_token_ids(self):
        items = [{**assistant("a"), **TOKENS, "routed_experts": "b64"}]
        (message,) = chat_request({"input": items}, replay_tokens=True)["messages"]
        assert message["routed_experts"] == "b64"

    def test_content_parts_are_mapped(self):
        parts = [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:x", "detail": "low"},
            {"type": "input_video", "video_url": {"url": "v"}},
            {"type": "input_file", "file_id": "f1"},
        ]
        (message,) = chat_request({"input": [{"role": "user", "content": parts}]})["messages"]
        assert message["content"] == [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
            {"type": "video_url", "video_url": {"url": "v"}},
            {"type": "file", "file": {"file_id": "f1"}},
        ]

    def test_sampling_and_format_are_renamed(self):
        params = {
            "input": "x",
            "max_output_tokens": 5,
            "temperature": 0.0,
            "top_p": None,
            "top_logprobs": 2,
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
            "metadata": {"extra_body": "{}"},
        }
        assert chat_request(params, max_tokens_field="max_completion_tokens") == {
            "messages": [{"role": "user", "content": "x"}],
            "max_completion_tokens": 5,
            "temperature": 0.0,
            "top_logprobs": 2,
            "logprobs": True,
            "reasoning_effort": "low",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {}, "strict": True},
            },
        }

    def test_tools_keep_what_was_said_about_them(self):
        tool = {"type": "function", "name": "f", "description": None, "parameters": {}, "strict": True}
        params = {"input": "x", "tools": [tool], "tool_choice": {"type": "function", "name": "f"}}
        request = chat_request({**params, "parallel_tool_calls": False})
        assert request["tools"] == [
            {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}
        ]
        assert request["tool_choice"] == {"type": "function", "function": {"name": "f"}}
        assert request["parallel_tool_calls"] is False

    def test_without_tools_their_settings_vanish(self):
        request = chat_request(
            {"input": "x", "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
        )
        assert set(request) == {"messages"}

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"input": "x", "tool_choice": "required"}, "tool_choice: 'required' needs tools"),
            ({"input": "x", "previous_response_id": "r"}, "previous_response_id: Chat"),
            ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0]: a 'web_search' tool"),
            (
                {"input": [user("x"), {"type": "mcp_call"}]},
                "input[1]: Chat Completions has no place for an item",
            ),
            (
                {"input": [{"role": "judge", "content": "x"}]},
                "input[0]: Chat Completions has no place for a mess",
            ),
            (
                {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
                "input[0].content[0]: 'input_image'",
            ),
            (
                {
                    "input": [
                        {
                            **function_call_output("c", ""),
                            "output": [{"type": "input_image", "file_id": "f"}],
                        }
                    ]
                },
                "input[0].output[0]: 'input_image': Chat Completions has no such part",
            ),
            (
                {"input": [{"role": "assistant", "content": [{"type": "input_image", "image_url": "u"}]}]},
                "input[0].content[0]: an assistant can't say",
            ),
        ],
    )
    def test_what_chat_cannot_say_is_named(self, params, message):
        with pytest.raises(UsageError) as error:
            chat_request(params)
        assert str(error.value).startswith(message)


class TestResponse:
    def test_a_plain_answer(self):
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        response = chat_response(json.dumps(completion({"content": "4"}, usage=usage)).encode())
        assert response.output == [assistant("4", id="msg_7")]
        assert (response.model, response.incomplete_reason, response.data["id"]) == ("m", None, "resp_7")
        assert response.usage == {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": None},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": None},
            "total_tokens": 5,
        }

    def test_known_usage_details_are_kept(self):
        usage = {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 1},
        }
        found = chat_response(completion({"content": "4"}, usage=usage)).usage
        assert found["input_tokens_details"] == {"cached_tokens": 0}
        assert found["output_tokens_details"] == {"reasoning_tokens": 1}
        assert found["total_tokens"] == 5

    @pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 3}])
    def test_usage_that_is_not_known_is_none(self, usage):
        assert chat_response(completion({"content": "4"}, usage=usage)).usage is None

    @pytest.mark.parametrize(
        ("content", "thoughts", "text"),
        [
            ("<think>\nhm</think>\n4", ["\nhm"], "\n4"),
            ("\n<think>a</think> <think>b</think>4", ["a", "b"], "4"),
            ("hm</think>4", ["hm"], "4"),
            ("hm</think><think>more</think>4", ["hm", "more"], "4"),
            ("<think>cut off", ["cut off"], None),
            ("<think></think>4", [], "4"),
            ("</think>4", [], "4"),
            ("write <think>x</think> tags", [], "write <think>x</think> tags"),
            ("no tags, but think> here", [], "no tags, but think> here"),
        ],
    )
    def test_leading_thinking_becomes_reasoning(self, content, thoughts, text):
        response = chat_response(completion({"content": content}))
        found = [item["summary"][0]["text"] for item in response.output if item["type"] == "reasoning"]
        assert found == thoughts
        assert [message["content"][0]["text"] for message in response.messages] == (
            [] if text is None else [text]
        )

    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
    def test_parsed_reasoning_leaves_the_text_alone(self, field):
        response = chat_response(completion({"content": "a </think> b", field: "hm"}))
        assert [item["type"] for item in response.output] == ["reasoning", "message"]
        assert response.output_text == "a </think> b"

    def test_reasoning_may_come_as_parts(self):
        content = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "4"},
        ]
        response = chat_response(completion({"content": content}))
        assert response.output[0]["summary"][0]["text"] == "hm"
        assert response.output_text == "4"

    def test_item_ids_are_distinct(self):
        calls = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}] * 2
        content = "<think>a</think><think>b</think>c"
        response = chat_response(completion({"content": content, "tool_calls": calls}))
        ids = [item["id"] for item in response.output]
        assert len(set(ids)) == 5
        assert len({call["call_id"] for call in response.function_calls}) == 2

    def test_tool_calls_follow_the_text(self):
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
        response = chat_response(completion({"content": None, "tool_calls": [call]}))
        (item,) = response.output
        assert (item["type"], item["call_id"], item["name"], item["arguments"]) == (
            "function_call", "c", "f", '{"x":1}',
        )  # fmt: skip

    def test_arguments_given_as_an_object_become_text(self):
        call = {"id": "c", "function": {"name": "f", "arguments": {"x": 1}}}
        (item,) = chat_response(completion({"tool_calls": [call]})).output
        assert item["arguments"] == '{"x":1}'

    def test_an_empty_answer_is_an_empty_message(self):
        (item,) = chat_response(completion({"content": None})).output
        assert item["content"] == [{"type": "output_text", "text": "", "annotations": []}]

    def test_a_refusal_is_a_part(self):
        (item,) = chat_response(completion({"content": None, "refusal": "no"})).output
        assert item["content"] == [{"type": "refusal", "refusal": "no"}]

    @pytest.mark.parametrize(
        ("finish", "reason"),
        [
            ("length", "max_output_tokens"),
            ("content_filter", "content_filter"),
            ("tool_calls", None),
            (None, None),
        ],
    )
    def test_finish_reasons(self, finish, reason):
        response = chat_response(completion({"content": "x"}, choice={"finish_reason": finish}))
        assert response.incomplete_reason == reason
        assert response.data["status"] == ("incomplete" if reason else "completed")

    def test_log_probabilities_of_text_tokens_stay_on_the_text(self):
        entry = {"token": "4", "logprob": -0.5, "bytes": [52], "top_logprobs": []}
        response = chat_response(completion({"content": "4"}, choice={"logprobs": {"content": [entry]}}))
        assert response.messages[0]["content"][0]["logprobs"] == [entry]

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"oops", "not valid JSON"),
            (b"\xff", "not a ChatCompletion"),
            (b"[]", "Expected `object`, got `array`"),
            (b"{}", "`choices` is missing"),
            (b'{"choices":[]}', "`choices` is missing or empty"),
            (b'{"choices":[{"message":{}},{"message":{}}]}', "it has 2"),
            (b'{"choices":[{"message":{"content":4}}]}', "$.choices[0].message.content"),
            (b'{"error":{"message":"no such model"}}', "no such model"),
            (b'{"choices":[{"message":{"tool_calls":[{"function":{}}]}}]}', "`name`"),
        ],
    )
    def test_what_is_not_a_completion_says_why(self, body, message):
        with pytest.raises(ValueError, match="not a ChatCompletion") as error:
            chat_response(body)
        assert message in str(error.value)

    def test_hostile_nesting_and_tags_are_survived(self):
        with pytest.raises(ValueError, match="not a ChatCompletion"):
            chat_response(b'{"choices":' + b"[" * 100_000)
        tags = "<think></think>" * 50_000 + "<think>" * 50_000
        assert chat_response(completion({"content": tags})).output[0]["type"] == "reasoning"


class TestTokens:
    def logprobs(self, *tokens):
        content = [{"token": token, "logprob": -0.1 * (place + 1)} for place, token in enumerate(tokens)]
        return {"logprobs": {"content": content}}

    def test_from_the_message_onto_the_last_item(self):
        call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
        response = chat_response(completion({"content": "x", "tool_calls": [call], **TOKENS}))
        message, last = response.output
        assert {name: last[name] for name in TOKENS} == TOKENS
        assert not set(TOKENS) & set(message)

    def test_from_the_response_and_the_choice(self):
        choice = {"token_ids": [9, 8], **self.logprobs("a", "b"), "routed_experts": [[[1]]]}
        (item,) = chat_response(completion({"content": "ab"}, choice=choice, prompt_token_ids=[1, 2])).output
        assert item["prompt_token_ids"] == [1, 2]
        assert item["generation_token_ids"] == [9, 8]
        assert item["generation_log_probs"] == [-0.1, -0.2]
        assert item["routed_experts"] == [[[1]]]

    def test_from_token_id_log_probabilities(self):
        choice = self.logprobs("token_id:9", "token_id:8")
        (item,) = chat_response(completion({"content": "ab"}, choice=choice, prompt_token_ids=[1, 2])).output
        assert {name: item[name] for name in TOKENS} == TOKENS
        assert "logprobs" not in item["content"][0]

    def test_prompt_ids_may_come_from_elsewhere(self):
        body = completion({"content": "ab"}, choice=self.logprobs("token_id:9", "token_id:8"))
        assert "generation_token_ids" not in chat_response(body).output[0]
        assert chat_response(body, prompt_token_ids=[1, 2]).output[0]["prompt_token_ids"] == [1, 2]

    @pytest.mark.parametrize(
        ("message", "choice", "reason"),
        [
            ({"generation_token_ids": [1]}, {}, "without prompt_token_ids, generation_log_probs"),
            ({**TOKENS, "generation_log_probs": [-0.1]}, {}, "2 generated token ids but 1 log-prob"),
            ({}, {"token_ids": [9]}, "name different tokens"),
            ({}, {"prompt_token_ids": [1]}, "the prompt token ids name different tokens"),
            ({**TOKENS, "generation_token_ids": [9, 7]}, {}, "the sampled token ids name different tokens"),
            ({}, {"meta_info": {"output_token_logprobs": [["x"]]}}, "meta_info.output_token_logprobs: "),
            (
                {},
                {"token_ids": [9, 8], "logprobs": {"content": [{"token": "a", "logprob": 0}]}},
                "2 generated",
            ),
            (
                {},
                {"logprobs": {"content": [{"token": "token_id:x", "logprob": 0}]}},
                "`token_id:` and a number",
            ),
        ],
    )
    def test_contradictions_are_errors(self, message, choice, reason):
        choice = {**self.logprobs("token_id:9", "token_id:8"), **choice}
        with pytest.raises(ValueError, match=reason):
            chat_response(completion({"content": "x", **message}, choice=choice, prompt_token_ids=[1, 2]))


class TestServer:
    def test_what_only_chat_can_say_goes_to_extra_body(self):
        params = params_from_chat(
            {
                "messages": [{"role": "user", "content": "x"}],
                "seed": 1,
                "top_k": 5,
                "n": 1,
                "stream": False,
                "stop": None,
                "metadata": {"a": "b", "extra_body": '{"min_p": 0.1}'},
            }
        )
        assert json.loads(params["metadata"].pop("extra_body")) == {"min_p": 0.1, "seed": 1, "top_k": 5}
        assert params == {"input": [user("x")], "metadata": {"a": "b"}}

    def test_the_newer_token_limit_wins(self):
        limits = {"max_tokens": 1, "max_completion_tokens": 2}
        assert params_from_chat({"messages": [], **limits})["max_output_tokens"] == 2

    def test_parameters_from_chat_are_valid(self):
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        messages = [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "image_url", "image_url": "data:x"}]},
            {"role": "assistant", "content": "a", "reasoning_content": "r", "tool_calls": [call], **TOKENS},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "ok"}]},
            {"role": "assistant", "content": ""},
        ]
        params = check_params(params_from_chat({"messages": messages}))
        kinds = [item["type"] for item in params["input"]]
        assert kinds == ["message", "message", "reasoning", "message", "function_call", "function_call_output", "message"]  # fmt: skip # noqa: E501
        assert params["input"][4]["generation_token_ids"] == [9, 8]

    @pytest.mark.parametrize(
        ("request_", "message"),
        [
            ({}, "messages: required"),
            ({"messages": ["x"]}, "messages[0]: expected an object"),
            ({"messages": [{"role": "function"}]}, "messages[0].role: 'function'"),
            ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages[0].content[0]: unknown"),
            (
                {"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]},
                "messages[0].tool_calls[0]: exp",
            ),
            ({"messages": [], "n": 2}, "n: only 1"),
            ({"messages": [], "tools": [{"type": "custom"}]}, "tools[0]: expected"),
            ({"messages": [], "tool_choice": 1}, "tool_choice: expected"),
            ({"messages": [], "response_format": {"type": "xml"}}, "response_format: expected"),
            ({"messages": [], "seed": 1, "metadata": {"extra_body": "["}}, "metadata.extra_body: not a JSON"),
        ],
    )
    def test_wrong_requests_name_the_place(self, request_, message):
        with pytest.raises(UsageError) as error:
            params_from_chat(request_)
        assert str(error.value).startswith(message)

    def test_a_trajectory_answers_with_its_last_turn(self):
        items = [assistant("first"), function_call("f", "{}", call_id="c"), function_call_output("c", "ok"), assistant("last")]  # fmt: skip # noqa: E501
        chat = chat_completion(Response.of(items, model="m", id="resp_3"))
        assert chat["choices"][0]["message"] == {"role": "assistant", "content": "last"}
        assert chat["choices"][0]["finish_reason"] == "stop"
        assert (chat["id"], chat["model"], chat["usage"]) == ("chatcmpl-3", "m", None)


texts = st.text(max_size=20)
words = st.text(min_size=1, max_size=12)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
tokens = st.lists(st.tuples(st.integers(0, 2**31), st.floats(-50, 0)), max_size=4).map(
    lambda pairs: {
        "prompt_token_ids": [3, 4],
        "generation_token_ids": [token for token, _ in pairs],
        "generation_log_probs": [log_prob for _, log_prob in pairs],
    }
)
calls = st.builds(lambda name, args, id: function_call(name, args, call_id=id), names, texts, words)
parts = st.lists(
    st.one_of(
        texts.map(lambda text: {"type": "input_text", "text": text}),
        words.map(lambda url: {"type": "input_image", "image_url": url}),
        words.map(lambda url: {"type": "input_image", "image_url": url, "detail": "high"}),
        words.map(lambda url: {"type": "input_video", "video_url": url}),
    ),
    max_size=3,
)
spoken = st.builds(lambda item, evidence: {**item, **evidence}, words.map(assistant), st.just({}) | tokens)
items = st.one_of(
    texts.map(user),
    texts.map(system),
    parts.map(lambda content: {"type": "message", "role": "user", "content": content}),
    spoken,
    words.map(thought),
    calls,
    st.builds(function_call_output, words, texts),
)
tools = st.builds(
    lambda name, extra: {"type": "function", "name": name, "parameters": {"type": "object"}, **extra},
    names,
    st.sampled_from([{}, {"strict": True}, {"description": "d"}]),
)
choices = st.one_of(
    st.sampled_from(["auto", "none", "required"]),
    names.map(lambda name: {"type": "function", "name": name}),
    names.map(
        lambda name: {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": name}]}
    ),
)
formats = st.sampled_from(
    [
        {"type": "json_object"},
        {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
    ]
)
requests = st.fixed_dictionaries(
    {"input": st.lists(items, max_size=6)},
    optional={
        "model": words,
        "instructions": words,
        "max_output_tokens": st.integers(1, 99),
        "temperature": st.floats(0, 2),
        "top_logprobs": st.integers(0, 5),
        "user": words,
        "reasoning": st.sampled_from([{"effort": "low"}]),
        "text": formats.map(lambda kind: {"format": kind, "verbosity": "low"}),
        "parallel_tool_calls": st.booleans(),
    },
).flatmap(
    lambda params: st.just(params)
    | st.builds(
        lambda offered, choice: {**params, "tools": offered, "tool_choice": choice},
        st.lists(tools, min_size=1, max_size=2),
        choices,
    )
)  # fmt: skip


def test_images_of_tools_are_shown_after_all_outputs():
    image = {"type": "input_image", "image_url": "https://a.example/x.png"}
    outputs = [[{"type": "input_text", "text": "two files"}, image], [image], "plain"]
    calls_made = [function_call("look", "{}", call_id=str(place)) for place in range(3)]
    answered = [{**function_call_output(str(place), ""), "output": out} for place, out in enumerate(outputs)]
    for rest in ([], [user("go on")]):
        messages = chat_request({"input": [*calls_made, *answered, *rest]})["messages"]
        assert [message["role"] for message in messages] == [
            "assistant", *["tool"] * 3, "user", *["user" for _ in rest],
        ]  # fmt: skip
        assert [message["content"] for message in messages[1:4]] == [
            "two files", "The output is shown in the next message.", "plain",
        ]  # fmt: skip
        assert messages[4]["content"] == [{"type": "image_url", "image_url": {"url": image["image_url"]}}] * 2


@given(requests)
def test_a_request_survives_the_way_there_and_back(params):
    there = chat_request(params, replay_tokens=True)
    back = params_from_chat(there)
    check_params(back)
    assert chat_request(back, replay_tokens=True) == there


@given(st.lists(words, max_size=3), words)
def test_thinking_in_tags_is_split_where_it_was_joined(thoughts, answer):
    history = [*map(thought, thoughts), assistant(answer)]
    (message,) = chat_request({"input": history}, reasoning="tags")["messages"]
    response = chat_response(completion({"content": message["content"]}))
    if "think>" not in "".join(thoughts) + answer and not answer.isspace():
        assert [item["summary"][0]["text"] for item in response.output[:-1]] == thoughts
        assert response.final_text == answer


answers = st.builds(
    lambda reasoning, text, called, evidence, usage, incomplete: (
        [*reasoning, *text, *called] or [assistant("")],
        evidence,
        usage,
        incomplete,
    ),
    st.lists(words.map(thought), max_size=1),
    st.lists(words.map(assistant), max_size=1),
    st.lists(calls, max_size=2, unique_by=lambda call: call["call_id"]),
    st.just({}) | tokens,
    st.none()
    | st.builds(
        lambda read, wrote, cached, thinking: {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": wrote,
            "output_tokens_details": {"reasoning_tokens": thinking},
            "total_tokens": read + wrote,
        },
        st.integers(0, 9),
        st.integers(0, 9),
        st.none() | st.integers(0, 9),
        st.none() | st.integers(0, 9),
    ),
    st.sampled_from([None, "max_output_tokens", "content_filter"]),
)


@given(answers)
def test_an_answer_survives_the_way_there_and_back(answer):
    output, evidence, usage, incomplete = answer
    output = [*output[:-1], {**output[-1], **evidence}]
    response = Response.of(output, model="m", created_at=5.0, usage=usage, incomplete=incomplete)
    chat = chat_completion(response)
    for body in (chat, json.dumps(chat).encode()):
        back = chat_response(body)
        assert [without_labels(item) for item in back.output] == [
            without_labels(item) for item in output
        ] or (any("think>" in message["content"][0]["text"] for message in response.messages))
        assert (back.usage, back.incomplete_reason, back.model) == (usage, incomplete, "m")


def without_labels(item):
    return {key: value for key, value in item.items() if key not in ("id", "status")}


@pytest.mark.parametrize("odd", [float("nan"), float("-inf")])
def test_a_log_probability_that_is_no_number_is_refused(odd: float) -> None:
    tokens = {"prompt_token_ids": [1], "generation_token_ids": [2, 3], "generation_log_probs": [-0.1, odd]}
    with pytest.raises(ValueError, match="not a finite number"):
        chat_response({"choices": [{"message": {"content": "hi", **tokens}}]})
