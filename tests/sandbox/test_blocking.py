"""A sandbox for code that is not async."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nemo_gym.sandbox import Sandbox, SandboxSpec, SandboxStatus, blocking
from tests.support.programs import FORK, run_program


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


async def test_it_is_stopped_by_ordinary_code_after_async_code_tried(tmp_path):
    sandbox = Sandbox()
    await asyncio.to_thread(sandbox.start)
    with pytest.raises(RuntimeError, match="use AsyncSandbox"):
        sandbox.stop()
    assert (await asyncio.to_thread(sandbox.status)) is SandboxStatus.RUNNING
    await asyncio.to_thread(sandbox.stop)


def test_a_call_has_a_time_limit(monkeypatch):
    monkeypatch.setattr(blocking, "CALL_LIMIT_S", 30.0)
    with Sandbox() as sandbox:
        sandbox.start()
        monkeypatch.setattr(blocking, "CALL_LIMIT_S", 0.1)
        with pytest.raises(TimeoutError, match=r"^sandbox: it took more than 0\.1 seconds$"):
            sandbox.exec("sleep 600")
        monkeypatch.setattr(blocking, "CALL_LIMIT_S", 30.0)
        assert sandbox.exec("echo again").stdout == "again\n"


def test_a_forked_child_leaves_the_sandbox_of_its_parent_alone():
    code = """
from nemo_gym.sandbox import Sandbox

def is_refused():
    try:
        sandbox.exec("true")
    except RuntimeError as error:
        return "started in the parent process" in str(error)

def has_its_own():
    with Sandbox() as own:
        return own.start().exec("echo own").stdout == "own\\n"

with Sandbox() as sandbox:
    sandbox.start()
    in_child(is_refused)
    in_child(lambda: sandbox.stop() is None)
    in_child(has_its_own)
    print(sandbox.exec("echo parent").stdout, end="")
"""
    assert run_program(FORK + code) == (0, "parent\n", "")


def test_a_sandbox_made_before_the_fork_starts_in_the_child():
    code = """
from nemo_gym.sandbox import Sandbox

sandbox = Sandbox()
in_child(lambda: sandbox.start().exec("echo child").stdout == "child\\n" and sandbox.stop() is None)
"""
    assert run_program(FORK + code) == (0, "", "")
