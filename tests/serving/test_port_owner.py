"""A port that is in use can be freed by somebody, and the message says by whom."""

from __future__ import annotations

import os

import pytest

from nemo_gym.serving.port_owner import listener, who_frees
from nemo_gym.serving.running_gyms import RunningGym, register
from nemo_gym.serving.sockets import AddressInUse, bind


def state(port: int) -> RunningGym:
    return RunningGym(pid=os.getpid(), head_url=f"http://127.0.0.1:{port}", logs="", started_at=0.0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_process_that_listens_is_known(tmp_path, host):
    with bind(host, 0, "one") as bound:
        port = bound.getsockname()[1]
        assert listener(port) == os.getpid()
        assert f"`kill {os.getpid()}` ends it" in who_frees(port, tmp_path)
    assert listener(port) is None


def test_servers_of_this_user_are_stopped_by_the_command(tmp_path):
    with bind("127.0.0.1", 0, "head") as bound, register(state(port := bound.getsockname()[1]), tmp_path):
        assert f"`gym env stop --port {port}` stops the servers of process {os.getpid()}" in who_frees(
            port, tmp_path
        )


def test_what_cannot_be_looked_into_belongs_to_somebody_else(tmp_path, monkeypatch):
    monkeypatch.setattr("nemo_gym.serving.port_owner.listener", lambda _: None)
    assert "another user" in who_frees(5, tmp_path)


def test_the_error_knows_the_port():
    with bind("127.0.0.1", 0, "one") as bound:
        port = bound.getsockname()[1]
        with pytest.raises(AddressInUse, match="in use") as caught:
            bind("127.0.0.1", port, "two")
    assert (caught.value.owner, caught.value.port) == ("two", port)
