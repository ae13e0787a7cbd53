from servers.dispatch.app import DispatchConfig, DispatchServer
from servers.sample import build, call, client_of, row


def client():
    return client_of(build(DispatchServer, DispatchConfig))


def test_one_route_carries_out_every_tool():
    assert client().post("/add", json={"a": 1, "b": 2}).text == "3"
    assert client().post("/join", json={"words": ["a", "b"], "by": "-"}).text == '"a-b"'


def test_what_goes_wrong_is_readable():
    assert client().post("/subtract", json={}).json() == {"detail": "no tool subtract"}
    assert client().post("/add", json={"a": 1}).status_code == 400


def test_the_routes_of_every_server_come_first():
    output = {"type": "function_call_output", "call_id": "call_1", "output": "3"}
    found = client().post("/verify", json=row(call("add", "{}"), output))
    assert (found.status_code, found.json()["reward"]) == (200, 1.0)
    assert client().post("/seed_session", json={}).json() == {}
