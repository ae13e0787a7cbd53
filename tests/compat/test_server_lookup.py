from servers.lookup.app import METADATA_KEY, LookupConfig, LookupServer
from servers.sample import build, client_of, message, row


def test_the_routes_work_over_http_with_the_switch_on():
    server = build(LookupServer, LookupConfig, expose_tools_over_mcp=True)
    client = client_of(server)
    client.post("/seed_session", json={})
    assert client.post("/look_up", json={"key": "h2o"}).json() == {"found": "water"}
    assert client.post("/verify", json=row(message("water"))).json()["reward"] == 1.0


def test_a_handler_without_a_body_needs_none():
    server = build(LookupServer, LookupConfig)
    client = client_of(server)
    client.post("/look_up", json={"key": "h2o"})
    assert client.post("/forget").json() == {"forgotten": True}
    assert list(server.used.values()) == [[]]


def test_the_key_of_the_seed_answer_is_known():
    assert METADATA_KEY == "mcp"
