"""Base models over `/completions`: what becomes of a request, and of what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from nemo_gym.models.chat_template import ChatTemplate
from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.wire.errors import ModelRejected, UsageError
from nemo_gym.wire.items import assistant, function_call, function_call_output, system, user
from nemo_gym.wire.response import Response
from tests.conftest import StartEndpoint

RAW = {"use_completions_api": True}
TEMPLATE = """\
{%- if tools %}<|start|>system
{{ tools | tojson }}<|end|>
{% endif -%}
{%- for message in messages %}
    {%- if message.role == "nobody" %}{{ raise_exception("no such role: " + message.role) }}{% endif -%}
<|start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}{{ call.function.arguments.city }}!{% endfor %}<|end|>
{% endfor -%}
{%- if add_generation_prompt %}<|start|>assistant{{ mood }}
{% endif -%}
"""
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}, "description": "<b>"}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A folder with a tokenizer's configuration."""
    settings = {"chat_template": TEMPLATE, "bos_token": {"content": "<s>"}, "eos_token": "<|end|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    return tmp_path


def seen(url: str) -> dict[str, Any]:
    with urlopen(url) as answer:
        return json.load(answer)


async def ask(url: str, params: Any, **settings: Any) -> Response:
    async with endpoint_model("vllm", [url], "base", settings=RAW | settings) as model:
        return await model.responses(params)


class TestRaw:
    async def test_the_text_is_the_prompt(self, start_endpoint: StartEndpoint) -> None:
        url = start_endpoint("token_server.py")
        response = await ask(url, {"input": "say 42", "temperature": 0.5, "max_output_tokens": 9})
        assert response.output_text == "42"
        assert response.usage is not None
        assert response.usage["input_tokens"] == 6
        (request,) = seen(url)["requests"]
        assert request == {
            "model": "base",
            "prompt": "say 42",
            "temperature": 0.5,
            "max_tokens": 9,
            "add_special_tokens": True,
        }

    async def test_a_system_message_comes_first(self, start_endpoint: StartEndpoint) -> None:
        url = start_endpoint("token_server.py")
        await ask(url, {"input": [system("Sum:"), user("say 1")]})
        assert seen(url)["requests"][0]["prompt"] == "Sum:\n\nsay 1"

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"input": [user("a"), assistant("b"), user("c")]}, "raw prompt is one user message"),
            ({"input": "a", "tools": [TOOL]}, "raw prompt has no place"),
            (
                {"input": "a", "metadata": {"audio_data": "data:audio/wav;base64,AA"}},
                "a prompt is text alone",
            ),
        ],
    )
    async def test_what_a_raw_prompt_cannot_say_is_refused(self, params: Any, message: str) -> None:
        with pytest.raises(ModelRejected, match=message):
            await ask("http://localhost:1", params)

    async def test_thoughts_in_the_text_are_set_apart(self, start_endpoint: StartEndpoint) -> None:
        response = await ask(start_endpoint("token_server.py"), {"input": "say <think>hm</think>four"})
        assert [item["type"] for item in response.output] == ["reasoning", "message"]
        assert response.output_text == "four"

    async def test_a_cut_answer_and_an_overflow_are_incomplete(self, start_endpoint: StartEndpoint) -> None:
        url = start_endpoint("token_server.py", context=40)
        cut = await ask(url, {"input": "say hello", "max_output_tokens": 3})
        assert (cut.output_text, cut.incomplete_reason) == ("hel", "max_output_tokens")
        over = await ask(url, {"input": f"say {'x' * 50}"})
        assert (over.output, over.incomplete_reason) == ([], "max_output_tokens")

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_the_tokens_of_a_call_are_on_its_item(
        self, start_endpoint: StartEndpoint, at_once: bool
    ) -> None:
        url = start_endpoint("token_server.py")
        wanted = {
            "return_token_id_information": True,
            "request_prompt_and_generation_token_ids": at_once,
        }
        response = await ask(url, {"input": "say hi"}, **wanted)
        (item,) = response.output
        assert item["prompt_token_ids"] == [*b"say hi"]
        assert item["generation_token_ids"] == [*b"hi", 257]
        assert len(item["generation_log_probs"]) == 3
        assert seen(url)["tokenized"] == (0 if at_once else 1)


class TestRendered:
    async def test_a_conversation_is_rendered_with_its_tools(
        self, start_endpoint: StartEndpoint, tokenizer: Path
    ) -> None:
        url = start_endpoint("token_server.py")
        params = {
            "input": [
                user("say a"),
                function_call("look", '{"city": "Rom"}', call_id="c"),
                function_call_output("c", "sunny"),
                user("say b"),
            ],
            "tools": [TOOL],
        }
        given = {"render_chat_template": True, "tokenizer": str(tokenizer)}
        response = await ask(url, params, **given, chat_template_kwargs={"mood": " (glad)"})
        assert response.output_text == "b"
        (request,) = seen(url)["requests"]
        function = {"name": "look", "parameters": {"type": "object"}, "description": "<b>"}
        shown = json.dumps([{"type": "function", "function": function}])
        assert request["prompt"] == (
            f"<|start|>system\n{shown}<|end|>\n<|start|>user\nsay a<|end|>\n<|start|>assistant\nRom!<|end|>\n"
            "<|start|>tool\nsunny<|end|>\n<|start|>user\nsay b<|end|>\n<|start|>assistant (glad)\n"
        )
        assert request["add_special_tokens"] is False
        assert not {"messages", "tools", "chat_template_kwargs"} & request.keys()

    def test_what_a_template_raises_is_said(self, tokenizer: Path) -> None:
        with pytest.raises(ModelRejected, match="no such role: nobody"):
            ChatTemplate(str(tokenizer)).render([{"role": "nobody", "content": ""}], None, {})

    def test_a_template_has_no_way_out(self, tokenizer: Path) -> None:
        (tokenizer / "chat_template.jinja").write_text("{{ messages.__class__.__mro__[1].__subclasses__() }}")
        with pytest.raises(ModelRejected, match="unsafe"):
            ChatTemplate(str(tokenizer)).render([], None, {})

    def test_a_model_in_the_local_cache_is_found(
        self, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        snapshot = tokenizer / "home" / "hub" / "models--org--base" / "snapshots" / "abc"
        snapshot.mkdir(parents=True)
        named = [{"name": "tools", "template": "T"}, {"name": "default", "template": "{{ eos_token }}D"}]
        (snapshot / "tokenizer_config.json").write_text(
            json.dumps({"chat_template": named, "eos_token": "E"})
        )
        monkeypatch.setenv("HF_HOME", str(tokenizer / "home"))
        assert ChatTemplate("org/base").render([], None, {}) == "ED"

    @pytest.mark.parametrize(
        ("file", "text", "message"),
        [
            ("tokenizer_config.json", "{", "tokenizer_config.json: "),
            ("tokenizer_config.json", "{}", "no chat template"),
            ("chat_template.jinja", "{% if %}", "not valid"),
        ],
    )
    def test_a_tokenizer_that_will_not_do_is_named(
        self, tokenizer: Path, file: str, text: str, message: str
    ) -> None:
        (tokenizer / file).write_text(text)
        with pytest.raises(UsageError, match=message):
            ChatTemplate(str(tokenizer))

    def test_nothing_is_downloaded(self) -> None:
        settings = RAW | {"render_chat_template": True, "tokenizer": "org/nowhere"}
        with pytest.raises(UsageError, match="nothing is downloaded here"):
            endpoint_model("vllm", ["http://localhost:1"], "m", settings=settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"render_chat_template": True}, "render_chat_template needs use_completions_api"),
        ({**RAW, "is_responses_native": True}, "use_completions_api can't be honoured"),
        (
            {**RAW, "return_token_id_information": True, "splice_sampled_ids": True},
            "splice_sampled_ids goes with the chat route",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named(settings: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        endpoint_model("vllm", ["http://localhost:1"], "m", settings=settings)
