"""What the tests of these servers share: a server without a launcher, and bodies to send to it."""

from unittest.mock import MagicMock

from fastapi.testclient import TestClient
from nemo_gym.server_utils import ServerClient


def build(server, config, **settings):
    given = {"host": "127.0.0.1", "port": 8080, "entrypoint": "app.py", "name": "under_test"}
    return server(config=config(**given, **settings), server_client=MagicMock(spec=ServerClient))


def client_of(server, **options):
    return TestClient(server.setup_webserver(), **options)


def message(text):
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def call(name, arguments, call_id="call_1"):
    return {"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id}


def response(*output):
    return {
        "id": "resp_1",
        "created_at": 1.0,
        "model": "policy",
        "object": "response",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def row(*output, **columns):
    params = {"input": [{"role": "user", "content": "Go."}]}
    return {"responses_create_params": params, "response": response(*output), **columns}
