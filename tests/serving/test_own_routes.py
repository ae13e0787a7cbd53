"""Routes that an environment declares, over a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from loopback import served

from nemo_gym import Environment, Response, Session, Task, blocking, route
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.resources import Resources
from nemo_gym.library.rlhf.genrm_compare.environment import GenrmCompare
from nemo_gym.models.asked_model import CountedModel
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.limits import Limits
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.errors import ModelTimeout, TaskUnfit
from nemo_gym.wire.items import assistant


class Texts(msgspec.Struct):
    first: str
    second: Annotated[str, msgspec.Meta(max_length=100)] = ""


class Overlap(msgspec.Struct):
    words: int


class Overlapping(Environment):
    """Repeat what the user says."""

    @route("/overlap")
    @blocking
    def overlap(self, body: Texts) -> Overlap:
        """Count the words that two texts share."""
        match body.first:
            case "unfit":
                raise TaskUnfit("first: nothing can be compared with it")
            case "broken":
                raise ValueError("boom")
            case "judge":
                raise ModelTimeout("the judge is slow")
            case _:
                pass
        return Overlap(len({*body.first.split()} & {*body.second.split()}))

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return 1.0


@asynccontextmanager
async def client_of(
    environment: Environment, options: AppOptions | None = None, resources: Resources | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    link = LocalEnvironment(environment, resources=resources)
    app = environment_app(link, "own", options or AppOptions())
    async with served(app) as url, httpx.AsyncClient(base_url=url) as client:
        yield client
    await link.aclose()


async def test_a_route_answers_without_a_session_beside_the_others() -> None:
    async with client_of(Overlapping()) as client:
        answers = await asyncio.gather(
            *(client.post("/overlap", json={"first": "a b c", "second": "b c d"}) for _ in range(20))
        )
        verdict = await client.post(
            "/verify", json={"responses_create_params": {}, "response": {"output": []}}
        )
        other_method = await client.get("/overlap")
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"words": 2})] * 20
    assert (verdict.json()["reward"], other_method.status_code) == (1.0, 405)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 422, '["body","first"]'),
        ({"first": 1}, 422, "Expected `str`"),
        ({"first": "a", "second": "b" * 101}, 422, '["body","second"]'),
        ([], 422, "JSON object"),
        ({"first": "unfit"}, 422, "nothing can be compared"),
        ({"first": "broken"}, 500, "/overlap raised ValueError: boom"),
        ({"first": "judge"}, 500, "judge is slow"),
    ],
)
async def test_a_bad_body_and_a_mistake_of_the_method_have_their_status(
    body: Any, status: int, text: str
) -> None:
    async with client_of(Overlapping()) as client:
        answer = await client.post("/overlap", json=body)
    assert (answer.status_code, text in answer.text) == (status, True), answer.text


async def test_the_token_and_the_limits_of_the_server_hold() -> None:
    options = AppOptions(token=Secret("s3cret"), limits=Limits(body_bytes=2000))
    async with client_of(Overlapping(), options) as client:
        stranger = await client.post("/overlap", json={"first": "a"})
        client.headers["authorization"] = "Bearer s3cret"
        friend = await client.post("/overlap", json={"first": "a"})
        large = await client.post("/overlap", json={"first": "a" * 3000})
    assert [answer.status_code for answer in (stranger, friend, large)] == [401, 200, 413]


async def test_the_openapi_document_has_the_forms() -> None:
    async with client_of(Overlapping()) as client:
        document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/overlap"]["post"]
    schemas = document["components"]["schemas"]
    assert operation["summary"] == "Count the words that two texts share."
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"] == (
        "#/components/schemas/overlap.Texts"
    )
    assert schemas["overlap.Texts"]["required"] == ["first"]
    assert schemas["overlap.Overlap"]["properties"] == {"words": {"type": "integer"}}


QUALITY = {"good": 5, "fair": 3, "poor": 1}


def judge(request: Any) -> str:
    blocks = request["input"][-1]["content"].split("BEGIN ")[2:]
    scores = [QUALITY[block.split("\n")[1]] for block in blocks]
    return json.dumps(
        {"score_1": scores[0], "score_2": scores[1], "ranking": 2 if scores[0] == scores[1] else 3.5}
    )


def undecided(_: Any) -> str:
    return "both are fine"


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"output": [assistant(text)]} for text in texts]


def judged(script: Any) -> Resources:
    return Resources(models={"judge": CountedModel("judge", ScriptedModel(script), owned=True)})


HISTORY = [{"role": "user", "content": "Explain tides."}]


async def test_genrm_compare_compares_responses_at_once() -> None:
    environment = GenrmCompare({"comparison": "all_pairs", "num_judges_per_comparison": 2})
    body = {"conversation_history": HISTORY, "response_objs": said("poor", "<think>fair</think>good", "fair")}
    async with client_of(environment, resources=judged(judge)) as client:
        answer = (await client.post("/compare", json={**body, "principle": "clear words"})).json()
        twins = (await client.post("/compare", json={**body, "response_objs": said("good", "good")})).json()
    assert answer["rewards"] == [1.0, 5.0, 3.0]
    assert answer["metrics"] == {
        "mean_reward": 3.0,
        "lowest_reward": 1.0,
        "highest_reward": 5.0,
        "comparisons": 6.0,
        "tie_rate": 0.0,
    }
    first, *_, last = answer["comparison_results"]
    assert first == {
        "response_i": 0,
        "response_j": 1,
        "judge_idx": 0,
        "score_1": 1.0,
        "score_2": 5.0,
        "ranking": 3.5,
    }
    assert (last["response_i"], last["response_j"], last["judge_idx"]) == (2, 1, 1)
    assert (twins["rewards"], twins["metrics"]["tie_rate"]) == ([5.0, 5.0], 1.0)


@pytest.mark.parametrize(
    ("responses", "text"),
    [
        (said("good"), "response_objs"),
        (said(*["good"] * 65), "response_objs"),
        ([{"output": "good"}, *said("good")], "response_objs[0].output"),
        ([{"output": [{"type": "message", "content": 7}]}, *said("good")], "response_objs"),
    ],
)
async def test_genrm_compare_refuses_what_it_can_not_compare(responses: list[Any], text: str) -> None:
    async with client_of(GenrmCompare(), resources=judged(judge)) as client:
        answer = await client.post(
            "/compare", json={"conversation_history": HISTORY, "response_objs": responses}
        )
    assert (answer.status_code, text in answer.text) == (422, True), answer.text


async def test_genrm_compare_gives_no_rewards_without_verdicts() -> None:
    body = {"conversation_history": HISTORY, "response_objs": said("good", "poor")}
    async with client_of(GenrmCompare(), resources=judged(undecided)) as client:
        answer = await client.post("/compare", json=body)
    assert (answer.status_code, answer.json()["_ng_failure_class"]) == (500, "judge_failed")
