from __future__ import annotations

import socket
from typing import Any

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.hosts import open_port
from nemo_gym.config.resolve import Config, resolve


def three(*, offline: bool = False, **given: Any) -> Config:
    return resolve(
        initial={"environment": "mcqa", "model": "random", **given}, offline=offline, use_env_file=False
    )


def test_every_instance_gets_a_loopback_port_of_its_own_in_the_range() -> None:
    config = three()
    ports = [instance.port for instance in config.instances.values()]
    assert len({*ports, 11000}) == 4
    assert all(10001 <= port <= 20000 for port in ports)
    assert {instance.host for instance in config.instances.values()} == {"127.0.0.1"}
    assert config.tree["head_server"] == {"host": "127.0.0.1", "port": 11000}
    assert config.tree["disallowed_ports"] == sorted([*ports, 11000])
    assert config.tree["mcqa"]["resources_servers"]["mcqa"]["port"] == config.instances["mcqa"].port


def test_offline_no_port_is_chosen() -> None:
    assert {instance.port for instance in three(offline=True).instances.values()} == {-1}


def test_what_is_given_is_kept() -> None:
    config = three(
        default_host="localhost",
        head_server={"port": 12345},
        mcqa={"resources_servers": {"mcqa": {"host": "127.0.0.1", "port": 23456}}},
    )
    assert config.instances["mcqa"].url == "http://127.0.0.1:23456"
    assert config.instances["policy_model"].host == "localhost"
    assert config.tree["head_server"] == {"host": "localhost", "port": 12345}


def test_the_machine_address_is_one_that_can_be_bound() -> None:
    host = three(use_absolute_ip=True).instances["mcqa"].host
    with socket.socket() as probe:
        probe.bind((host, 0))


def test_taken_and_disallowed_ports_are_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f"no free port on 127.0.0.1 in {port} to {port} after 50 tries"
        ):
            open_port("127.0.0.1", port, port)
    with pytest.raises(ConfigError, match="no free port"):
        open_port("127.0.0.1", 10001, 10001, occupied=[10001])


def test_two_instances_can_not_have_one_address() -> None:
    with pytest.raises(ConfigError, match=r"mcqa and policy_model have one address, 127\.0\.0\.1:4444"):
        three(
            mcqa={"resources_servers": {"mcqa": {"port": 4444}}},
            policy_model={"responses_api_models": {"random": {"port": 4444}}},
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port_range_low": 5, "port_range_high": 4}, "port_range_low is above port_range_high"),
        ({"port_range_low": "x"}, r"Expected `int`, got `str` - at `\$\.port_range_low`"),
        ({"head_server": {"port": "x"}}, r"Expected `int`, got `str` - at `\$\.head_server\.port`"),
        ({"disallowed_ports": 5}, r"Expected `array`, got `int` - at `\$\.disallowed_ports`"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        three(**given)
