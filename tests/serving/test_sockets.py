from __future__ import annotations

import pytest

from nemo_gym.serving.sockets import AddressInUse, bind, http_url, is_loopback, reachable
from nemo_gym.wire.errors import GymError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "localhost"])
def test_only_this_machine_reaches_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "10.0.0.1", "192.168.1.2", "gpu-node-7", "localhost.evil.example"]
)
def test_everything_else_counts_as_open_to_others(host: str) -> None:
    assert not is_loopback(host)


def test_an_address_that_somebody_listens_at_is_in_use() -> None:
    with bind("127.0.0.1", 0, "first") as first:
        port = first.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"^second: port {port} of 127.0.0.1 is in use$") as caught:
            bind("127.0.0.1", port, "second")
    assert caught.value.owner == "second"


def test_a_program_can_bind_an_address_that_is_only_kept_for_it() -> None:
    with bind("127.0.0.1", 0, "kept", listen=False) as kept:
        bind("127.0.0.1", kept.getsockname()[1], "program").close()


def test_a_host_that_is_not_there_is_named() -> None:
    with pytest.raises(GymError, match=r"^agent: host 'no\.such\.host\.invalid'"):
        bind("no.such.host.invalid", 0, "agent")


def test_urls_of_hosts() -> None:
    assert http_url("::1", 8) == "http://[::1]:8"
    assert http_url(reachable("0.0.0.0"), 8) == "http://127.0.0.1:8"
    assert reachable("gpu-node-7") == "gpu-node-7"
