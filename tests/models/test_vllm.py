"""vLLM and SGLang: what is asked, where tokens are found, and whether they continue over many turns."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.assembly.collect import collect
from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.models.vllm import VllmModel, VllmSettings
from nemo_gym.models.vllm_token_routes import splice
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.run import Job, Run
from nemo_gym.wire.errors import ModelError, ModelRejected, UsageError
from nemo_gym.wire.items import TOKEN_FIELDS, assistant, user
from nemo_gym.wire.response import Response
from tests.conftest import StartEndpoint, read_rows
from tests.support.token_evidence import continues

TRAINING = {"return_token_id_information": True}
FAST = {"return_token_id_information": True, "request_prompt_and_generation_token_ids": True}
END = 257
IDS = st.lists(st.integers(0, 255))
TOKENS = {"prompt_token_ids": [1], "generation_token_ids": [2, END], "generation_log_probs": [-0.5, 0.0]}


def seen(url: str) -> dict[str, Any]:
    with urlopen(url) as answer:
        return json.load(answer)


def tool() -> dict[str, Any]:
    return {"type": "function", "name": "f", "parameters": {}}


async def ask(url: str, params: Any, type: str = "vllm", **settings: Any) -> Response:
    async with endpoint_model(type, [url], "m", settings=settings) as model:
        return await model.responses(params)


def body(settings: VllmSettings, params: Any) -> dict[str, Any]:
    return VllmModel("http://localhost:1", "m", settings)._chat_request(params)


class TestTokens:
    @pytest.mark.parametrize(
        ("type", "engine", "settings", "tokenized"),
        [
            ("vllm", "vllm", TRAINING, 1),
            ("vllm", "vllm", FAST, 0),
            ("vllm", "message", TRAINING, 0),
            ("sglang", "sglang", TRAINING, 0),
            ("chat", "message", {}, 0),
        ],
    )
    async def test_each_source_gives_the_ids_on_the_last_item_alone(
        self, start_endpoint: StartEndpoint, type: str, engine: str, settings: Any, tokenized: int
    ) -> None:
        url = start_endpoint("token_server.py", engine=engine)
        params = {"input": "Values: tiny, little. Look.", "tools": [tool()]}
        response = await ask(url, params, type, **settings)
        thought, call = response.output
        assert not set(TOKEN_FIELDS) & set(thought)
        assert call["prompt_token_ids"][0] == 256
        assert call["generation_token_ids"][-1] == END
        assert call["generation_log_probs"] == [-(id + 1) / 1024 for id in call["generation_token_ids"]]
        assert seen(url)["tokenized"] == tokenized

    async def test_nothing_is_asked_and_nothing_replayed_by_default(
        self, start_endpoint: StartEndpoint
    ) -> None:
        url = start_endpoint("token_server.py")
        past = {**assistant("before"), **TOKENS}
        response = await ask(url, {"input": [user("say a"), past, user("say b")]})
        assert "generation_token_ids" not in response.output[-1]
        (request,) = seen(url)["requests"]
        assert set(request) == {"model", "messages"}
        assert request["messages"][1] == {"role": "assistant", "content": "before"}

    async def test_past_tokens_are_replayed_unchanged_and_name_the_prefix(
        self, start_endpoint: StartEndpoint
    ) -> None:
        url = start_endpoint("token_server.py")
        past = {**assistant("before"), **TOKENS}
        response = await ask(url, {"input": [user("say a"), past, user("say b")]}, **TRAINING)
        (request,) = seen(url)["requests"]
        assert request["messages"][1] == {"role": "assistant", "content": "before", **TOKENS}
        assert continues(past, response.output[-1])

    def test_only_the_last_call_s_tokens_are_sent(self) -> None:
        """They hold the prompt, which holds all that was sampled before; sent with every past message, they
        would make a conversation's bytes grow with the cube of its turns."""
        turns: list[Any] = [user("a")]
        for place in range(3):
            sampled = {**TOKENS, "prompt_token_ids": list(range(place + 1)), "routed_experts": "x"}
            turns += [{**assistant(f"answer {place}"), **sampled}, user("b")]
        before = json.dumps(turns)
        settings = VllmSettings(return_token_id_information=True)
        messages = body(settings, {"input": [*turns, assistant("without tokens"), user("c")]})["messages"]
        carried = [set(message) & {*TOKEN_FIELDS, "routed_experts"} for message in messages]
        assert [place for place, names in enumerate(carried) if names] == [5]
        assert messages[5]["prompt_token_ids"] == [0, 1, 2]
        assert carried[5] == {*TOKEN_FIELDS, "routed_experts"}
        assert json.dumps(turns) == before

    @pytest.mark.parametrize("type", ["vllm", "sglang"])
    async def test_an_engine_without_tokens_fails_the_call(
        self, start_endpoint: StartEndpoint, type: str
    ) -> None:
        url = start_endpoint("token_server.py", engine="none")
        with pytest.raises(ModelError, match="the answer of m has no token ids: "):
            await ask(url, {"input": "say a"}, type, **TRAINING)

    async def test_several_answers_cannot_carry_tokens(self) -> None:
        params = {"input": "x", "metadata": {"extra_body": '{"n": 2}'}}
        with pytest.raises(ModelRejected, match="n: 2 answers"):
            await ask("http://localhost:1", params, **TRAINING)

    async def test_an_answer_that_was_cut_off_keeps_its_tokens(self, start_endpoint: StartEndpoint) -> None:
        url = start_endpoint("token_server.py")
        response = await ask(url, {"input": "say hello", "max_output_tokens": 3}, **FAST)
        assert response.incomplete_reason == "max_output_tokens"
        assert response.output[-1]["generation_token_ids"] == [*b"hel"]

    async def test_a_prompt_that_does_not_fit_is_an_empty_incomplete_answer(
        self, start_endpoint: StartEndpoint
    ) -> None:
        url = start_endpoint("token_server.py", context=20)
        response = await ask(url, {"input": "say " + "a" * 40}, **TRAINING)
        assert response.output == []
        assert response.data["incomplete_details"]["detail"] == "context_overflow"


class TestRollouts:
    async def play(self, url: str, tmp_path: Path, settings: Any) -> list[dict[str, Any]]:
        job = Job(
            environment=EnvironmentSpec("example_multi_step"),
            model=ModelSpec(type="vllm_model", name="m", url=url, settings=settings),
            output=tmp_path / "run.jsonl",
            agent=AgentSpec(),
            split="example",
            num_repeats=2,
        )
        run = Run(job)
        await run.prepare()
        await run.collect()
        rows = read_rows(job.output)
        assert {row["reward"] for row in rows} == {1.0}
        return [row["response"]["output"] for row in rows]

    def traced(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [item for item in output if "generation_token_ids" in item]

    @pytest.mark.parametrize("settings", [TRAINING, FAST])
    async def test_triplets_are_contiguous_over_a_tool_rollout(
        self, start_endpoint: StartEndpoint, tmp_path: Path, settings: Any
    ) -> None:
        url = start_endpoint("token_server.py")
        outputs = await self.play(url, tmp_path, settings)
        assert len(outputs) == 10
        for output in outputs:
            traced = self.traced(output)
            calls = [item for item in output if item["type"] == "function_call"]
            assert len(traced) == len(calls) + 1
            assert all(item["type"] in ("function_call", "message") for item in traced)
            assert all(continues(before, after) for before, after in pairwise(traced))

    async def test_an_engine_that_retokenises_is_given_the_sampled_ids(
        self, start_endpoint: StartEndpoint, tmp_path: Path
    ) -> None:
        url = start_endpoint("token_server.py", splice=0)
        outputs = await self.play(url, tmp_path, {**TRAINING, "splice_sampled_ids": True})
        assert all(
            continues(before, after) for output in outputs for before, after in pairwise(self.traced(output))
        )
        assert len(seen(url)["requests"]) == len(outputs), "only first turns go by the chat route"

    async def test_an_engine_that_retokenises_is_found_out(
        self, start_endpoint: StartEndpoint, tmp_path: Path
    ) -> None:
        url = start_endpoint("token_server.py", splice=0)
        for output in await self.play(url, tmp_path, FAST):
            first, second, *_ = self.traced(output)
            assert not continues(first, second)


class TestSplice:
    @given(IDS, IDS, IDS, IDS)
    def test_what_was_sampled_takes_the_place_of_the_rendered_turn(
        self, seen: list[int], covered: list[int], newline: list[int], rest: list[int]
    ) -> None:
        turn_end = [END, *newline]
        covered = [*covered, *turn_end]
        whole = [*covered, *rest]
        spliced = [*seen, END, *newline, *rest]
        assert splice([*seen, END], turn_end, covered, whole) == spliced
        assert splice(seen, turn_end, covered, whole) == spliced, "a turn that was cut off is ended"

    @pytest.mark.parametrize(
        ("turn_end", "covered", "whole"),
        [
            ([], [1, 3, END], [1, 3, END, 4]),
            ([END, 9], [1, 3, END], [1, 3, END, 4]),
            ([END], [1, 3, END], [1, 4, END, 5]),
        ],
    )
    def test_a_template_that_writes_the_past_anew_is_left_alone(
        self, turn_end: list[int], covered: list[int], whole: list[int]
    ) -> None:
        assert splice([1, END], turn_end, covered, whole) is None

    async def test_a_turn_that_was_cut_off_is_continued(self, start_endpoint: StartEndpoint) -> None:
        url = start_endpoint("token_server.py", splice=0)
        cut = {**assistant("hel"), **TOKENS, "generation_token_ids": [*b"he"]}
        params = {"input": [user("say hello"), cut, user("say b")]}
        response = await ask(url, params, **TRAINING, splice_sampled_ids=True)
        assert response.output_text == "b"
        prompt = response.output[-1]["prompt_token_ids"]
        assert prompt[:6] == [1, *b"he", END, ord("\n"), 256]


class TestRequest:
    def test_template_arguments_extras_and_overrides_in_order(self) -> None:
        settings = VllmSettings(
            chat_template_kwargs={"a": 1, "b": 1, "c": 1},
            extra_body={"top_k": 1, "seed": 1, "chat_template_kwargs": {"c": 3}},
            sampling_overrides={"temperature": 0.5},
        )
        metadata = {"chat_template_kwargs": '{"b": 2}', "extra_body": '{"seed": 2}', "other": "x"}
        request = body(settings, {"input": "x", "temperature": 1.0, "metadata": metadata})
        assert request == {
            "model": "m",
            "messages": [{"role": "user", "content": "x"}],
            "temperature": 0.5,
            "chat_template_kwargs": {"a": 1, "b": 2, "c": 3},
            "top_k": 1,
            "seed": 2,
        }

    def test_template_arguments_in_the_extras_are_an_object_too(self) -> None:
        metadata = {"extra_body": '{"chat_template_kwargs": 1}'}
        with pytest.raises(ModelRejected, match=r"extra_body\.chat_template_kwargs"):
            body(VllmSettings(), {"input": "x", "metadata": metadata})

    def test_sglang_cannot_splice(self) -> None:
        settings = {**TRAINING, "splice_sampled_ids": True}
        with pytest.raises(UsageError, match="only vLLM"):
            endpoint_model("sglang", ["http://localhost:1"], "m", settings=settings)

    @pytest.mark.parametrize("name", ["extra_body", "chat_template_kwargs"])
    @pytest.mark.parametrize("text", ["{", "[]"])
    def test_metadata_that_is_no_json_object_is_rejected(self, name: str, text: str) -> None:
        with pytest.raises(ModelRejected, match=rf"metadata\.{name}"):
            body(VllmSettings(), {"input": "x", "metadata": {name: text}})

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, {"content": "4", "reasoning_content": "hm", "reasoning": "hm"}),
            ({"uses_interleaved_reasoning": False}, {"content": "4"}),
            ({"uses_reasoning_parser": False}, {"content": "<think>hm</think>4"}),
            ({"preserve_reasoning_in_assistant_content": True}, {"content": "<think>hm</think>4"}),
        ],
    )
    def test_past_reasoning(self, settings: Any, message: Any) -> None:
        thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}
        request = body(VllmSettings(**settings), {"input": [user("x"), thought, assistant("4")]})
        assert request["messages"][1] == {"role": "assistant", **message}

    def test_the_developer_may_become_the_system(self) -> None:
        items = [user("x"), {"type": "message", "role": "developer", "content": "y"}]
        request = body(VllmSettings(replace_developer_role_with_system=True), {"input": items})
        assert request["messages"][1]["role"] == "system"

    async def test_reasoning_alone_ends_the_rollout_where_more_of_it_is_not_allowed(self) -> None:
        thought = {"type": "reasoning", "id": "r", "summary": []}
        params = {"input": [user("x"), thought]}
        response = await ask("http://localhost:1", params, sequential_reasoning_allowed=False)
        assert response.incomplete_reason == "content_filter"

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"return_token_ids": True}, "no setting 'return_token_ids'.*'return_token_id_information'"),
            ({"uses_reasoning_parser": "x"}, "uses_reasoning_parser"),
            ({"splice_sampled_ids": True}, "splice_sampled_ids needs return_token_id_information"),
            ({**TRAINING, "is_responses_native": True}, "return_token_id_information can't be honoured"),
        ],
    )
    def test_settings_that_are_wrong_are_named(self, settings: Any, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            endpoint_model("vllm", ["http://localhost:1"], "m", settings=settings)

    async def test_a_native_endpoint_is_asked_for_responses(self, start_endpoint: StartEndpoint) -> None:
        response = await ask(start_endpoint(), {"input": [user("say hi")]}, is_responses_native=True)
        assert response.output_text == "hi"


class TestAudio:
    async def sent(self, url: str, metadata: Any, **settings: Any) -> Any:
        await ask(url, {"input": [user("say a")], "metadata": metadata}, **settings)
        return seen(url)["requests"][-1]["messages"][-1]["content"]

    async def test_files_under_the_root_come_before_the_text(
        self, start_endpoint: StartEndpoint, tmp_path: Path
    ) -> None:
        (tmp_path / "a.wav").write_bytes(b"sound")
        url = start_endpoint("token_server.py")
        part = {
            "type": "audio_url",
            "audio_url": {"url": f"data:audio/wav;base64,{base64.b64encode(b'sound').decode()}"},
        }
        text = {"type": "text", "text": "say a"}
        root = str(tmp_path)
        assert await self.sent(url, {"audio_path": "a.wav"}, audio_root=root) == [part, text]
        paths = json.dumps(["a.wav", "a.wav"])
        assert await self.sent(url, {"audio_paths": paths}, audio_root=root) == [part, part, text]
        assert await self.sent(url, {"audio_data": part["audio_url"]["url"]}) == [part, text]

    @pytest.mark.parametrize(
        ("metadata", "message"),
        [
            ({"audio_path": "../secret.wav"}, "outside of audio_root"),
            ({"audio_path": "/etc/hostname.wav"}, "outside of audio_root"),
            ({"audio_path": "missing.wav"}, "can't be read"),
            ({"audio_path": "a.txt"}, "is none of .wav"),
            ({"audio_paths": "a.wav"}, "a JSON list"),
            ({"audio_data": "file:///etc/passwd"}, "starts with data:audio/"),
            ({"audio_data": "data:audio/wav;base64,", "audio_path": "a.wav"}, "only one of them"),
        ],
    )
    async def test_what_cannot_be_had_is_rejected(self, tmp_path: Path, metadata: Any, message: str) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "secret.wav").write_bytes(b"x")
        with pytest.raises(ModelRejected, match=message):
            await ask(
                "http://localhost:1",
                {"input": "x", "metadata": metadata},
                audio_root=str(tmp_path / "root"),
            )


async def test_the_python_interface_takes_such_a_model(start_endpoint: StartEndpoint) -> None:
    url = start_endpoint("token_server.py")
    async with VllmModel(url, "m", VllmSettings(**FAST)) as model:
        rollouts = [each async for each in collect("example_multi_step", model, split="example", limit=1)]
    assert [rollout.reward for rollout in rollouts] == [1.0]
