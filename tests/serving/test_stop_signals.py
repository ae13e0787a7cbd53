"""Ctrl-C to `gym env start` in the foreground with requests in flight, with real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import pytest

from tests.support.started import PATIENCE_S, Gym, until

ENVIRONMENT = """
import pathlib, time
import nemo_gym as gym

HERE = pathlib.Path(__file__).parent


class Slow(gym.Environment):
    {decorator}
    def verify(self, task, response, session):
        (HERE / "verifying").touch()
        while not (HERE / "go").exists():
            time.sleep(0.01)
        return 1.0
"""
HANGING_STOP = """
import asyncio, sys, time
from nemo_gym.runs.loop import run_async
from nemo_gym.serving.stop_signals import stop_event

async def main():
    stop = stop_event(0.1, lambda line: print(line, flush=True), last_s=0.1)
    print("ready", flush=True)
    if sys.argv[1] == "blocked loop":
        time.sleep(3600)
    await stop.wait()
    await asyncio.to_thread(time.sleep, 3600)

run_async(main())
"""
ENDPOINT = Path(__file__).parents[1] / "support" / "endpoint.py"
ROW: dict[str, Any] = {"responses_create_params": {"input": "Go."}}
MESSAGE = {"role": "user", "content": "Go."}
STREAMED: dict[str, Any] = {"model": "m", "max_tokens": 9, "stream": True, "messages": [MESSAGE]}
RESPONSE: dict[str, Any] = {
    "id": "r", "created_at": 0, "model": "m", "object": "response", "output": [], "parallel_tool_calls": True,
    "tool_choice": "auto", "tools": [],
}  # fmt: skip
Post = Callable[[str, str, dict[str, Any]], Future[httpx.Response]]
ANNOUNCEMENT = "stopping: requests in flight have {grace} s to finish; a second Ctrl-C ends at once"


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    gym = Gym(tmp_path)
    yield gym
    gym.clean()


@pytest.fixture
def model_url() -> Iterator[str]:
    """The endpoint of a model that takes an hour for an answer."""
    words = [sys.executable, str(ENDPOINT), "--delay", "3600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


def environment(gym: Gym, decorator: str = "@gym.blocking") -> Path:
    path = gym.folder / "slow.py"
    path.write_text(ENVIRONMENT.format(decorator=decorator))
    return path


@pytest.fixture
def post(gym: Gym) -> Iterator[Post]:
    """Sends a request to a server by its name, in a thread."""
    urls: dict[str, str] = {}
    with ThreadPoolExecutor() as threads:

        def send(server: str, path: str, body: dict[str, Any]) -> Future[httpx.Response]:
            urls.update({} if urls else {name: one["url"] for name, one in gym.servers().items()})
            return threads.submit(httpx.post, f"{urls[server]}{path}", json=body, timeout=PATIENCE_S)

        yield send
        gym.clean()


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process prints up to a line with `text`; it is killed when it prints none."""
    assert process.stdout is not None
    lines = [""]
    patience = Timer(PATIENCE_S, process.kill)
    patience.start()
    try:
        while text not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
    finally:
        patience.cancel()


def test_requests_that_do_not_finish_within_the_grace_are_cancelled(
    gym: Gym, model_url: str, post: Post
) -> None:
    model = ("--model-type", "chat", "--model-url", f"{model_url}/v1", "-m", "m")
    with gym.foreground(environment(gym), *model, "--grace", "0.5") as process:
        requests = [
            post("policy_model", "/v1/responses", {"input": "Go."}),
            post("policy_model", "/v1/messages", STREAMED),
            post("slow_simple_agent", "/run", ROW),
            post("slow", "/verify", ROW | {"response": RESPONSE}),
        ]
        assert until(lambda: (gym.folder / "verifying").exists() and calls_of(model_url) == 3)
        process.send_signal(signal.SIGINT)
        wait_for_line(process, ANNOUNCEMENT.format(grace="0.5"))
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    for request in requests:
        with suppress(httpx.TransportError):  # a stream that has begun ends early
            assert not request.result().is_success
    assert until(lambda: gym.processes() == {})


def calls_of(model_url: str) -> int:
    return httpx.get(model_url).json()["requests"]


def test_requests_finish_within_the_grace(gym: Gym, post: Post) -> None:
    model = ("--model-type", "scripted", "-m", gym.script("def answer(params): return 'Yes.'"))
    with gym.foreground(environment(gym), *model, "--grace", str(PATIENCE_S)) as process:
        rollout = post("slow_simple_agent", "/run", ROW)
        assert until(lambda: (gym.folder / "verifying").exists())
        process.send_signal(signal.SIGINT)
        wait_for_line(process, ANNOUNCEMENT.format(grace="120"))
        (gym.folder / "go").touch()
        assert rollout.result().json()["reward"] == 1.0
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0


@pytest.mark.parametrize("decorator", ["@gym.blocking", ""], ids=["in a thread", "blocking the loop"])
def test_a_second_ctrl_c_ends_at_once_whatever_is_under_way(gym: Gym, post: Post, decorator: str) -> None:
    words = (environment(gym, decorator), "--model-type", "random", "--grace", "3600")
    with gym.foreground(*words) as process:
        request = post("slow", "/verify", ROW | {"response": RESPONSE})
        assert until(lambda: (gym.folder / "verifying").exists())
        process.send_signal(signal.SIGINT)
        wait_for_line(process, ANNOUNCEMENT.format(grace="3600"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
    with pytest.raises(httpx.TransportError):
        request.result()
    assert gym("env", "status").stdout == "no servers are running\n"


@pytest.mark.parametrize(
    ("case", "place"), [("blocked loop", "line 10 in main"), ("thread that the loop waits for", "in _worker")]
)
def test_a_stop_that_hangs_ends_the_process_and_shows_where(case: str, place: str) -> None:
    words = [sys.executable, "-c", HANGING_STOP, case]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            wait_for_line(process, "ready")
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=PATIENCE_S)[0]
        finally:
            process.kill()
    assert ANNOUNCEMENT.format(grace="0.1") in output
    assert place in output
    assert process.returncode == 1
