"""The rollout prefix is taken off before routing."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.rollout_prefix import RolloutTag, rollout_path, rollout_tag


async def tell(request: Request) -> JsonResponse:
    tag = rollout_tag(request.scope)
    return JsonResponse(None if tag is None else [tag.rollout_id, tag.token_capture])


CLIENT = TestClient(base_app("Model___m", [ApiRoute("/v1/responses", tell)], AppOptions()))


@pytest.mark.parametrize(
    ("prefix", "tag"),
    [
        ("", None),
        ("/ng-rollout/3-0-a1", ["3-0-a1", False]),
        ("/ng-rollout/x.y_z/training-token-capture", ["x.y_z", True]),
        ("/ng-rollout/training-token-capture", ["training-token-capture", False]),
    ],
)
def test_a_handler_sees_its_own_path_and_whose_rollout_it_is(prefix, tag):
    assert CLIENT.post(f"{prefix}/v1/responses").json() == tag


@pytest.mark.parametrize("id", ["-x", ".", "a b", "a%2Fb", "x" * 201, "a%0A", "ä", ""])
def test_an_id_that_is_none_finds_no_route(id):
    assert CLIENT.post(f"/ng-rollout/{id}/v1/responses").status_code == 404


def test_a_path_for_a_rollout_leads_back_to_it():
    for tag in (None, RolloutTag("1-2", token_capture=False), RolloutTag("1-2", token_capture=True)):
        seen = CLIENT.post(rollout_path("/v1/responses", tag)).json()
        assert seen == (tag and [tag.rollout_id, tag.token_capture])
