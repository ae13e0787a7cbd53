"""Data Designer's remote validator on the servers of existing code."""

from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import SESSION_ID_KEY, ServerClient
from servers.arithmetic.app import ArithmeticConfig, ArithmeticServer
from servers.guess.app import GuessConfig, GuessServer
from servers.sample import build, message, row
from starlette.requests import Request

from nemo_gym.serving.browsers import WebPageGuard
from nemo_gym.serving.secrets import Secret

PATH = "/data_designer/validate"


class ShelfSeed(BaseSeedSessionRequest):
    books: list[str]


class ShelfVerify(BaseVerifyRequest):
    wanted: str
    bonus: dict[str, float] = {}


class ShelfServer(SimpleResourcesServer):
    """The answer must name the wanted book, which must be on the shelf that the session was seeded with."""

    config: BaseResourcesServerConfig
    shelves: dict[str, list[str]] = {}

    async def seed_session(self, request: Request, body: ShelfSeed) -> BaseSeedSessionResponse:
        self.shelves[request.session[SESSION_ID_KEY]] = body.books
        return BaseSeedSessionResponse()

    async def verify(self, request: Request, body: ShelfVerify) -> BaseVerifyResponse:
        books = self.shelves.pop(request.session[SESSION_ID_KEY])
        if body.response.output_text == "crash":
            raise LookupError("no such book")
        is_right = body.wanted in books and body.wanted == body.response.output_text
        return BaseVerifyResponse(**body.model_dump(), reward=is_right + sum(body.bonus.values()))


def served(server: Any, **options: Any) -> TestClient:
    return TestClient(server.served_app(**options))


def verdicts(caller: TestClient, *rows: Any, query: str = "", **options: Any) -> list[dict[str, Any]]:
    answer = caller.post(PATH + query, json={"data": list(rows)}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@pytest.fixture
def shelf() -> TestClient:
    return served(build(ShelfServer, BaseResourcesServerConfig))


def test_an_answer_has_the_verdict_of_the_server() -> None:
    caller = served(build(ArithmeticServer, ArithmeticConfig))

    right, wrong, unfit = verdicts(
        caller, {"expected": 4, "answer": "4"}, {"expected": 4, "answer": "5"}, {"answer": "4"}
    )

    assert right == {"is_valid": True, "reward": 1.0, "reward_components": None, "reason": "solved"}
    assert wrong["is_valid"] is False
    assert wrong["reward"] == caller.post("/verify", json=row(message("5"), expected=4)).json()["reward"]
    assert unfit["is_valid"] is None
    assert "expected" in unfit["reason"]


def test_every_row_has_a_seeded_session_of_its_own(shelf: TestClient) -> None:
    rows = [{"books": [name], "wanted": name, "answer": name} for name in "abc"]

    assert [one["is_valid"] for one in verdicts(shelf, *rows)] == [True, True, True]


def test_objects_may_be_json_text_and_columns_may_have_other_names(shelf: TestClient) -> None:
    table_row = {"books": '["a", "b"]', "which": "b", "said": "b", "bonus": '{"x": 0.5}'}

    (verdict,) = verdicts(shelf, table_row, query="?wanted=which&answer=said")

    assert verdict["reward"] == 1.5


def test_a_verifier_that_raises_is_null_with_its_reason(shelf: TestClient) -> None:
    failed, fine = verdicts(
        shelf,
        {"books": ["a"], "wanted": "a", "answer": "crash"},
        {"books": ["a"], "wanted": "a", "answer": "a"},
    )

    assert (failed["is_valid"], fine["is_valid"]) == (None, True)
    assert "LookupError" in failed["reason"]


def test_a_caller_sends_the_token_of_the_server_and_its_address() -> None:
    app = build(ArithmeticServer, ArithmeticConfig).served_app(token=Secret("of-the-server"))
    app.add_middleware(WebPageGuard, bound="127.0.0.1", names=["127.0.0.1"])
    caller = TestClient(app, base_url="http://127.0.0.1:8080")
    table_row = {"expected": 4, "answer": "4"}

    assert caller.post(PATH, json={"data": [table_row]}).status_code == 401
    (verdict,) = verdicts(caller, table_row, headers={"authorization": "Bearer of-the-server"})
    assert verdict["is_valid"] is True


def test_the_route_is_no_tool_and_comes_before_a_route_that_takes_every_path() -> None:
    class Everything(ShelfServer):
        def setup_webserver(self) -> Any:
            app = super().setup_webserver()
            app.post("/{path:path}")(lambda path: path)
            return app

    config = BaseResourcesServerConfig(host="127.0.0.1", port=8080, entrypoint="app.py", name="all")
    caller = served(Everything(config=config, server_client=MagicMock(spec=ServerClient)))

    (verdict,) = verdicts(caller, {"books": ["a"], "wanted": "a", "answer": "a"})

    assert verdict["is_valid"] is True
    assert PATH not in caller.get("/openapi.json").json()["paths"]


def test_a_server_of_steps_has_no_verdict_on_one_answer() -> None:
    (verdict,) = verdicts(served(build(GuessServer, GuessConfig)), {"number": 4, "answer": "4"})

    assert verdict["is_valid"] is None
    assert "reset and step" in verdict["reason"]
