"""Finding agents through a head server, in each of the forms that head servers have."""

from __future__ import annotations

import json

import pytest
from conftest import StartServer

from nemo_gym.transport.head import find_agents
from nemo_gym.wire.errors import GymError

CONFIG = """
head_server: {host: 127.0.0.1, port: 11000}
policy_model:
  responses_api_models: {openai_model: {host: 127.0.0.1, port: 1}}
math_agent:
  responses_api_agents: {simple_agent: {host: 127.0.0.1, port: 2, entrypoint: app.py}}
far_agent:
  responses_api_agents: {simple_agent: {host: 0.0.0.0, port: 3}}
half:
  responses_api_agents: {simple_agent: {host: "${oc.env:HOME}"}}
"""
AGENTS = {"math_agent": "http://127.0.0.1:2", "far_agent": "http://127.0.0.1:3"}


async def test_agents_are_found_in_the_configuration(start_server: StartServer) -> None:
    url, _ = start_server(head=json.dumps({"/global_config_dict_yaml": CONFIG}))

    assert await find_agents(url) == AGENTS


async def test_the_list_of_running_servers_is_asked_first(start_server: StartServer) -> None:
    instances = [
        {
            "process_name": "a",
            "name": "simple_agent",
            "server_type": "responses_api_agents",
            "host": "h",
            "port": 5,
        },
        {"process_name": "m", "name": "mcqa", "server_type": "resources_servers", "host": "h", "port": 6},
    ]
    url, _ = start_server(
        head=json.dumps({"/server_instances": instances, "/global_config_dict_yaml": CONFIG})
    )

    assert await find_agents(url) == {"a": "http://h:5"}


@pytest.mark.parametrize("instances", [[], [{"server_type": 3}], {"a": 1}, "text"])
async def test_a_list_that_says_nothing_leaves_the_configuration(
    start_server: StartServer, instances: object
) -> None:
    url, _ = start_server(
        head=json.dumps({"/server_instances": instances, "/global_config_dict_yaml": CONFIG})
    )

    assert await find_agents(url) == AGENTS


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("a: [", "not YAML"),
        ("!!python/object/apply:os.system [ls]", "not YAML"),
        ("[" * 5000, "not YAML"),
        ("just text", "knows of no agent server"),
        ("", "knows of no agent server"),
    ],
)
async def test_a_configuration_that_makes_no_sense_is_one_clear_line(
    start_server: StartServer, config: str, message: str
) -> None:
    url, _ = start_server(head=json.dumps({"/global_config_dict_yaml": config}))

    with pytest.raises(GymError, match=message):
        await find_agents(url)


async def test_something_else_at_the_url_is_not_a_head_server(start_server: StartServer) -> None:
    url, _ = start_server()

    with pytest.raises(GymError, match="it is not a head server"):
        await find_agents(url)


async def test_no_head_server_says_what_to_do() -> None:
    with pytest.raises(GymError, match=r"no head server at http://127.0.0.1:1: .*are the servers running"):
        await find_agents("http://127.0.0.1:1")
