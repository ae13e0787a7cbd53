"""A conversation that comes back gets the model's own items back, or stays as it is."""

from __future__ import annotations

from typing import Any, cast

from nemo_gym.wire.conversation_restore import ConversationRestorer
from nemo_gym.wire.items import Item, assistant, function_call, function_call_output, system, user
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

SAID: list[Any] = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
    {
        **function_call("bash", '{"command": "ls"}', call_id="call_1"),
        "prompt_token_ids": [1],
        "generation_token_ids": [2],
        "generation_log_probs": [-0.5],
    },
]
TOLD: list[Item] = [function_call("bash", '{"command":"ls"}', call_id="toolu_1")]
OUTPUT = function_call_output("toolu_1", "a.py")


def asked(*items: Item, **more: Any) -> RequestParams:
    return cast("RequestParams", {"input": list(items), **more})


def after_one_call() -> ConversationRestorer:
    replayed = ConversationRestorer()
    replayed.add(asked(system("Be kind."), user("Look.")), Response.of(SAID))
    return replayed


def test_the_models_own_items_come_back_with_reasoning_and_tokens() -> None:
    request = asked(system("Be kind."), user("Look."), *TOLD, OUTPUT, temperature=0.5)
    restored = after_one_call().restore(request)
    assert restored["input"] == [system("Be kind."), user("Look."), *SAID, OUTPUT]
    assert restored["temperature"] == 0.5


def test_a_new_conversation_stays_as_it_is() -> None:
    request = asked(user("Something else."))
    assert after_one_call().restore(request) is request


def test_a_request_with_another_system_message_stays_as_it_is() -> None:
    request = asked(system("Be rude."), user("Look."), *TOLD, OUTPUT)
    assert after_one_call().restore(request) is request


def test_an_answer_that_was_edited_stays_edited() -> None:
    edited = function_call("bash", '{"command": "rm"}', call_id="call_1")
    request = asked(system("Be kind."), user("Look."), edited, OUTPUT)
    assert after_one_call().restore(request) is request


def test_the_longest_earlier_call_is_taken() -> None:
    replayed = after_one_call()
    first = asked(system("Be kind."), user("Look."), *TOLD, OUTPUT)
    replayed.add(replayed.restore(first), Response.of([assistant("Only a.py.", id="msg_own")]))
    told = assistant("Only a.py.", id="msg_7")
    restored = replayed.restore(asked(*first["input"], told, user("Thanks.")))  # type: ignore[misc]
    assert restored["input"] == [
        system("Be kind."), user("Look."), *SAID, OUTPUT,
        assistant("Only a.py.", id="msg_own"), user("Thanks."),
    ]  # fmt: skip


def test_an_empty_answer_is_nothing_to_go_on_from() -> None:
    replayed = ConversationRestorer()
    replayed.add(asked(user("Look.")), Response.of([]))
    request = asked(user("Look."), user("Hello?"))
    assert replayed.restore(request) is request
