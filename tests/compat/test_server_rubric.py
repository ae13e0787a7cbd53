"""Judge calls and reward components as of version 0.5 of the original."""

import json
from unittest.mock import AsyncMock

from servers.rubric.app import RubricConfig, RubricServer
from servers.sample import build, client_of, message, response, row


def rubric(*answers):
    server = build(
        RubricServer, RubricConfig, judge_model_server={"type": "responses_api_models", "name": "judge"}
    )
    server.server_client.post = AsyncMock(side_effect=answers)
    return client_of(server)


def judge_says(text):
    answer = AsyncMock()
    answer.ok = True
    answer.read.return_value = json.dumps(response(message(text))).encode()
    return answer


BODY = row(message("An essay."), rubric=["clear", "short"])


def test_components_are_the_parts_of_the_reward():
    found = rubric(judge_says("yes"), judge_says("no")).post("/verify", json=BODY).json()
    assert (found["reward"], found["reward_components"]) == (0.5, {"clear": 0.5, "short": 0.0})


def test_a_judge_that_cannot_be_asked_is_a_failure_and_no_wrong_answer():
    found = rubric(ConnectionError("gone")).post("/verify", json=BODY)
    assert found.status_code == 200
    failed = found.json()
    assert (failed["reward"], failed["_ng_failure_class"]) == (0.0, "judge_failed")
    assert failed["_ng_failure_judge_error"] == "ConnectionError: gone"
    assert failed["rubric"] == ["clear", "short"]


def test_stored_trajectories_can_be_scored_anew():
    assert rubric().get("/reverify_mode").json() == "stateless"
