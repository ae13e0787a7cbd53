"""Request parameters: checking, and the short ways to write them."""

import pytest
from hypothesis import given
from wire_strategies import json_values

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import system, user
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.params import ask, check_params, check_served_params, input_items


def test_ask_puts_the_instructions_first():
    assert ask("q") == {"input": [user("q")]}
    assert ask("q", instructions="be brief") == {"input": [system("be brief"), user("q")]}


def test_a_string_input_is_one_user_message():
    assert input_items({"input": "q"}) == [user("q")]
    assert input_items({"input": [system("s")]}) == [system("s")]
    assert input_items({}) == []


def test_checked_parameters_are_the_same_object():
    params = {"input": "q", "temperature": 0.5, "tools": [], "metadata": None}
    assert check_params(params) is params


@given(json_values)
def test_values_nobody_looks_inside_survive(value):
    params = {"input": [{**user("q"), "extra": value}], "prompt": value, "text": {"format": value}}
    assert check_params(decode(encode(params))) == params


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "responses_create_params: expected an object, got list"),
        ({}, "responses_create_params.input: required"),
        (
            {"input": "q", "temprature": 1},
            "responses_create_params.temprature: unknown field. Did you mean 'temperature'",
        ),
        ({"messages": [user("q")]}, "responses_create_params.messages: unknown field. Write 'input'."),
        (None, "responses_create_params: missing"),
        ({"input": [user("q"), 3]}, "responses_create_params.input[1]: expected an object"),
        ({"input": None}, "responses_create_params.input: expected a list"),
        ({"input": "q", "tools": {}}, "responses_create_params.tools: expected a list"),
    ],
)
def test_an_error_names_the_place(value, message):
    with pytest.raises(UsageError) as error:
        check_params(value)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"service_tier": "best"}, "service_tier: Invalid enum value 'best'"),
        ({"truncation": "yes"}, "truncation: Invalid enum value 'yes'"),
        ({"tool_choice": "maybe"}, "tool_choice: Invalid enum value 'maybe'"),
        ({"temperature": "hot"}, "temperature: "),
    ],
)
def test_at_a_servers_door_values_are_looked_at_too(fields, message):
    assert check_served_params({"input": "q", "service_tier": "flex", "tool_choice": {"type": "function"}})
    with pytest.raises(UsageError) as error:
        check_served_params({"input": "q", **fields})
    assert str(error.value).startswith(message)
