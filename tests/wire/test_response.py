"""Responses: the views on them, and usage that never turns unknown into zero."""

from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.items import assistant, function_call, function_call_output
from nemo_gym.wire.response import Response, add_usage

REASONING = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hidden"}]}
CALL = function_call("f", "{}", call_id="c")
OUTPUT = function_call_output("c", "tool text")


def usage(read, wrote, cached=None, thought=None):
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": wrote,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": read + wrote,
    }


def test_output_text_holds_what_the_assistant_said_and_nothing_else():
    observation = {"type": "message", "role": "user", "content": "observation"}
    response = Response.of([REASONING, assistant("a"), CALL, OUTPUT, observation, assistant("b")])
    assert response.output_text == "ab"
    assert response.function_calls == [CALL]
    assert [message["content"][0]["text"] for message in response.messages] == ["a", "b"]


def test_final_text_is_the_last_run_of_assistant_messages():
    assert Response.of([assistant("draft"), CALL, OUTPUT, assistant("a"), assistant("b")]).final_text == "ab"
    assert Response.of([assistant("before"), CALL]).final_text == "before"
    assert Response.of([assistant("a"), REASONING, assistant("b")]).final_text == "b"
    assert Response.of([REASONING]).final_text == ""
    assert Response.of([]).final_text == ""


def test_a_complete_and_an_incomplete_response_say_so():
    done, cut = Response.of([]), Response.of([], incomplete="max_output_tokens")
    assert (done.data["status"], done.incomplete_reason) == ("completed", None)
    assert (cut.data["status"], cut.incomplete_reason) == ("incomplete", "max_output_tokens")


def test_missing_optional_fields_read_as_unknown():
    bare = Response({"output": []})
    assert (bare.model, bare.usage, bare.incomplete_reason) == ("", None, None)


def test_the_data_is_kept_as_it_came():
    data = {"output": [], "x_vendor": {"a": [1, None]}}
    assert Response(data).data is data


def test_adding_nothing_changes_nothing():
    some = usage(1, 2, 3)
    assert add_usage(None, some) == some == add_usage(some, None)
    assert add_usage(None, None) is None


def test_counts_add_up_and_unknown_details_stay_unknown():
    assert add_usage(usage(1, 2, 5, 1), usage(10, 20, 6, None)) == usage(11, 22, 11, None)


def test_a_detail_only_one_side_has_is_unknown():
    left, right = usage(1, 1, 1, 1), usage(1, 1, 1, 1)
    right["input_tokens_details"]["audio_tokens"] = 4
    del right["output_tokens_details"]["reasoning_tokens"]
    total = add_usage(left, right)
    assert total["input_tokens_details"] == {"cached_tokens": 2, "audio_tokens": None}
    assert total["output_tokens_details"] == {"reasoning_tokens": None}


def test_details_left_out_altogether_are_unknown():
    bare = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    assert add_usage(bare, usage(1, 1, 1, 1)) == usage(2, 2, None, None)


counts = st.integers(0, 1000)
usages = st.builds(usage, counts, counts, st.none() | counts, st.none() | counts)


@given(usages, usages, usages)
def test_the_order_of_adding_does_not_matter(a, b, c):
    assert add_usage(add_usage(a, b), c) == add_usage(a, add_usage(c, b))
