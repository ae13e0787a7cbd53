"""A sandbox for code that is not async."""

from __future__ import annotations

import threading

import pytest

from nemo_gym.sandbox import Sandbox, SandboxSpec, SandboxStatus


def test_it_does_what_the_other_does(tmp_path):
    (tmp_path / "in").write_text("text")
    with Sandbox(spec=SandboxSpec(ports=[8000])) as sandbox:
        sandbox.start()
        sandbox.upload(tmp_path / "in", "in")
        assert sandbox.exec("cat in").stdout == "text"
        sandbox.download("in", tmp_path / "out")
        assert sandbox.status() is SandboxStatus.RUNNING
        assert sandbox.endpoint(8000).endpoint.startswith("http://127.0.0.1:")
        with pytest.raises(TimeoutError, match="more than"):
            sandbox.exec("sleep 600", timeout_s=0.1)
    sandbox.stop()

    assert (tmp_path / "out").read_text() == "text"
    assert not [thread for thread in threading.enumerate() if thread.name == "sandbox"]


async def test_it_does_not_block_a_running_loop():
    with pytest.raises(RuntimeError, match="use AsyncSandbox"):
        Sandbox().start()
