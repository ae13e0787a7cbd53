from __future__ import annotations

import socket

import yaml
from starlette.testclient import TestClient

from nemo_gym.serving.head import ServerInstance, head_app
from nemo_gym.serving.options import AppOptions

FIELDS = {
    "process_name", "server_type", "name", "dir_path", "entrypoint", "host", "port", "url", "pid",
    "config_path", "start_time", "status", "uptime_seconds",
}  # fmt: skip


def running(port: int) -> ServerInstance:
    return ServerInstance(
        process_name="mine",
        server_type="resources_servers",
        name="mcqa",
        dir_path=None,
        entrypoint="app.py",
        host="127.0.0.1",
        port=port,
        pid=1,
        start_time=0.0,
    )


def test_the_configuration_is_yaml_in_a_json_string_with_its_secrets_masked() -> None:
    tree = {
        "policy_api_key": "sk-1234567890",
        "policy_base_url": "http://user:pass@host/v1",
        "agent": {"responses_api_agents": {"simple_agent": {"host": "127.0.0.1", "port": 1}}},
        "note": "the key is sk-1234567890",
    }
    with TestClient(head_app(tree, list, AppOptions())) as client:
        assert client.get("/").json() == {"status": "ok"}
        answer = client.get("/global_config_dict_yaml")
    assert yaml.safe_load(answer.json()) == {
        **tree,
        "policy_api_key": "****",
        "policy_base_url": "http://****@host/v1",
        "note": "the key is ****",
    }


def test_every_server_is_asked_whenever_the_list_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with TestClient(head_app({}, lambda: [running(port)], AppOptions())) as client:
        (row,) = client.get("/server_instances").json()
    assert row.keys() == FIELDS
    assert (row["url"], row["config_path"], row["status"]) == (
        f"http://127.0.0.1:{port}", "mine", "connection_error",
    )  # fmt: skip
