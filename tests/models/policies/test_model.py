"""`PolicyModel`: requests go to a policy as batches or one by one, and a cancelled one is not sampled on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemo_gym.models.policies import Policy, Sampled, Sampling
from nemo_gym.models.policies.model import PolicyModel
from nemo_gym.wire.errors import ModelError
from nemo_gym.wire.response import Response
from tests.support.policies import ChatTokenizer, ScriptedPolicy

ANSWER = Sampled(ids=[ord("y"), ChatTokenizer.eos_token_id], logprobs=[-0.5, -0.5], ended=True)


class Engine(Policy):
    """Holds every prompt until it is let go."""

    def __init__(self) -> None:
        super().__init__(ChatTokenizer())
        self.running: list[str] = []
        self.cancelled: list[str] = []
        self.changed = asyncio.Condition()
        self.go = asyncio.Event()

    async def sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        await self.hold([prompt])
        return ANSWER

    async def hold(self, prompts: list[list[int]]) -> None:
        names = [self.tokenizer.decode(one, skip_special_tokens=False) for one in prompts]
        self.running += names
        try:
            async with self.changed:
                self.changed.notify_all()
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += names
            raise

    async def running_prompts(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.running) >= count)


class BatchEngine(Engine):
    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        await self.hold(prompts)
        return [ANSWER for _ in prompts]


def ask(model: PolicyModel, text: str) -> asyncio.Task[Response]:
    return asyncio.create_task(model.responses({"input": text}))


async def test_a_policy_with_sample_gets_each_prompt_while_others_run() -> None:
    engine = Engine()
    model = PolicyModel(engine)

    first = ask(model, "one")
    await engine.running_prompts(1)
    second = ask(model, "two")
    await engine.running_prompts(2)
    engine.go.set()

    assert [answer.final_text for answer in await asyncio.gather(first, second)] == ["y", "y"]


async def test_a_cancelled_request_is_cancelled_in_the_engine_and_the_others_go_on() -> None:
    engine = Engine()
    model = PolicyModel(engine)
    first, second = ask(model, "one"), ask(model, "two")
    await engine.running_prompts(2)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    engine.go.set()

    assert (await second).final_text == "y"
    assert len(engine.cancelled) == 1
    assert "one" in engine.cancelled[0]


async def test_a_batch_is_cancelled_once_nobody_waits_for_any_of_it() -> None:
    engine = BatchEngine()
    model = PolicyModel(engine)
    first, second = ask(model, "one"), ask(model, "two")
    await engine.running_prompts(2)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert engine.cancelled == []
    third = ask(model, "three")
    second.cancel()
    await engine.running_prompts(3)

    assert len(engine.cancelled) == 2
    engine.go.set()
    assert (await third).final_text == "y"


async def test_a_request_that_is_cancelled_before_its_batch_is_not_sampled() -> None:
    engine = BatchEngine()
    model = PolicyModel(engine)
    first = ask(model, "one")
    await engine.running_prompts(1)
    second, third = ask(model, "two"), ask(model, "three")
    await asyncio.sleep(0)
    second.cancel()
    engine.go.set()

    await asyncio.gather(first, third)
    assert len(engine.running) == 2
    assert not any("two" in prompt for prompt in engine.running)


async def test_tokens_have_the_version_at_which_their_sampling_began() -> None:
    engine = BatchEngine()
    model = PolicyModel(engine)
    first = ask(model, "one")
    await engine.running_prompts(1)
    second = ask(model, "two")
    await asyncio.sleep(0)
    engine.version = 7
    engine.go.set()

    answers = await asyncio.gather(first, second)
    assert [answer.output[0]["weight_version"] for answer in answers] == [0, 7]  # type: ignore[typeddict-item]


async def test_several_environments_fill_the_batches_of_one_policy_together() -> None:
    policy = ScriptedPolicy(lambda _: "y")
    one, two = PolicyModel(policy), PolicyModel(policy, max_tokens=1024)

    await asyncio.gather(ask(one, "a"), ask(two, "b"))

    assert [len(batch) for batch in policy.batches] == [2]


@pytest.mark.parametrize("kind", [Engine, BatchEngine])
async def test_an_engine_that_cancels_or_fails_is_an_error_of_the_request(kind: type[Engine]) -> None:
    class Broken(kind):  # type: ignore[valid-type, misc]
        async def hold(self, prompts: list[list[int]]) -> None:
            raise self.error

    engine = Broken()
    model = PolicyModel(engine)
    engine.error = RuntimeError("out of memory")
    with pytest.raises(ModelError, match="out of memory"):
        await model.responses({"input": "one"})
    engine.error = asyncio.CancelledError()
    with pytest.raises(ModelError, match="cancelled"):
        await model.responses({"input": "one"})


async def none(*_: Any) -> Any:
    return None


async def ids_only(_: Policy, prompts: list[list[int]], sampling: Sampling) -> Any:
    return [[1, 2] for _ in prompts]


async def without_sampling(_: Policy, prompts: list[list[int]]) -> Any:
    return [ANSWER for _ in prompts]


def no_coroutine(_: Policy, prompts: list[list[int]], sampling: Sampling) -> Any:
    return [ANSWER for _ in prompts]


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("generate", none, "not iterable"),
        ("generate", ids_only, r"the policy returned list, expected Sampled\(ids, logprobs, ended\)"),
        ("generate", without_sampling, "2 positional arguments but 3 were given"),
        ("generate", no_coroutine, "a coroutine"),
        ("sample", none, "the policy returned NoneType, expected Sampled"),
        ("sample", without_sampling, "2 positional arguments but 3 were given"),
        ("sample", no_coroutine, "can't be used in 'await' expression"),
    ],
)
async def test_a_policy_that_is_written_wrong_is_an_error_of_the_request(
    name: str, method: Any, message: str
) -> None:
    policy = type("Wrong", (Policy,), {name: method})(ChatTokenizer())
    with pytest.raises(ModelError, match=message):
        await PolicyModel(policy).responses({"input": "one"})


async def test_generate_and_sample_stand_for_each_other() -> None:
    engine = Engine()
    engine.go.set()

    assert await engine.generate([[1], [2]], Sampling()) == [ANSWER, ANSWER]
    policy = ScriptedPolicy(lambda _: "y")
    assert (await policy.sample([1], Sampling())).ids == ANSWER.ids
    assert engine.samples_singly
    assert not policy.samples_singly
    assert not BatchEngine().samples_singly


def test_a_policy_that_can_do_neither_is_refused() -> None:
    class Nothing(Policy):
        pass

    with pytest.raises(TypeError, match="Nothing needs generate"):
        Nothing(ChatTokenizer())
