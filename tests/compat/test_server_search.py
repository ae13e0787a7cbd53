import asyncio

from nemo_gym.base_resources_server import BaseVerifyRequest
from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from servers.sample import build, client_of, message, response, row
from servers.search.app import SearchConfig, SearchRequest, SearchServer


def test_a_handler_may_wait_for_threads():
    found = client_of(build(SearchServer, SearchConfig)).post("/search", json={"query": "cats", "limit": 1})
    assert [hit["text"] for hit in found.json()["hits"]] == ["cats sleep a lot"]


def test_a_semaphore_bounds_what_runs_at_once():
    client = client_of(build(SearchServer, SearchConfig, max_concurrency=2))
    found = client.post("/search_all", json=[{"query": "dogs"}] * 20).json()
    assert len(found) == 20
    assert found[-1]["most_at_once"] <= 2


def test_limits_of_fields_are_checked():
    assert (
        client_of(build(SearchServer, SearchConfig))
        .post("/search", json={"query": "", "limit": 0})
        .status_code
        == 422
    )


async def test_handlers_can_be_awaited_without_http():
    server = build(SearchServer, SearchConfig)
    both = await asyncio.gather(*(server.search(SearchRequest(query=word)) for word in ("cats", "dogs")))
    assert [len(found.hits) for found in both] == [2, 1]


async def test_verify_can_be_awaited_with_models():
    body = BaseVerifyRequest(
        responses_create_params=NeMoGymResponseCreateParamsNonStreaming(input="Which?"),
        response=NeMoGymResponse.model_validate(response(message("They purr."))),
    )
    verified = await build(SearchServer, SearchConfig).verify(body)
    assert verified.reward == 1.0
    assert verified.responses_create_params.input == "Which?"


def test_verify_over_http():
    assert (
        client_of(build(SearchServer, SearchConfig))
        .post("/verify", json=row(message("bark")))
        .json()["reward"]
        == 0
    )
