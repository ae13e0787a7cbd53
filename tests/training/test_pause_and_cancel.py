"""`Rollouts.pause`, and rollouts that nobody waits for any more."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import pytest

from nemo_gym import Response, Session
from nemo_gym.models.base import Model
from nemo_gym.training import Policy, Rollouts, Sampled, Sampling
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import RequestParams
from tests.support.policies import ChatTokenizer
from tests.support.virtual_time import run_virtual
from tests.training.test_rollouts import Adder, solve


class Engine(Policy):
    """Samples a token in each turn of the event loop, and holds prompts with certain words."""

    def __init__(self, *, holds: str | None = None) -> None:
        super().__init__(ChatTokenizer())
        self.tokens = 0
        self.calls = 0
        self.running = 0
        self.most_running = 0
        self.holds = holds
        self.held: list[str] = []
        self.cancelled: list[str] = []
        self.go = asyncio.Event()
        self.change = asyncio.Event()
        self.tokens_during_updates: list[int] = []
        self.is_sampling = threading.Event()

    async def sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        text = self.tokenizer.decode(prompt, skip_special_tokens=False)
        self.calls += 1
        self.running += 1
        version = self.version
        try:
            if self.holds is not None and self.holds in text:
                self.held.append(text)
                self.change.set()
                await self.go.wait()
            ids = ChatTokenizer().encode(f"{solve(text)}<|im_end|>", add_special_tokens=False)
            for _ in ids:
                await asyncio.sleep(0)
                self.tokens += 1
                self.is_sampling.set()
            return Sampled(ids=ids, logprobs=[-0.5] * len(ids), ended=True, version=version)
        except asyncio.CancelledError:
            self.cancelled.append(text)
            raise
        finally:
            self.running -= 1
            self.change.set()

    async def update(self, weights: Any, version: int) -> None:
        before = self.tokens
        await turns(300)
        self.tokens_during_updates.append(self.tokens - before)

    async def until_held(self, count: int) -> None:
        while len(self.held) < count:
            self.change.clear()
            await self.change.wait()


class Closing(Adder):
    """Counts its open sessions."""

    def __init__(self) -> None:
        super().__init__()
        self.seeded = 0
        self.closed = 0

    def seed(self, task: Adder.Task, session: Session) -> None:
        self.seeded += 1

    def close(self, session: Session) -> None:
        self.closed += 1


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_no_token_is_sampled_between_pause_and_resume() -> None:
    engine = Engine()
    async with Rollouts(Adder, policy=engine, concurrency=4) as gym:
        work = asyncio.create_task(gym.collect(gym.dataset(n=8), repeats=2))
        while engine.tokens < 6:
            await asyncio.sleep(0)
        await gym.pause()
        assert engine.running == 0
        await gym.update(None, 1)
        assert not work.done()
        gym.resume()
        rollouts = await work

    assert engine.tokens_during_updates == [0]
    assert [one.reward for one in rollouts] == [1.0] * 16
    assert engine.calls == 32
    versions = [one.sequences[0].versions[one.sequences[0].loss_mask].tolist() for one in rollouts]
    assert any(set(one) == {0, 1} for one in versions)


def test_ordinary_code_pauses_too() -> None:
    engine = Engine()
    with Rollouts(Adder, policy=engine, concurrency=2) as gym, ThreadPoolExecutor(1) as threads:
        rows = gym.dataset(n=8)
        work = threads.submit(gym.collect_sync, rows, repeats=20)
        assert engine.is_sampling.wait(60)
        gym.pause_sync()
        gym.update_sync(None, 1)
        assert not work.done()
        gym.resume()
        rollouts = work.result()

    assert engine.tokens_during_updates == [0]
    assert [one.reward for one in rollouts] == [1.0] * 160


async def test_running_calls_may_run_on_in_a_pause() -> None:
    engine = Engine(holds="0 + 2")
    async with Rollouts(Adder, policy=engine) as gym:
        work = asyncio.create_task(gym.collect(gym.dataset(n=1)))
        await engine.until_held(1)
        await gym.pause(wait=False)
        assert engine.running == 1
        engine.go.set()
        await turns(300)
        assert (engine.running, engine.calls) == (0, 1)
        gym.resume()
        (rollout,) = await work

    assert engine.calls == 2
    assert rollout.reward == 1.0


async def test_a_pause_that_is_given_up_or_resumed_holds_nothing_back() -> None:
    engine = Engine(holds="0 + 2")
    async with Rollouts(Adder, policy=engine) as gym:
        rows = gym.dataset(n=2)
        work = asyncio.create_task(gym.collect(rows[:1]))
        await engine.until_held(1)
        for end in ("cancel", "resume"):
            pause = asyncio.create_task(gym.pause())
            await turns(5)
            assert not pause.done()
            if end == "cancel":
                pause.cancel()
            else:
                gym.resume()
            await asyncio.gather(pause, return_exceptions=True)
            (other,) = await gym.collect(rows[1:])
            assert other.reward == 1.0
        engine.go.set()
        await work


@pytest.mark.parametrize("limit", ["rollout", "turn"])
def test_time_limits_do_not_count_a_pause(limit: str) -> None:
    options: dict[str, Any] = (
        {"rollout_timeout": 10} if limit == "rollout" else {"agent_settings": {"turn_timeout": 10}}
    )

    async def rewards() -> list[float | None]:
        engine = Engine()
        async with Rollouts(Adder, policy=engine, **options) as gym:
            work = asyncio.create_task(gym.collect(gym.dataset(n=4)))
            while engine.calls < 4:
                await asyncio.sleep(0)
            await gym.pause()
            await asyncio.sleep(1000)
            gym.resume()
            return [one.reward for one in await work]

    assert run_virtual(rewards()) == [1.0] * 4


def test_time_limits_count_again_after_a_pause() -> None:
    async def failures() -> list[str]:
        engine = Engine(holds="tool")
        async with Rollouts(Adder, policy=engine, rollout_timeout=10) as gym:
            await gym.pause()
            work = asyncio.create_task(gym.collect(gym.dataset(n=2)))
            await asyncio.sleep(1000)
            gym.resume()
            return [str(one.failure) for one in await work]

    assert run_virtual(failures()) == ["not finished within 10 seconds"] * 2


async def test_the_calls_of_any_model_are_paused() -> None:
    class Counting(Model):
        calls = 0

        async def responses(self, params: RequestParams) -> Response:
            self.calls += 1
            return Response.of([assistant("2", id="msg_1")])

    model = Counting()
    async with Rollouts(Adder, model=model) as gym:
        await gym.pause()
        work = asyncio.create_task(gym.collect(gym.dataset(n=2)))
        await turns(100)
        assert model.calls == 0
        gym.resume()
        assert [one.reward for one in await work] == [1.0, 0.0]
    async with Rollouts(Adder, model="random") as gym:
        await gym.pause()
        work = asyncio.create_task(gym.collect(gym.dataset(n=2)))
        await turns(100)
        assert not work.done()
        gym.resume()
        assert all(one.reward is not None for one in await work)


async def test_a_cancelled_collection_frees_the_engine_and_closes_its_sessions() -> None:
    engine, environment = Engine(holds="+ 2"), Closing()
    async with Rollouts(environment, policy=engine, concurrency=4) as gym:
        rows = gym.dataset(n=8)
        work = asyncio.create_task(gym.collect(rows, repeats=4))
        await engine.until_held(4)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        engine.holds = None
        (rollout,) = await gym.collect(rows[:1])

        assert rollout.reward == 1.0
        assert len(engine.cancelled) == 4
        assert engine.calls == 4 + 2
        assert (environment.seeded, environment.closed) == (5, 5)


async def test_a_stream_that_is_left_drops_its_other_rollouts() -> None:
    engine, environment = Engine(holds="1 + 2"), Closing()
    async with Rollouts(environment, policy=engine) as gym:
        rows = gym.dataset(n=2)
        async with aclosing(gym.stream(rows)) as stream:
            async for rollout in stream:
                assert rollout.reward == 1.0
                await engine.until_held(1)
                break
        async with aclosing(gym.groups(rows, repeats=2)) as groups:
            async for group in groups:
                assert len(group) == 2
                await engine.until_held(3)
                break
        while engine.running:
            await asyncio.sleep(0)
        assert len(engine.cancelled) == 3
        while environment.closed < 6:
            await asyncio.sleep(0)
    assert environment.seeded == 6


async def test_a_loop_that_is_left_without_ceremony_drops_them_too() -> None:
    engine = Engine(holds="1 + 2")
    async with Rollouts(Adder, policy=engine) as gym:
        async for group in gym.groups(gym.dataset(n=2), repeats=2):
            assert group[0].reward == 1.0
            await engine.until_held(2)
            break
        while engine.running:
            await asyncio.sleep(0)
        assert len(engine.cancelled) == 2


async def test_a_cancellation_in_a_pause_needs_no_resume() -> None:
    engine, environment = Engine(), Closing()
    async with Rollouts(environment, policy=engine) as gym:
        await gym.pause()
        work = asyncio.create_task(gym.collect(gym.dataset(n=3)))
        await turns(50)
        work.cancel()
        while environment.closed < 3:
            await asyncio.sleep(0)
    assert engine.calls == 0


async def test_a_flow_that_is_closed_frees_the_engine() -> None:
    engine = Engine(holds="+ 2")
    async with Rollouts(Adder, policy=engine) as gym:
        flow = gym.flow(gym.dataset(n=8), repeats=2, in_flight=2)
        step = asyncio.create_task(flow.take(1))
        await engine.until_held(4)
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        assert engine.running == 4
        await flow.aclose()
        while engine.running:
            await asyncio.sleep(0)
        assert len(engine.cancelled) == 4


def test_mistakes_are_one_line() -> None:
    gym = Rollouts(Adder, policy=Engine())
    with pytest.raises(UsageError, match="needs `with Rollouts"):
        gym.pause_sync()
    with pytest.raises(UsageError, match="inside of `with`"):
        gym.resume()
