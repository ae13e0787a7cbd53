"""Several URLs of one model: who is asked, and what happens when one of them goes away."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.assembly.collect import collect
from nemo_gym.models.base import Model
from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.models.registry import build_model
from nemo_gym.models.replicas import ONE_TRY, ReplicatedModel, home_index
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import GymError, ModelDenied, ModelRejected, ModelUnreachable, RateLimited
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from tests.conftest import SUPPORT, StartEndpoint

NOBODY = "http://127.0.0.1:9/v1"
SAY: RequestParams = {"input": [{"type": "message", "role": "user", "content": "say a"}]}


def requests_at(url: str) -> int:
    with urlopen(url) as answer:
        return json.load(answer)["requests"]


def session_at(index: int, count: int) -> str:
    """A session id whose home is the replica at `index`."""
    return next(str(n) for n in range(1000) if home_index(str(n), count) == index)


@contextmanager
def server(port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """An endpoint that can be killed and started again at the same port."""
    command = [sys.executable, str(SUPPORT / "endpoint.py"), f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1", process
        process.kill()


class Failing(Model):
    """Raises what it is given, in order, then answers with its name."""

    def __init__(self, name: str, *errors: Exception) -> None:
        self.name = name
        self.errors = list(errors)

    async def responses(self, params: RequestParams) -> Response:
        if self.errors:
            raise self.errors.pop(0)
        return Response.of([assistant(self.name)])


def replicas(*models: Model, attempts: int = 3) -> ReplicatedModel:
    by_name = {model.name: model for model in models}
    build: Callable[[str, Retry], Model] = lambda url, retry: by_name[url]  # noqa: E731
    return ReplicatedModel(list(by_name), build, retry=Retry(attempts=attempts, base=0.001))


class TestHome:
    @given(st.text(), st.integers(1, 64))
    def test_it_is_the_first_8_bytes_of_the_digest(self, session_id: str, count: int) -> None:
        digest = hashlib.sha256(session_id.encode()).hexdigest()
        assert home_index(session_id, count) == int(digest[:16], 16) % count

    def test_a_known_one(self) -> None:
        assert home_index("abc", 1000) == 0xBA7816BF8F01CFEA % 1000

    async def test_all_turns_of_a_session_go_to_its_home(self, start_endpoint: StartEndpoint) -> None:
        urls = [start_endpoint() for _ in range(3)]
        async with endpoint_model("chat", urls, "m") as model:
            for index, turns in enumerate((1, 2, 3)):
                session = model.for_session_id(session_at(index, 3))
                for _ in range(turns):
                    assert (await session.responses(SAY)).output_text == "a"
        assert [requests_at(url) for url in urls] == [1, 2, 3]

    async def test_without_a_session_the_work_is_shared(self, start_endpoint: StartEndpoint) -> None:
        urls = [start_endpoint() for _ in range(2)]
        async with endpoint_model("vllm", urls, "m") as model:
            for _ in range(4):
                await model.responses(SAY)
        assert [requests_at(url) for url in urls] == [2, 2]

    async def test_a_recorded_model_keeps_its_homes(
        self, start_endpoint: StartEndpoint, tmp_path: Any
    ) -> None:
        urls = [start_endpoint() for _ in range(2)]
        build: Any = build_model
        async with build(
            "chat", name="m", url=urls, record=str(tmp_path / "calls.jsonl"), link=None
        ) as model:
            for _ in range(3):
                await model.for_session_id(session_at(1, 2)).responses(SAY)
        assert [requests_at(url) for url in urls] == [0, 3]
        assert len((tmp_path / "calls.jsonl").read_text().splitlines()) == 3


class TestFailover:
    async def test_a_dead_home_is_stepped_over_and_come_back_to(self, start_endpoint: StartEndpoint) -> None:
        other = start_endpoint()
        with server() as (home, process):
            async with endpoint_model("chat", [home, other], "m") as model:
                session = model.for_session_id(session_at(0, 2))
                await session.responses(SAY)
                process.kill()
                process.wait()
                for _ in range(ONE_TRY.threshold + 2):
                    assert (await session.responses(SAY)).output_text == "a"
                assert requests_at(other) == ONE_TRY.threshold + 2
                with server(int(home.split(":")[2].removesuffix("/v1"))) as (again, _):
                    async with asyncio.timeout(60):
                        while requests_at(again) == 0:
                            await session.responses(SAY)
                            await asyncio.sleep(0.02)
                    before = requests_at(other)
                    await session.responses(SAY)
                    assert requests_at(other) == before

    async def test_a_run_survives_a_replica_that_is_killed(self, start_endpoint: StartEndpoint) -> None:
        urls = [start_endpoint(delay=0.01), start_endpoint(delay=0.01)]
        with server() as (doomed, process):
            rewards: Counter[Any] = Counter()
            rows = [
                {
                    "responses_create_params": {"input": [{"role": "user", "content": f"say {n}"}]},
                    "expected": str(n),
                }
                for n in range(60)
            ]
            async with endpoint_model("chat", [doomed, *urls], "m") as model:
                rollouts = collect(str(SUPPORT / "echo_env.py"), model, rows, concurrency=4)
                async for rollout in rollouts:
                    rewards[rollout.reward] += 1
                    if sum(rewards.values()) == 10:
                        process.kill()
        assert rewards == {1.0: 60}

    async def test_a_busy_home_is_waited_for(self) -> None:
        model = replicas(Failing("home", RateLimited("429")), Failing("other"))
        answer = await model.for_session_id(session_at(0, 2)).responses(SAY)
        assert answer.output_text == "home"

    @pytest.mark.parametrize("error", [ModelRejected("400"), ModelDenied("401")])
    async def test_what_any_replica_would_refuse_is_not_asked_twice(self, error: Exception) -> None:
        model = replicas(Failing("home", error), Failing("other"))
        with pytest.raises(type(error)):
            await model.for_session_id(session_at(0, 2)).responses(SAY)

    async def test_the_rounds_are_bounded(self) -> None:
        errors = [ModelUnreachable("down")] * 100
        models = [Failing("home", *errors), Failing("other", *errors)]
        with pytest.raises(ModelUnreachable, match="down"):
            await replicas(*models, attempts=3).responses(SAY)
        assert [len(model.errors) for model in models] == [97, 97]

    async def test_when_all_are_down_for_a_moment_the_call_comes_through(self) -> None:
        models = [Failing(name, ModelUnreachable("down")) for name in ("home", "other")]
        assert (await replicas(*models).responses(SAY)).output_text


class TestCheck:
    async def test_one_replica_that_answers_is_enough(self, start_endpoint: StartEndpoint) -> None:
        async with endpoint_model("chat", [NOBODY, start_endpoint()], "m") as model:
            await model.check()

    async def test_none_is_an_error_that_names_all(self) -> None:
        async with endpoint_model("chat", [NOBODY, "http://127.0.0.1:19/v1"], "m") as model:
            with pytest.raises(GymError, match=r"127\.0\.0\.1:9/.*; .*127\.0\.0\.1:19/"):
                await model.check()
