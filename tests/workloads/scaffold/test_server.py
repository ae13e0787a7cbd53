"""The resources server that `gym env init --resources-server` writes pays one claim of the answer."""

from __future__ import annotations

import asyncio
import runpy
from typing import Any
from unittest.mock import MagicMock

import pytest

from nemo_gym.compat.server_utils import ServerClient
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import ask
from nemo_gym.wire.response import Response
from nemo_gym.workloads.scaffold.server import Scale, write_server


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the written `app.py` defines; rewards are 2 and -1."""
    (path, *_) = write_server("adding", tmp_path_factory.mktemp("server"), Scale(-1.0, 2.0))
    return runpy.run_path(str(path))


@pytest.mark.parametrize("text", ["5", "The sum is 5.", "2 + 3 = 5", "**5**", r"\boxed{5}"])
def test_one_claim_of_the_answer_is_paid(app: dict[str, Any], text: str) -> None:
    assert reward(app, text) == 2.0


@pytest.mark.parametrize(
    "text",
    ["4, 5", "1 2 3 4 5", "5 or 6", "It is not 5.", "Is it 5?", "maybe 5", "5, no, 6", "6, no, 5", "-5", ""],
)
def test_lists_denials_hedges_and_questions_are_not(app: dict[str, Any], text: str) -> None:
    assert reward(app, text) == -1.0


def reward(app: dict[str, Any], text: str) -> float:
    server = app["AddingServer"](
        config=app["AddingConfig"](host="127.0.0.1", port=8080, entrypoint="app.py", name="adding"),
        server_client=MagicMock(spec=ServerClient),
    )
    body = app["AddingVerifyRequest"].model_validate(
        {
            "responses_create_params": ask("What is 2 + 3?"),
            "expected_answer": "5",
            "response": Response.of([assistant(text)]).data,
        }
    )
    return asyncio.run(server.verify(body)).reward
