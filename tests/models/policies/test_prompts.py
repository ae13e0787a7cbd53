"""Prompts begin with the ids of the rollout so far, whatever the template does with the past."""

from __future__ import annotations

from typing import Any, cast

import pytest

from nemo_gym.models.policies.prompts import Prompts
from nemo_gym.wire.errors import ModelRejected
from nemo_gym.wire.items import assistant, function_call, function_call_output, user
from nemo_gym.wire.params import RequestParams
from tests.support.policies import ChatTokenizer, ScriptedPolicy
from tests.support.trajectories import with_tokens

END = ChatTokenizer.eos_token_id


def prompts_of(tokenizer: ChatTokenizer | None = None, **arguments: Any) -> Prompts:
    return Prompts(ScriptedPolicy(lambda _: "", tokenizer), arguments)


def ids_of(text: str) -> list[int]:
    return ChatTokenizer().encode(text, add_special_tokens=False)


def request(*items: Any, **more: Any) -> RequestParams:
    return cast("RequestParams", {"input": list(items), **more})


def test_the_first_prompt_is_the_template() -> None:
    ids = prompts_of().ids(request(user("hi"), instructions="Be short."))

    assert ids == ids_of(
        "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_next_prompt_begins_with_what_was_sampled() -> None:
    first = ids_of("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
    sampled = [*ids_of("he"), 0x1F600, END]

    ids = prompts_of().ids(
        request(user("hi"), with_tokens(assistant("other words"), first, sampled), user("more"))
    )

    assert ids == [*first, *sampled, *ids_of("\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n")]


def test_an_answer_that_was_cut_off_gets_its_end() -> None:
    first, sampled = ids_of("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"), ids_of("he")

    ids = prompts_of().ids(request(user("hi"), with_tokens(assistant("he"), first, sampled), user("more")))

    assert ids == [
        *first,
        *sampled,
        *ids_of("<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n"),
    ]


@pytest.mark.parametrize("strips_reasoning", [False, True])
def test_a_tool_result_follows_the_sampled_call(strips_reasoning: bool) -> None:
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
    first, sampled = ids_of("prompt"), [*ids_of("<think>hm</think><tool_call>as written</tool_call>"), END]
    call = with_tokens(function_call("f", '{"a":1}', call_id="c"), first, sampled)

    ids = prompts_of(ChatTokenizer(strips_reasoning=strips_reasoning)).ids(
        request(user("hi"), call, function_call_output("c", "4"), tools=tools)
    )

    assert ids == [*first, *sampled, *ids_of("\n<|im_start|>tool\n4<|im_end|>\n<|im_start|>assistant\n")]


def test_the_template_gets_its_arguments_and_may_refuse() -> None:
    class Strict(ChatTokenizer):
        def apply_chat_template(self, conversation: Any, **options: Any) -> str:
            assert options.pop("enable_thinking") is False
            if conversation[-1]["content"] == "no":
                raise ValueError("roles must alternate")
            return super().apply_chat_template(conversation, **options)

    prompts = prompts_of(Strict(), enable_thinking=False)

    assert prompts.ids(request(user("yes")))
    with pytest.raises(ModelRejected, match="the chat template refuses the request: roles must alternate"):
        prompts.ids(request(user("no")))


def test_a_template_that_can_not_be_continued_is_refused() -> None:
    class Counting(ChatTokenizer):
        def apply_chat_template(self, conversation: Any, **options: Any) -> str:
            return f"{len(conversation)} messages\n" + super().apply_chat_template(conversation, **options)

    answer = with_tokens(assistant("he"), [1], [2, END])

    with pytest.raises(ModelRejected, match="can't be continued"):
        prompts_of(Counting()).ids(request(user("hi"), answer, user("more")))


def test_the_text_of_an_answer_is_without_its_end() -> None:
    prompts = prompts_of()

    assert prompts.text([*ids_of("he"), END]) == "he"
    assert prompts.text(ids_of("he")) == "he"
    assert prompts.text([]) == ""
