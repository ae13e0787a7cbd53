"""NVIDIA NIM: the reasoning switches of Nemotron models, their sampling, budgets, and errors."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.models.nemotron import FAMILIES, family_of
from nemo_gym.models.nim import NVIDIA_URL
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.wire.errors import ModelDenied, ModelRejected, UsageError
from nemo_gym.wire.items import system, user
from nemo_gym.wire.response import Response
from tests.support.nim_server import KEY, OTHER, THOUGHTS, V1, V2, V3, V15, Nim, serving

QUESTION = "2 + 2?"
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}}


async def ask(model: str, params: Any = None, **settings: Any) -> tuple[dict[str, Any], Response]:
    """The request that a NIM got, and its answer."""
    nim = Nim()
    with serving(nim) as url:
        async with endpoint_model("nim", [url], model, api_key=KEY, settings=settings) as one:
            response = await one.responses({"input": QUESTION, **(params or {})})
    return nim.requests[0], response


def thoughts(response: Response) -> list[str]:
    items: list[Any] = response.output
    return [item["summary"][0]["text"].strip() for item in items if item["type"] == "reasoning"]


class TestReasoning:
    @pytest.mark.parametrize("model", [V1, V15, V2, V3])
    async def test_each_family_thinks_when_it_is_on_and_only_then(self, model: str) -> None:
        _, response = await ask(model, reasoning="on")
        assert thoughts(response) == [" ".join(THOUGHTS)]
        assert response.output_text.strip() == "4"
        _, response = await ask(model, reasoning="off")
        assert thoughts(response) == []
        assert response.output_text == "4"

    @pytest.mark.parametrize(
        ("model", "reasoning", "expected"),
        [
            (V1, "on", {"temperature": 0.6, "top_p": 0.95}),
            (V1, "off", {"temperature": 0.0}),
            (V15, "on", {"temperature": 0.6, "top_p": 0.95}),
            (V2, "off", {"temperature": 0.0}),
            (V3, "on", {"temperature": 1.0, "top_p": 1.0}),
            (V3, "off", {}),
        ],
    )
    async def test_the_sampling_is_that_of_the_model_card(
        self, model: str, reasoning: str, expected: dict[str, float]
    ) -> None:
        body, _ = await ask(model, reasoning=reasoning)
        assert {name: body[name] for name in ("temperature", "top_p") if name in body} == expected

    async def test_the_card_has_another_sampling_for_tools(self) -> None:
        tool = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}
        body, _ = await ask(V3, {"tools": [tool]}, reasoning="on")
        assert (body["temperature"], body["top_p"]) == (0.6, 0.95)

    async def test_the_requests_own_sampling_wins_whole(self) -> None:
        body, _ = await ask(V1, {"temperature": 1.0}, reasoning="on")
        assert body["temperature"] == 1.0
        assert "top_p" not in body
        body, _ = await ask(V1, reasoning="on", extra_body={"top_p": 0.5})
        assert (body["top_p"], "temperature" in body) == (0.5, False)

    async def test_sampling_can_stay_with_the_endpoint(self) -> None:
        body, response = await ask(V1, reasoning="on", sampling=False)
        assert "temperature" not in body
        assert thoughts(response)

    async def test_without_the_setting_a_request_stays_as_it_is(self) -> None:
        body, _ = await ask(V1)
        assert body == {"model": V1, "messages": [{"role": "user", "content": QUESTION}]}

    async def test_the_rows_own_system_prompt_follows_the_switch(self) -> None:
        row: Any = {"input": [system("Be brief."), user(QUESTION)]}
        body, response = await ask(V2, row, reasoning="off")
        assert body["messages"][0] == {"role": "system", "content": "/no_think\n\nBe brief."}
        assert len(body["messages"]) == 2
        assert thoughts(response) == []

    async def test_the_rows_own_template_fields_win(self) -> None:
        row = {"metadata": {"extra_body": '{"chat_template_kwargs": {"enable_thinking": false, "a": 1}}'}}
        body, response = await ask(V3, row, reasoning="on")
        assert body["chat_template_kwargs"] == {"enable_thinking": False, "a": 1}
        assert thoughts(response) == []

    @pytest.mark.parametrize(
        ("name", "family"),
        [
            ("nvidia/Llama-3_3-Nemotron-Super-49B-v1", "Llama Nemotron Nano, Super and Ultra v1"),
            ("nvidia/Llama-3_3-Nemotron-Super-49B-v1_5-FP8", "Llama Nemotron Super v1.5"),
            ("nvidia/llama-3.1-nemotron-nano-8b-v1", "Llama Nemotron Nano, Super and Ultra v1"),
            ("nvidia/NVIDIA-Nemotron-Nano-12B-v2", "Nemotron Nano v2"),
            ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "Nemotron 3 Nano"),
            ("nvidia/Nemotron-3-Nano-Omni-30B-A3B-Reasoning-BF16", "Nemotron 3 Nano Omni"),
            ("nvidia/nemotron-3-super-120b-a12b", "Nemotron 3 Super and Ultra"),
        ],
    )
    def test_names_of_hubs_and_of_endpoints_are_known(self, name: str, family: str) -> None:
        assert family_of(name).name == family

    @pytest.mark.parametrize(("text", "thinks"), [("on", True), ("off", False), ("'on'", True)])
    async def test_yaml_reads_on_and_off_as_bools(self, text: str, thinks: bool) -> None:
        nim = Nim()
        with serving(nim) as url:
            settings = {"url": url, "name": V3, "api_key": KEY} | yaml.safe_load(f"reasoning: {text}")
            async with ModelSpec.of_instance("nim", settings).build(None) as model:
                await model.responses({"input": QUESTION})
        assert nim.requests[0]["chat_template_kwargs"] == {"enable_thinking": thinks}

    def test_a_model_without_a_switch_is_refused_before_the_run(self) -> None:
        with pytest.raises(UsageError, match=r"no settings for the reasoning of 'meta/.*known are Llama"):
            endpoint_model("nim", ["http://h/v1"], OTHER, settings={"reasoning": "on"})


class TestBudget:
    async def test_a_nim_gets_it_among_its_own_fields(self) -> None:
        body, response = await ask(V2, reasoning="on", thinking_budget=3)
        assert body["nvext"] == {"max_thinking_tokens": 3}
        assert thoughts(response) == ["one two three"]

    @pytest.mark.parametrize(("model", "field"), [(V2, "max_thinking_tokens"), (V3, "reasoning_budget")])
    def test_the_hosted_endpoint_has_a_field_for_each_family(self, model: str, field: str) -> None:
        settings = {"reasoning": "on", "thinking_budget": 512}
        one: Any = endpoint_model("nim", [], model, api_key=KEY, settings=settings)
        body: dict[str, Any] = {"messages": []}
        one._add_extras(body, {"input": "x"})
        assert body[field] == 512
        assert "nvext" not in body

    def test_it_needs_reasoning_and_a_family_that_has_one(self) -> None:
        with pytest.raises(UsageError, match="thinking_budget needs reasoning"):
            endpoint_model("nim", ["http://h"], V2, settings={"thinking_budget": 5})
        with pytest.raises(UsageError, match=r"Llama Nemotron Super v1\.5 can't limit its reasoning"):
            endpoint_model("nim", ["http://h"], V15, settings={"reasoning": "on", "thinking_budget": 5})


class TestStructuredOutput:
    async def test_an_older_nim_gets_the_schema_as_guided_json(self) -> None:
        row = {"text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}}
        body, response = await ask(OTHER, row, structured_output="nvext")
        assert body["nvext"] == {"guided_json": SCHEMA}
        assert "response_format" not in body
        assert response.output_text == '{"answer": 4}'
        body, _ = await ask(OTHER, row)
        assert body["response_format"]["json_schema"]["schema"] == SCHEMA


class TestEndpoint:
    def test_the_hosted_endpoint_is_the_default_and_needs_a_key(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NVIDIA_API_KEY", raising=False)
        with pytest.raises(UsageError, match="'nim' needs a key: set NVIDIA_API_KEY"):
            endpoint_model("nim", [], V3)
        monkeypatch.setenv("NVIDIA_API_KEY", KEY)
        model: Any = endpoint_model("nim", [], V3)
        assert model.endpoint.url == NVIDIA_URL

    def test_a_nim_of_ones_own_needs_no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NVIDIA_API_KEY", raising=False)
        model: Any = endpoint_model("nim", ["http://localhost:8000"], V3)
        assert model.endpoint.url == "http://localhost:8000/v1"

    async def test_a_refused_key_and_an_unknown_model_can_be_put_right(self) -> None:
        with serving(Nim()) as url:
            async with endpoint_model("nim", [url], V1, api_key="nvapi-wrong") as model:
                with pytest.raises(ModelDenied, match=r"403.*Authorization failed"):
                    await model.responses({"input": "x"})
            async with endpoint_model("nim", [url], "nvidia/none", api_key=KEY) as model:
                with pytest.raises(ModelDenied, match=r"404.*Function 'nvidia/none': Not found"):
                    await model.responses({"input": "x"})

    async def test_a_refused_field_is_named(self) -> None:
        with pytest.raises(ModelRejected, match=r"top_q.*not permitted|not permitted.*top_q"):
            await ask(V1, extra_body={"top_q": 1})

    async def test_a_prompt_that_is_too_long_is_an_outcome(self) -> None:
        _, response = await ask(V1, {"input": "word " * 2000})
        assert response.data["incomplete_details"]["detail"] == "context_overflow"

    def test_every_family_switches_in_some_way(self) -> None:
        for family in FAMILIES:
            assert (family.on.system, family.on.template) != (family.off.system, family.off.template)
