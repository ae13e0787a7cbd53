"""`Rollouts`: one policy, collected with again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from nemo_gym import Environment, Response, Session, Task, ask, tool
from nemo_gym.models.base import Model
from nemo_gym.training import Rollouts, Sampled, Sampling, batch
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import RequestParams
from tests.support.policies import ChatTokenizer, ScriptedPolicy
from tests.support.programs import FORK, run_program
from tests.support.trajectories import with_tokens


class Adder(Environment):
    """Add two numbers with a tool."""

    class Task(Task):
        a: int
        b: int

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        for a in range(8):
            yield {"responses_create_params": ask(f"{a} + 2 = ?"), "a": a, "b": 2}

    @tool
    async def add(self, a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    async def verify(self, task: Adder.Task, response: Response, session: Session) -> float:
        return float(response.final_text == str(task.a + task.b))


def solve(prompt: str) -> str:
    """Thinks, calls the tool, then repeats its result."""
    *_, result = prompt.split("<|im_start|>tool\n")
    if len(_):
        return result.split("<|im_end|>")[0]
    a = prompt.rsplit("<|im_start|>user\n", 1)[1].split(" ")[0]
    return (
        f'<think>I add {a}.</think><tool_call>{{"name": "add", "arguments": {{"a":{a},  "b":2}}}}</tool_call>'
    )


def test_rollouts_are_in_input_order_with_the_tokens_that_the_policy_saw() -> None:
    policy = ScriptedPolicy(solve)

    with Rollouts(Adder, policy=policy) as gym:
        rollouts = gym.collect_sync(gym.dataset(n=4), repeats=3)

    assert [(one.group, one.rollout_index) for one in rollouts] == [
        (g, r) for g in range(4) for r in range(3)
    ]
    assert [one.reward for one in rollouts] == [1.0] * 12
    seen = {tuple(prompt) for prompts in policy.batches for prompt in prompts}
    for one in rollouts:
        (sequence,) = one.sequences
        assert one.untrainable is None
        assert len(sequence.turns) == 2
        last = int(sequence.turns[1][0])
        assert tuple(sequence.ids[: len(sequence.prompt_ids) + last].tolist()) in seen
        assert (sequence.versions[sequence.loss_mask] == 0).all()


@pytest.mark.parametrize("strips_reasoning", [False, True])
async def test_sampled_tokens_are_never_tokenised_again(strips_reasoning: bool) -> None:
    tokenizer = ChatTokenizer(strips_reasoning=strips_reasoning)

    async with Rollouts(Adder, policy=ScriptedPolicy(solve, tokenizer)) as gym:
        (rollout,) = await gym.collect(gym.dataset(n=1))

    assert rollout.untrainable is None
    assert not any("I add" in text or "tool_call" in text for text in tokenizer.encoded)
    assert rollout.reward == 1.0


async def test_the_arguments_of_a_call_stay_as_they_were_written() -> None:
    async with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        (rollout,) = await gym.collect(gym.dataset(n=1))

    assert rollout.response is not None
    (call,) = rollout.response.function_calls
    assert call["arguments"] == '{"a":0,  "b":2}'
    assert [item["type"] for item in rollout.response.output] == [
        "reasoning", "function_call", "function_call_output", "message",
    ]  # fmt: skip


async def test_what_waits_at_the_same_time_is_one_batch() -> None:
    policy = ScriptedPolicy(solve)

    async with Rollouts(Adder, policy=policy) as gym:
        await gym.collect(gym.dataset(n=8), repeats=8)

    assert [len(prompts) for prompts in policy.batches] == [64, 64]


async def test_batches_have_a_largest_size_and_one_sampling() -> None:
    policy = ScriptedPolicy(solve)
    policy.max_batch = 10

    async with Rollouts(Adder, policy=policy, sampling={"temperature": 0.5}) as gym:
        await gym.collect(gym.dataset(n=8), repeats=4)

    assert max(len(prompts) for prompts in policy.batches) == 10
    assert {one.temperature for one in policy.sampling} == {0.5}


def test_the_same_row_many_times_is_as_many_groups() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        (row,) = gym.dataset(n=1)
        rollouts = gym.collect_sync([row, row, row])

    assert [one.group for one in rollouts] == [0, 1, 2]


class SlowFirst(ScriptedPolicy):
    """Answers the first task once the others are answered."""

    batches_in_flight = 64
    max_batch = 1

    def __init__(self) -> None:
        super().__init__(solve)
        self.go = asyncio.Event()

    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        if "0 + 2" in self.tokenizer.decode(prompts[0], skip_special_tokens=False):
            await self.go.wait()
        return await super().generate(prompts, sampling)


async def test_groups_come_as_they_finish() -> None:
    order: list[int] = []
    policy = SlowFirst()
    async with Rollouts(Adder, policy=policy) as gym:
        async for group in gym.groups(gym.dataset(n=3), repeats=2):
            assert [one.rollout_index for one in group] == [0, 1]
            order.append(group[0].group)
            if len(order) == 2:
                policy.go.set()

    assert sorted(order) == [0, 1, 2]
    assert order[-1] == 0


async def test_a_stream_in_input_order_gives_each_rollout_once_all_before_it_have_ended() -> None:
    policy = SlowFirst()
    async with Rollouts(Adder, policy=policy) as gym:
        tasks = gym.dataset(n=3)
        (last,) = [one async for one in gym.stream(tasks[2:])]
        stream = gym.stream(tasks, repeats=2, in_order=True)
        first = asyncio.ensure_future(anext(stream))
        while len(policy.batches) < 10 and not first.done():
            await asyncio.sleep(0)
        assert not first.done()
        policy.go.set()
        places = [(one.group, one.rollout_index) for one in (await first, *[one async for one in stream])]
        groups = [group async for group in gym.groups(tasks, repeats=2, in_order=True)]

    assert last.reward == 1.0
    assert places == [(g, r) for g in range(3) for r in range(2)]
    assert [[one.group for one in group] for group in groups] == [[0, 0], [1, 1], [2, 2]]


def test_ordinary_code_iterates_too() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        tasks = gym.dataset(n=4)
        first = next(gym.groups_sync(tasks, repeats=2))
        groups = list(gym.groups_sync(tasks, repeats=2, in_order=True))
        rewards = [one.reward for one in gym.stream_sync(tasks)]
        left = gym.stream_sync(tasks)
        next(left)

    assert len(first) == 2
    assert [group[0].group for group in groups] == [0, 1, 2, 3]
    assert rewards == [1.0] * 4
    left.close()


async def test_a_flow_gives_each_step_its_groups() -> None:
    async with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        flow = gym.flow(gym.dataset(n=8), repeats=2, in_flight=4)
        steps = [await flow.take(3) for _ in range(3)]
        await flow.aclose()

    assert [group.task["row_id"] for step in steps for group in step] == [*range(8)]
    assert [len(group.rollouts) for group in steps[0]] == [2, 2, 2]


async def test_a_failure_is_in_its_place() -> None:
    def fail(prompt: str) -> str:
        if "1 + 2" in prompt:
            raise RuntimeError("out of memory")
        return solve(prompt)

    policy = ScriptedPolicy(fail)
    policy.max_batch = 1
    async with Rollouts(Adder, policy=policy) as gym:
        rollouts = await gym.collect(gym.dataset(n=3))

    assert [one.reward for one in rollouts] == [1.0, None, 1.0]
    assert [one.untrainable for one in rollouts] == [None, "failed", None]
    assert "out of memory" in str(rollouts[1].failure)
    tensors = batch(rollouts, pad_id=0)
    assert tensors.trainable.tolist() == [True, False, True]


async def test_a_batch_that_fails_is_a_failure_of_each_of_its_rollouts() -> None:
    def fail(prompt: str) -> str:
        raise RuntimeError("out of memory")

    policy = ScriptedPolicy(fail)
    async with Rollouts(Adder, policy=policy) as gym:
        rollouts = await gym.collect(gym.dataset(n=3), repeats=2)

    assert len(policy.batches) == 1
    assert [(one.group, one.rollout_index) for one in rollouts] == [
        (g, i) for g in range(3) for i in range(2)
    ]
    assert all("out of memory" in str(one.failure) for one in rollouts)


async def test_new_weights_have_their_version_on_each_token() -> None:
    policy = ScriptedPolicy(solve)
    async with Rollouts(Adder, policy=policy) as gym:
        rows = gym.dataset(n=1)
        (before,) = await gym.collect(rows)
        await gym.update(lambda _: "5", 1)
        (after,) = await gym.collect(rows)

    assert set(before.sequences[0].versions[before.sequences[0].loss_mask].tolist()) == {0}
    assert set(after.sequences[0].versions[after.sequences[0].loss_mask].tolist()) == {1}
    assert after.reward == 0.0


class Engine(Model):
    """An engine with tokens, whose weights its trainer changes."""

    name = "engine"

    async def responses(self, params: RequestParams) -> Response:
        return Response.of([with_tokens(assistant("3"), [1, 2], [3])])


async def test_the_tokens_of_a_model_have_the_version_that_its_trainer_says() -> None:
    async with Rollouts(Adder, model=Engine()) as gym:
        tasks = gym.dataset(n=1)
        (unknown,) = await gym.collect(tasks)
        gym.set_version(4)
        (known,) = await gym.collect(tasks)

    assert unknown.sequences[0].versions.tolist() == [-1]
    assert known.sequences[0].versions.tolist() == [4]
    assert gym.version == 4


async def test_an_answer_that_is_cut_off_is_incomplete() -> None:
    async with Rollouts(Adder, policy=ScriptedPolicy(lambda _: "a long answer"), max_tokens=4) as gym:
        (rollout,) = await gym.collect(gym.dataset(n=1))

    assert rollout.outcome == "max_output_tokens"
    assert rollout.sequences[0].truncated
    assert len(rollout.sequences[0].completion_ids) == 4


async def test_a_prompt_beyond_the_context_is_an_outcome() -> None:
    policy = ScriptedPolicy(solve)
    policy.context = 10
    async with Rollouts(Adder, policy=policy) as gym:
        (rollout,) = await gym.collect(gym.dataset(n=1))

    assert rollout.outcome == "context_overflow"
    assert rollout.untrainable == "no_tokens"
    assert policy.batches == []


async def test_the_most_steps_of_a_rollout() -> None:
    async with Rollouts(Adder, policy=ScriptedPolicy(solve), max_steps=1) as gym:
        (rollout,) = await gym.collect(gym.dataset(n=1))

    assert rollout.outcome == "max_steps"


async def test_a_rollout_that_nobody_waits_for_goes_no_further() -> None:
    policy = ScriptedPolicy(solve)
    async with Rollouts(Adder, policy=policy, concurrency=1) as gym:
        waiting = asyncio.create_task(gym.collect(gym.dataset(n=8)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        (rollout,) = await gym.collect(gym.dataset(n=1))

    assert rollout.reward == 1.0


def test_the_prompt_of_a_data_set_names_its_row() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        rows = gym.dataset(n=2)

    assert [row["row_id"] for row in rows] == [0, 1]
    assert rows[1]["prompt"] == [{"role": "user", "content": "1 + 2 = ?", "row_id": 1}]


def test_mistakes_are_one_line() -> None:
    with pytest.raises(UsageError, match="give a policy, or a model"):
        Rollouts(Adder)
    with pytest.raises(UsageError, match="policy: expected an object of a subclass of Policy"):
        Rollouts(Adder, policy=ScriptedPolicy)  # type: ignore[arg-type]
    with pytest.raises(
        UsageError, match=r"temperature is a request parameter: sampling=\{'temperature': 1\.0\}"
    ):
        Rollouts(Adder, policy=ScriptedPolicy(solve), temperature=1.0)
    with pytest.raises(UsageError, match=r"there is no 'max_step'\. Did you mean 'max_steps'"):
        Rollouts(Adder, policy=ScriptedPolicy(solve), max_step=1)
    with pytest.raises(UsageError, match="inside of `with`"):
        Rollouts(Adder, policy=ScriptedPolicy(solve)).dataset()
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym, pytest.raises(UsageError, match="no row 7"):
        gym.collect_sync([7])


def test_a_row_of_another_data_set_is_not_taken_for_the_one_with_its_number() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as before:
        before.dataset(n=2)
        (kept, *_) = before.dataset(n=1)
        rows = before.dataset(n=4)
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        (rollout,) = gym.collect_sync(gym.dataset(n=8)[3:4])
        with pytest.raises(UsageError, match="row 2 has another prompt"):
            gym.collect_sync([kept])
        with pytest.raises(UsageError, match="row 4 has another prompt"):
            gym.collect_sync(rows[1:])

    assert rollout.row["a"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"concurency": 2}, "Rollouts: there is no 'concurency'. Did you mean 'concurrency'?"),
        ({"sampling": {"temprature": 1}}, "sampling: there is no 'temprature'. Did you mean 'temperature'?"),
        ({"max_steps": 0}, "max_steps: expected at least 1, got 0"),
        ({"max_tokens": 0}, "max_tokens: expected at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Rollouts(Adder, policy=ScriptedPolicy(solve), **arguments)
    assert str(error.value) == message


def test_wrong_tasks_are_one_line() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        with pytest.raises(UsageError, match="repeats: expected at least 1, got 0"):
            gym.collect_sync(gym.dataset(n=1), repeats=0)
        with pytest.raises(UsageError, match="n: expected a number of tasks, got -1"):
            gym.dataset(n=-1)
        with pytest.raises(UsageError, match="expected a row id, a row or a Task, got 'prompt'"):
            gym.collect_sync(gym.dataset(n=1)[0])


def test_a_forked_child_leaves_the_rollouts_of_its_parent_alone() -> None:
    code = """
from nemo_gym.training import Rollouts
from nemo_gym.wire.errors import UsageError
from tests.support.policies import ScriptedPolicy
from tests.training.test_rollouts import Adder, solve

def is_refused():
    try:
        gym.collect_sync([0])
    except UsageError as error:
        return "opened in the parent process" in str(error)

def rewards(gym):
    return [one.reward for one in gym.collect_sync(gym.dataset(n=2))]

def has_its_own():
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as own:
        return rewards(own) == [1.0, 1.0]

with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
    print(rewards(gym))
    in_child(is_refused)
    in_child(lambda: gym.__exit__(None, None, None) is None)
    in_child(has_its_own)
    print(rewards(gym))
"""
    assert run_program(FORK + code) == (0, "[1.0, 1.0]\n" * 2, "")
