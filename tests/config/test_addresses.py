"""References to hosts and ports that are chosen when the configuration is resolved."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.config.errors import ConfigInterpolationError
from nemo_gym.config.resolve import Config, resolve

ENDPOINT = "engine.responses_api_models.scripted"


def config(url: str, *, offline: bool = False, **engine: Any) -> Config:
    """A relay model whose URL is `url`, and the engine that it may refer to."""
    tree = {
        "engine": {"responses_api_models": {"scripted": {"entrypoint": "app.py", **engine}}},
        "relay": {"responses_api_models": {"chat": {"entrypoint": "app.py", "url": url, "name": "m"}}},
    }
    return resolve(initial=tree, use_env_file=False, offline=offline)


def test_a_port_that_is_chosen_here_is_filled_in_where_others_refer_to_it() -> None:
    found = config(f"http://${{{ENDPOINT}.host}}:${{{ENDPOINT}.port}}/v1")
    engine, relay = found.instances["engine"], found.instances["relay"]
    assert engine.port > 0
    assert relay.settings["url"] == f"http://127.0.0.1:{engine.port}/v1"
    assert found.tree["relay"]["responses_api_models"]["chat"]["url"] == relay.settings["url"]
    assert relay.port not in (engine.port, -1)


def test_a_port_that_is_given_is_the_one_that_is_referred_to() -> None:
    found = config(f"http://h:${{{ENDPOINT}.port}}/v1", port=12345, offline=True)
    assert found.instances["relay"].settings["url"] == "http://h:12345/v1"


def test_offline_a_port_that_nobody_has_chosen_stays_as_it_is_written() -> None:
    url = f"http://h:${{{ENDPOINT}.port}}/v1"
    found = config(url, offline=True)
    assert found.instances["relay"].settings["url"] == url
    assert found.instances["engine"].port == -1


def test_the_head_servers_address_can_be_referred_to() -> None:
    assert config("http://${head_server.host}:${head_server.port}").instances["relay"].settings["url"] == (
        "http://127.0.0.1:11000"
    )


def test_the_port_of_no_instance_is_an_error() -> None:
    with pytest.raises(ConfigInterpolationError, match=r"relay.*nothing\.responses_api_models"):
        config("http://h:${nothing.responses_api_models.any.port}")
