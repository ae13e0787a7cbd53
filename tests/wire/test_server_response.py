"""Answers as a model server hands them out."""

import copy

from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.response import Response
from nemo_gym.wire.server_response import complete_response

TOKENS = {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.5]}


def test_a_nameless_answer_gets_a_name_and_a_date():
    response = complete_response(Response.of([assistant("a")]), {"input": "x"}, id="resp_9", now=7.0)
    assert (response.data["id"], response.data["created_at"]) == ("resp_9", 7.0)
    named = complete_response(
        Response.of([], id="resp_3", created_at=1.0), {"input": "x"}, id="resp_9", now=7.0
    )
    assert (named.data["id"], named.data["created_at"]) == ("resp_3", 1.0)


def test_items_get_what_clients_look_for_and_keep_the_rest():
    output = [
        {"type": "message", "role": "assistant", "content": "a"},
        assistant("b"),
        {**assistant("c"), **TOKENS},
        function_call("f", "{}", call_id="c"),
        {"type": "web_search_call", "id": "ws"},
    ]
    before = copy.deepcopy(output)
    items = complete_response(Response.of(output), {"input": "x"}, id="resp_9", now=0.0).output
    assert [item["id"] for item in items] == ["msg_9_0", "msg_0", "msg_9_2", "fc_9_3", "ws"]
    assert items[0]["content"] == [{"type": "output_text", "text": "a", "annotations": []}]
    assert items[0]["status"] == items[3]["status"] == "completed"
    assert {key: items[2][key] for key in TOKENS} == TOKENS
    assert output == before


def test_the_request_is_echoed_unless_the_back_end_says_otherwise():
    tools = [{"type": "function", "name": "f"}]
    params = {"input": "x", "tools": tools, "service_tier": "auto", "temperature": 0.5, "top_p": None}
    response = Response.of([])
    response.data |= {"service_tier": "default", "temperature": None}
    data = complete_response(response, params, id="resp_9", now=0.0).data
    assert (data["tools"], data["service_tier"], data["temperature"]) == (tools, "default", 0.5)
    assert "input" not in data
    assert "top_p" not in data
