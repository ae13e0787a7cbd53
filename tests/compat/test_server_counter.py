from servers.counter.app import CounterConfig, CounterServer
from servers.sample import build, client_of, message, row


def test_state_belongs_to_the_session_of_the_cookie():
    server = build(CounterServer, CounterConfig)
    app = server.setup_webserver()
    first, second = client_of_app(app), client_of_app(app)
    first.post("/seed_session", json={"start": 5})
    second.post("/seed_session", json={"start": 1})
    assert first.post("/add", json={"amount": 2}).json() == {"count": 7}
    assert second.post("/read").json() == {"count": 1}
    assert len(server.counts) == 2


def test_the_cookie_is_named_after_class_and_instance():
    client = client_of(build(CounterServer, CounterConfig))
    client.post("/seed_session", json={})
    assert list(dict(client.cookies)) == ["CounterServer___under_test"]


def test_an_agent_that_copies_cookies_by_hand_keeps_its_session():
    client = client_of(build(CounterServer, CounterConfig))
    cookies = dict(client.post("/seed_session", json={"start": 3}).cookies)
    client.cookies.clear()
    client.cookies.update(cookies)
    assert client.post("/read").json() == {"count": 3}


def test_verify_reads_the_state_and_drops_it():
    server = build(CounterServer, CounterConfig)
    client = client_of(server)
    client.post("/seed_session", json={"start": 4, "target": 4})
    assert client.post("/verify", json=row(message("done"), target=4)).json()["reward"] == 1.0
    assert server.counts == {}


def client_of_app(app):
    from fastapi.testclient import TestClient

    return TestClient(app)
