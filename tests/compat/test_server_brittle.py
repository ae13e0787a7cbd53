from unittest.mock import AsyncMock

import pytest
from aiohttp import ClientResponseError
from servers.brittle.app import BrittleConfig, BrittleServer
from servers.sample import build, client_of, message, row


def brittle():
    return build(BrittleServer, BrittleConfig, backend={"type": "resources_servers", "name": "strong"})


def served(server):
    """As it is served: what a handler raises is answered, not raised."""
    from fastapi.testclient import TestClient

    app = server.setup_webserver()
    server.setup_exception_middleware(app)
    return TestClient(app, raise_server_exceptions=False)


def test_without_a_launcher_a_handlers_exception_reaches_the_test():
    with pytest.raises(ValueError, match="11 is too much"):
        client_of(brittle()).post("/lift", json={"load": 11})


def test_served_it_is_500_with_the_exceptions_repr():
    client = served(brittle())
    found = client.post("/lift", json={"load": 11})
    assert (found.status_code, found.json()) == (500, "ValueError('11 is too much')")
    assert client.post("/lift", json={"load": 1}).json() == {"lifted": 1}
    assert client.post("/verify", json=row(message("x"))).json() == "RuntimeError('never scored')"


def test_an_http_exception_is_an_answer_of_its_own():
    found = served(brittle()).post("/refuse")
    assert (found.status_code, found.json()) == (403, {"detail": "not you"})


def test_a_failed_call_to_another_server_names_this_one_and_quotes_the_other():
    server = brittle()
    answer = AsyncMock()
    answer.ok = False
    answer.content.read.return_value = b'"ValueError(12 is too much)"'
    problem = ClientResponseError(request_info=None, history=(), status=500)
    answer.raise_for_status = lambda: (_ for _ in ()).throw(problem)
    server.server_client.post = AsyncMock(return_value=answer)
    found = served(server).post("/delegate", json={"load": 12})
    assert found.status_code == 500
    assert "BrittleServer___under_test" in found.json()
    assert "12 is too much" in found.json()
