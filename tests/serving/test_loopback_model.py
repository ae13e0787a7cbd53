"""The model's server on loopback: whom it lets in, and what it lets them ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from nemo_gym.agents.model_access import Visit
from nemo_gym.capture.stores import FileCapture
from nemo_gym.models.base import Model
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.loopback_model import LoopbackModel
from nemo_gym.wire.errors import ModelUnreachable
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class Asked(Model):
    """Says yes, or fails, and remembers what it was asked."""

    name = "asked"

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[RequestParams] = []
        self.failure = failure
        self.closed = False

    async def responses(self, params: RequestParams) -> Response:
        self.asked.append(params)
        if self.failure is not None:
            raise self.failure
        return await ScriptedModel(lambda _: "yes").responses(params)

    async def aclose(self) -> None:
        self.closed = True


async def ask(visit: Visit, *, key: str | None = None, base_url: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {visit.api_key if key is None else key}"}
    body = {"model": "any", "messages": [{"role": "user", "content": "Well?"}]}
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(
            f"{base_url or visit.base_url}/v1/chat/completions", headers=headers, json=body
        )


async def test_a_visitor_is_answered_and_every_call_captured() -> None:
    async with LoopbackModel(Asked()) as served, served.visit("7-2", {}) as visit:
        answers = [await ask(visit), await ask(visit)]
        captured = await visit.captured()
    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == ["yes", "yes"]
    assert [(call.rollout_id, call.dialect, call.status_code) for call in captured.calls] == [
        ("7-2", "chat", 200)
    ] * 2
    assert not captured.incomplete


async def test_the_tasks_sampling_goes_over_the_programs_own() -> None:
    model = Asked()
    async with LoopbackModel(model) as served, served.visit("0-0", {"temperature": 1.0}) as visit:
        await ask(visit)
    assert model.asked[0].get("temperature") == 1.0


async def test_a_wrong_key_and_another_rollouts_key_get_401_and_no_capture() -> None:
    model = Asked()
    async with (
        LoopbackModel(model) as served,
        served.visit("0-0", {}) as visit,
        served.visit("0-1", {}) as other,
    ):
        assert (await ask(visit, key="wrong")).status_code == 401
        assert (await ask(visit, key=other.api_key)).status_code == 401
        assert (await visit.captured()).calls == []
    assert model.asked == []


async def test_a_visit_that_is_over_and_one_that_never_was_get_404() -> None:
    async with LoopbackModel(Asked()) as served:
        async with served.visit("0-0", {}) as visit:
            assert (await ask(visit)).status_code == 200
        assert (await ask(visit)).status_code == 404
        assert (await ask(visit, base_url=visit.base_url.partition("/ng-")[0])).status_code == 404


async def test_two_rollouts_with_one_id_are_kept_apart() -> None:
    async with (
        LoopbackModel(Asked()) as served,
        served.visit("0-0", {}) as one,
        served.visit("0-0", {}) as two,
    ):
        await ask(two)
        assert one.rollout_id == "0-0"
        assert two.rollout_id.startswith("0-0.")
        assert len((await one.captured()).calls) == 0
        assert len((await two.captured()).calls) == 1


async def test_a_failing_model_is_a_captured_failure_with_its_category() -> None:
    async with LoopbackModel(Asked(ModelUnreachable("gone"))) as served, served.visit("0-0", {}) as visit:
        answer = await ask(visit)
        (call,) = (await visit.captured()).calls
    assert answer.status_code == 502
    assert (call.status_code, call.error_category, call.answer) == (502, "connection", None)


async def test_with_a_folder_the_calls_stay_after_the_visit(tmp_path: Path) -> None:
    async with (
        LoopbackModel(Asked(), store=FileCapture(tmp_path)) as served,
        served.visit("0-0", {}) as visit,
    ):
        await ask(visit)
    lines = (tmp_path / "0-0.capture.jsonl").read_text().splitlines()
    assert [json.loads(line)["status_code"] for line in lines] == [200]


async def test_what_an_earlier_run_left_in_the_folder_is_not_this_rollouts(tmp_path: Path) -> None:
    store = FileCapture(tmp_path)
    async with LoopbackModel(Asked(), store=store) as served:
        for _ in range(2):
            async with served.visit("0-0", {}) as visit:
                await ask(visit)
                assert len((await visit.captured()).calls) == 1


async def test_the_door_closes_its_model_and_its_port() -> None:
    model = Asked()
    async with LoopbackModel(model) as served, served.visit("0-0", {}) as visit:
        await ask(visit)
    assert model.closed
    with pytest.raises(httpx.ConnectError):
        await ask(visit)


async def test_the_door_is_the_model_too() -> None:
    async with LoopbackModel(Asked()) as served:
        params: Any = {"input": "Well?"}
        assert (await served.responses(params)).output_text == "yes"
        assert served.name == "asked"
