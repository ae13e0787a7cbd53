from servers.notebook.app import NotebookConfig, NotebookServer
from servers.sample import build, client_of, message, row


def client():
    return client_of(build(NotebookServer, NotebookConfig))


def test_routes_of_a_router_share_the_session():
    notebook = client()
    first = notebook.post("/write_note", json={"text": "milk"})
    assert (first.status_code, first.text) == (200, "note 1 written")
    assert notebook.get("/notes").json() == ["milk"]


def test_an_exception_handler_of_its_own_answers():
    notebook = client()
    for _ in range(2):
        notebook.post("/write_note", json={"text": "x"})
    refused = notebook.post("/write_note", json={"text": "x"})
    assert (refused.status_code, refused.json()) == (409, {"error": "only 2 notes"})


def test_middleware_and_lifespan_run():
    with client() as notebook:
        assert notebook.get("/notes").headers["x-notebook"] == "open"
    assert client().get("/notes").headers["x-notebook"] == "shut"


def test_an_empty_response_is_worth_nothing():
    assert client().post("/verify", json=row()).json()["reward"] == 0.0
    assert client().post("/verify", json=row(message("hi"))).json()["reward"] == 1.0
