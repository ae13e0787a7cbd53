import json
from unittest.mock import AsyncMock

import pytest
from aiohttp import ClientResponseError
from servers.essay_judge.app import EssayJudgeConfig, EssayJudgeServer
from servers.sample import build, client_of, message, response, row


def server_with(answer):
    server = build(
        EssayJudgeServer,
        EssayJudgeConfig,
        judge_model_server={"type": "responses_api_models", "name": "judge"},
        judge_responses_create_params={"input": [], "temperature": 0.0},
    )
    server.server_client.post = AsyncMock(return_value=answer)
    return server


def judge_says(text, usage=None):
    answer = AsyncMock()
    answer.ok = True
    answer.read.return_value = json.dumps(response(message(text)) | {"usage": usage}).encode()
    return answer


USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 9,
}


def test_the_judges_verdict_is_the_reward():
    server = server_with(judge_says("GOOD", USAGE))
    found = client_of(server).post("/verify", json=row(message("An essay."), topic="tea")).json()
    assert (found["reward"], found["verdict"], found["judge_usage"], found["topic"]) == (
        1.0,
        "GOOD",
        9,
        "tea",
    )


def test_the_judge_is_asked_with_the_configured_parameters():
    server = server_with(judge_says("BAD"))
    client_of(server).post("/verify", json=row(message("An essay."), topic="tea"))
    asked = server.server_client.post.await_args.kwargs
    assert (asked["server_name"], asked["url_path"]) == ("judge", "/v1/responses")
    body = asked["json"].model_dump(exclude_unset=True)
    assert body["temperature"] == 0.0
    assert "Topic: tea\nEssay: An essay." in body["input"][0]["content"]


def test_an_answer_without_a_verdict_is_a_wrong_answer():
    found = client_of(server_with(judge_says("hm"))).post("/verify", json=row(message("x"), topic="t")).json()
    assert (found["reward"], found["verdict"]) == (0.0, None)


def test_a_refusing_judge_raises_with_its_words():
    answer = AsyncMock()
    answer.ok = False
    answer.content.read.return_value = b"no such model"
    problem = ClientResponseError(request_info=None, history=(), status=404)
    answer.raise_for_status = lambda: (_ for _ in ()).throw(problem)
    with pytest.raises(ClientResponseError) as caught:
        client_of(server_with(answer)).post("/verify", json=row(message("x"), topic="t"))
    assert caught.value.response_content == b"no such model"
