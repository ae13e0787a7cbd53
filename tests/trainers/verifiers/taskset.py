"""verifiers plays environments of this package, as prime-rl makes it do: `make test-trainers-verifiers`.

Its environment server, its client, its training renderer and its traces are the real ones; the engine is a
server with vLLM's token route that answers by script.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import verifiers.v1 as vf
from verifiers.v1.serve import EnvClient, EnvServer
from verifiers.v1.utils.loaders import load_taskset, resolve_env_config

from nemo_gym_verifiers import GymEnv
from tests.support.chatml import chatml_tokenizer
from tests.support.generate_server import Engine, logprob, serving

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs
ADDER = f"{Path(__file__).with_name('adder.py')}:Adder"
LOCAL = {"runtime": {"type": "subprocess"}, "harness": {"id": "nemo-gym-verifiers"}}
THOUGHT = "<think>\nI add {a}.\n</think>\n\n"


def play(prompt: str) -> str:
    """Thinks and calls the tool; then gives its result, wrong for odd numbers."""
    _, found, rest = prompt.rpartition("<tool_response>\n")
    if found:
        result = rest.split("\n</tool_response>")[0]
        return result if int(result) % 2 == 0 else "no idea"
    a = prompt.rsplit("<|im_start|>user\n", 1)[1].split(" ")[0]
    arguments = f'{{"a":{a},  "b":2}}'
    return f'{THOUGHT.format(a=a)}<tool_call>\n{{"name": "add", "arguments": {arguments}}}\n</tool_call>'


@pytest.fixture
def engine() -> Engine:
    return Engine(chatml_tokenizer(), play)


@pytest.fixture
def url(engine: Engine) -> Iterator[str]:
    with serving(engine) as url:
        yield url


class Worker:
    """An environment server with its client, and the task set that the client has loaded."""

    def __init__(self, client: EnvClient, taskset: Any, endpoint: Any, model: str) -> None:
        self._client = client
        self._endpoint = endpoint
        self._model = model
        self.tasks = list(taskset)

    async def run(self, place: int, **sampling: Any) -> Any:
        """The episode of a task, as a trainer gets it."""
        data = self.tasks[place].data.model_dump(mode="json")
        return await self._client.run(self._endpoint, self._model, vf.SamplingConfig(**sampling), data)


@asynccontextmanager
async def working(
    engine: Engine,
    url: str,
    folder: Path,
    *,
    id: str = "",
    agent: dict[str, Any] | None = None,
    **taskset: Any,
) -> AsyncIterator[Worker]:
    engine.tokenizer.save_pretrained(folder / "model")
    model = str(folder / "model")
    config = resolve_env_config(
        {
            "taskset": {"id": "nemo-gym-verifiers", "environment": ADDER, "limit": 6, **taskset},
            "agent": agent or {},
            "id": id,
        }
    )
    server = EnvServer(config, address=f"ipc://{folder}/worker")
    assert isinstance(server.env, GymEnv) or id
    task = asyncio.create_task(server.run())
    client = EnvClient(server.address)
    endpoint = vf.TrainClientConfig(
        base_url=f"{url}/v1", renderer={"name": "qwen3"}, renderer_model_name=model
    )
    try:
        yield Worker(client, load_taskset(config.taskset), endpoint, model)
    finally:
        await client.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_trace_has_the_sampled_tokens_and_the_reward_of_the_environment(
    engine: Engine, url: str, tmp_path: Path
) -> None:
    async with working(engine, url, tmp_path) as worker:
        episodes = await asyncio.gather(*(worker.run(place % 6) for place in range(12)))

    for place, episode in enumerate(episodes):
        assert episode.ok, episode.errors or episode.traces[0].errors
        (trace,) = episode.traces
        (branch,) = trace.branches
        right = place % 2 == 0
        assert trace.reward == right + 0.125
        assert trace.metrics == {"right": float(right), "calls": 0.125}
        assert trace.task.data.row["a"] == place % 6
        assert trace.stop_condition == "agent_completed"
        ids, mask = branch.token_ids, branch.sampled_mask
        turns = [answers for request, answers in asked(engine, ids)]
        assert [token for token, own in zip(ids, mask, strict=True) if own] == [
            token for turn in turns for token in turn
        ]
        assert len(turns) == 2
        assert branch.logprobs == [
            logprob(at, token) if own else 0.0 for at, (token, own) in enumerate(zip(ids, mask, strict=True))
        ]
        assert [message.role for message in branch.messages] == ["user", "assistant", "tool", "assistant"]
    assert len(engine.answers) == 24


def asked(engine: Engine, ids: list[int]) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of the engine's calls whose tokens are the beginning of these, once each."""
    calls = {
        tuple(request["token_ids"]): answer
        for request, answer in zip(engine.requests, engine.answers, strict=True)
    }
    return [
        (list(prompt), answer)
        for prompt, answer in sorted(calls.items(), key=lambda item: len(item[0]))
        if ids[: len(prompt) + len(answer)] == [*prompt, *answer]
    ]


async def test_the_sampling_of_the_trainer_reaches_the_engine(
    engine: Engine, url: str, tmp_path: Path
) -> None:
    async with working(engine, url, tmp_path) as worker:
        await worker.run(0, temperature=0.75, max_tokens=500)

    assert [request["sampling_params"]["temperature"] for request in engine.requests] == [0.75] * 2
    assert [request["sampling_params"]["max_tokens"] for request in engine.requests] == [500] * 2


async def test_a_verifier_that_fails_is_an_error_and_no_reward(
    engine: Engine, url: str, tmp_path: Path
) -> None:
    async with working(engine, url, tmp_path, settings={"breaks": True}) as worker:
        episode = await worker.run(0)

    assert not episode.ok
    (trace,) = episode.traces
    assert "the judge is away" in trace.errors[-1].message
    assert trace.rewards == {}


async def test_an_engine_that_fails_is_an_error_and_no_reward(
    engine: Engine, url: str, tmp_path: Path
) -> None:
    def fail(prompt: str) -> str:
        raise RuntimeError("out of memory")

    engine.answer = fail
    async with working(engine, url, tmp_path) as worker:
        episode = await worker.run(0)

    assert not episode.ok
    (trace,) = episode.traces
    assert trace.errors[-1].type == "ProviderError"
    assert "out of memory" in trace.errors[-1].message
    assert trace.rewards == {}


async def test_a_rollout_that_the_trainer_cancels_closes_its_session(
    engine: Engine, url: str, tmp_path: Path
) -> None:
    begun, end = threading.Event(), threading.Event()

    def wait(prompt: str) -> str:
        begun.set()
        end.wait(60)
        return play(prompt)

    engine.answer = wait
    os.mkfifo(tmp_path / "closed")
    async with working(engine, url, tmp_path, settings={"closes": str(tmp_path / "closed")}) as worker:
        closed = asyncio.create_task(asyncio.to_thread((tmp_path / "closed").read_text))
        run = asyncio.create_task(worker.run(0))
        await asyncio.to_thread(begun.wait, 60)
        run.cancel()
        assert await closed == "closed"
        end.set()


async def test_a_limit_of_verifiers_ends_the_agent_and_what_there_is_gets_scored(
    engine: Engine, url: str, tmp_path: Path
) -> None:
    async with working(engine, url, tmp_path, agent={"max_turns": 1}) as worker:
        episode = await worker.run(0)

    (trace,) = episode.traces
    assert episode.ok
    assert trace.is_truncated
    assert trace.stop_condition == "max_turns"
    assert trace.reward == 0.125


async def test_a_limit_of_the_agent_is_a_truncated_trace(engine: Engine, url: str, tmp_path: Path) -> None:
    async with working(engine, url, tmp_path, agent_settings={"max_steps": 1}) as worker:
        episode = await worker.run(0)

    (trace,) = episode.traces
    assert episode.ok
    assert trace.is_truncated
    assert trace.reward == 0.125


async def test_another_environment_of_verifiers_is_refused_in_one_line(
    engine: Engine, url: str, tmp_path: Path
) -> None:
    async with working(engine, url, tmp_path, id="single-agent", agent=LOCAL) as worker:
        episode = await worker.run(0)

    assert not episode.ok
    assert "leave env.id empty" in episode.traces[0].errors[-1].message
