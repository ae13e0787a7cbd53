"""The columns that TRL gets; `make test-trainers` runs TRL itself."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any, Literal

import pytest
from test_rollouts import Adder, solve

from nemo_gym import Environment, Response, Session, Task, ask, tool
from nemo_gym.environments.base import Step, StepEnvironment
from nemo_gym.environments.tool import ToolError, bind_tools
from nemo_gym.training import Rollouts, Sampled, Sampling
from nemo_gym.training.trainers import trl
from nemo_gym.training.trainers.schema_methods import method_of
from nemo_gym.training.trainers.trl_async import AsyncWorker, PolicyWeights
from nemo_gym.wire import keys
from nemo_gym.wire.errors import ServerUnreachable, UsageError
from nemo_gym.wire.items import FunctionCall
from tests.support.policies import ChatTokenizer, ScriptedPolicy

END = ChatTokenizer.eos_token_id


def test_the_columns_are_those_of_the_sequences() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        prompts = [row["prompt"] for row in gym.dataset(n=2) for _ in range(3)]
        output = gym.trl_rollout_func()(prompts, None)
        rollouts = gym.collect_sync([0, 0, 0, 1, 1, 1])

    for place, rollout in enumerate(rollouts):
        (sequence,) = rollout.sequences
        assert output["prompt_ids"][place] == sequence.prompt_ids.tolist()
        assert output["completion_ids"][place] == sequence.completion_ids.tolist()
        assert output["env_mask"][place] == [int(one) for one in sequence.loss_mask]
        assert output["logprobs"][place] == sequence.logprobs.tolist()
    assert trl.reward(["text"] * 6, ng_reward=output["ng_reward"], prompts=prompts) == [1.0] * 6


def test_a_rollout_that_fails_is_one_end_token_without_a_reward() -> None:
    policy = ScriptedPolicy(solve)
    policy.context = 4
    with Rollouts(Adder, policy=policy) as gym:
        output = gym.trl_rollout_func()([gym.dataset(n=1)[0]["prompt"]], None)

    assert output == {
        "prompt_ids": [[END]],
        "completion_ids": [[END]],
        "logprobs": [[0.0]],
        "env_mask": [[0]],
        "ng_reward": [None],
    }


def test_mistakes_are_one_line() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        hook = gym.trl_rollout_func()
        with pytest.raises(UsageError, match=r"must be made of Rollouts\.dataset"):
            hook(["What is 1 + 2?"], None)
    with pytest.raises(UsageError, match="needs the rollout_func"):
        trl.reward(["text"])
    with (
        Rollouts(Adder, model="random") as gym,
        pytest.raises(UsageError, match="needs the tokens of a policy"),
    ):
        gym.trl_rollout_func()


class Desk(Environment):
    """Add two numbers with a tool, and counts its sessions."""

    class Task(Task):
        a: int

    def __init__(self) -> None:
        self.events: list[str] = []
        self.answers: list[Response] = []

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        return ({"responses_create_params": ask(f"{a} + 2 = ?"), "a": a} for a in range(n or 8))

    def seed(self, task: Desk.Task, session: Session) -> None:
        self.events.append("opened")
        if task.a == 6:
            raise RuntimeError("no desk is free")
        session.state["sums"] = []

    @tool
    async def add(self, session: Session, a: int, b: int = 2) -> str:
        """Add two numbers.

        Args:
            a: the first number
            b: the second number
        """
        if a > 100:
            raise ToolError("too many digits")
        if a == 7:
            raise ServerUnreachable("the server of sums is away")
        session.state["sums"].append(a + b)
        return str(a + b)

    async def verify(self, task: Desk.Task, response: Response, session: Session) -> dict[str, float]:
        self.answers.append(response)
        if task.a == 5:
            raise RuntimeError("the examiner is ill")
        right = response.final_text == str(task.a + 2)
        return {"right": float(right), "used_the_tool": 0.5 * (task.a + 2 in session.state["sums"])}

    def close(self, session: Session) -> None:
        self.events.append("closed")


def call_of(arguments: Any) -> dict[str, Any]:
    """A message of TRL, whose calls have no ids, and arguments as an object."""
    function = {"name": "add", "arguments": arguments}
    return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}


def play(instance: Any, a: int, text: str) -> list[dict[str, Any]]:
    """What TRL does for a rollout with one call; returns its completion."""
    output = instance.add(a=a)
    tool = {"role": "tool", "name": "add", "content": output}
    return [call_of({"a": a}), tool, {"role": "assistant", "content": text}]


def test_the_environments_of_trl_run_the_tools_and_verify_the_messages() -> None:
    desk = Desk()
    with Rollouts(desk, model="none", reward_weights={"used_the_tool": 2.0}) as gym:
        spec = gym.trl_environments(n=2)
        instances = [spec.environment_factory() for _ in range(2)]
        rewards: list[list[float | None]] = []
        for _ in range(2):
            for instance, row in zip(instances, spec.rows, strict=True):
                assert instance.reset(**row) is None
            completions = [play(instances[0], 0, "2"), play(instances[1], 1, "no idea")]
            rewards.append(
                spec.reward_funcs(completions=completions, environments=instances, prompts=[], row_id=[0, 1])
            )
        assert desk.events.count("opened") == desk.events.count("closed") == 5, "one session saw the tools"
        instances[0].reset(**spec.rows[0])
        instances[0].add(a=0)

    assert rewards == [[2.0, 1.0]] * 2
    assert desk.events.count("opened") == desk.events.count("closed") == 6, "the end closes open sessions"
    call, output, message = desk.answers[0].output
    assert (call["name"], call["arguments"]) == ("add", '{"a":0}')
    assert (output["call_id"], output["output"]) == (call["call_id"], "2")
    assert message["content"][0]["text"] == "2"


def test_the_rows_for_trl_have_no_ids_in_their_messages() -> None:
    with Rollouts(Desk(), model="none") as gym:
        assert gym.trl_environments(n=1).rows == [
            {"row_id": 0, "prompt": [{"role": "user", "content": "0 + 2 = ?"}]}
        ]


def test_an_error_of_a_tool_is_a_text_for_the_model() -> None:
    with Rollouts(Desk(), model="none") as gym:
        spec = gym.trl_environments(n=1)
        instance = spec.environment_factory()
        assert instance.add(a=1) == '{"error":"This rollout has failed."}', "it has not begun"
        instance.reset(**spec.rows[0])
        assert instance.add(a=101) == '{"error":"too many digits"}'
        assert "Expected `int`" in instance.add(a="one")
        assert "unknown field `c`" in instance.add(a=1, c=2)
        assert instance.add(a=1) == "3"


@pytest.mark.parametrize(
    ("a", "reason"), [(5, "VerifierFault"), (6, "EnvironmentFault"), (7, "ServerUnreachable")]
)
def test_a_rollout_that_fails_has_no_reward_and_its_reason_is_counted(a: int, reason: str) -> None:
    logged: dict[str, float] = {}
    desk = Desk()
    with Rollouts(desk, model="none") as gym:
        spec = gym.trl_environments()
        instances = [spec.environment_factory() for _ in range(2)]
        for instance, number in zip(instances, (a, 1), strict=True):
            instance.reset(**spec.rows[number])
        completions = [play(instances[0], a, "9"), play(instances[1], 1, "3")]
        rewards = spec.reward_funcs(completions, environments=instances, log_metric=logged.__setitem__)

    assert rewards == [None, 1.5]
    assert spec.failures == {reason: 1}
    assert logged == {"ng_failed": 0.5}
    assert desk.events.count("opened") == 3


class Slow(Desk):
    @tool
    async def wait(self) -> str:
        """Wait for ever."""
        return str(await asyncio.Event().wait())


def test_tools_and_rollouts_end_within_the_limits_of_the_rollouts() -> None:
    with Rollouts(Slow(), model="none", agent_settings={"tool_timeout": 0.01}) as gym:
        spec = gym.trl_environments(n=1)
        instance = spec.environment_factory()
        instance.reset(**spec.rows[0])
        assert instance.wait() == '{"error":"wait did not finish within 0.01 seconds"}'
    with Rollouts(Slow(), model="none", rollout_timeout=1.0) as gym:
        spec = gym.trl_environments(n=1)
        instance = spec.environment_factory()
        instance.reset(**spec.rows[0])
        assert instance.wait() == '{"error":"This rollout has failed."}'
        assert spec.reward_funcs([[]], environments=[instance]) == [None]
        assert spec.failures == {"RolloutTimeout": 1}


def test_a_message_that_no_item_can_be_is_no_reward() -> None:
    with Rollouts(Desk(), model="none") as gym:
        spec = gym.trl_environments(n=1)
        instance = spec.environment_factory()
        instance.reset(**spec.rows[0])
        assert spec.reward_funcs([[{"role": "robot", "content": "beep"}]], environments=[instance]) == [None]


class Shops(Environment):
    """Every task has a tool of its own in its row."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        for name in ("bread", "milk", "bread"):
            schema = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
            offered = {"type": "function", "name": name, "parameters": schema, "strict": False}
            yield {"responses_create_params": {**ask(f"Buy {name}."), "tools": [offered]}}

    async def call_tool(self, call: FunctionCall, session: Session) -> str:
        return f"{call['name']}: {call['arguments']}"

    async def verify(self, task: Task, response: Response, session: Session) -> float:
        return 1.0


def test_tasks_with_tools_of_their_own_get_a_factory_for_each_list_of_tools() -> None:
    with Rollouts(Shops(), model="none") as gym:
        spec = gym.trl_environments()
        assert [row["environment"] for row in spec.rows] == ["tools_0", "tools_1", "tools_0"]
        bread, milk = (spec.environment_factory[name]() for name in ("tools_0", "tools_1"))
        bread.reset(**spec.rows[0])
        milk.reset(**spec.rows[1])
        assert bread.bread(count=2) == 'bread: {"count":2}'
        assert milk.milk(count=1) == 'milk: {"count":1}'
        assert not hasattr(bread, "milk")
        assert spec.reward_funcs([[], []], environments=[bread, milk]) == [1.0, 1.0]


class Moods(Desk):
    """Offers other tools from the second session on."""

    def seed(self, task: Desk.Task, session: Session) -> None:
        super().seed(task, session)
        if len(self.events) > 1:
            session.tools = [*session.tools, {**session.tools[0], "name": "subtract"}]


class Judge(Desk):
    @tool
    async def get_reward(self) -> str:
        """A name that means something else to TRL."""
        return ""


class Steps(StepEnvironment):
    """No tools at all."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        yield {"responses_create_params": ask("?")}

    async def reset(self, task: Task, session: Session) -> str:
        return "?"

    async def step(self, action: Response, session: Session) -> Step:
        return Step("", reward=1.0, terminated=True)


def test_what_trl_can_not_offer_as_methods_is_refused() -> None:
    with Rollouts(Judge(), model="none") as gym, pytest.raises(UsageError, match="name 'get_reward' in TRL"):
        gym.trl_environments()
    with Rollouts(Steps(), model="none") as gym, pytest.raises(UsageError, match="reset and step"):
        gym.trl_environments()
    with Rollouts(Moods(), model="none") as gym:
        spec = gym.trl_environments(n=1)
        instance = spec.environment_factory()
        instance.reset(**spec.rows[0])
        with pytest.raises(UsageError, match="tools that TRL did not offer"):
            spec.reward_funcs([[]], environments=[instance])
        with pytest.raises(UsageError, match="needs the environment_factory"):
            spec.reward_funcs([[]])


def test_a_method_has_the_signature_and_the_docstring_of_its_schema() -> None:
    offered = bind_tools(Desk())["add"].schema
    method = method_of(offered, lambda owner, name, arguments: (owner, name, arguments))

    assert str(inspect.signature(method)) == "(self, /, *, a: int, b: int = 2)"
    assert method.__doc__ == (
        "Add two numbers.\n\nArgs:\n    a: the first number\n    b: the second number Default: 2."
    )
    assert method("me", a=1, self=2) == ("me", "add", {"a": 1, "self": 2})


@pytest.mark.parametrize(
    ("schema", "hint", "text"),
    [
        ({"type": "array", "items": {"type": "string"}}, list[str], "x"),
        ({"enum": ["a", "b"]}, Literal["a", "b"], "x"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, int | None, "x"),
        ({"type": ["string", "number"]}, str | float, "x"),
        ({}, Any, "x"),
        ({"type": "integer", "minimum": 1}, int, 'x JSON schema: {"type": "integer", "minimum": 1}.'),
        ({"anyOf": [{}, {"type": "null"}]}, Any, "x"),
        ({"enum": [1.5]}, Any, 'x JSON schema: {"enum": [1.5]}.'),
        ({"description": "how\nmany (choices: few)", "type": "integer"}, int, "how many (choices: few)."),
        ({"description": "Returns: none", "type": "object"}, dict, "Returns - none"),
    ],
)
def test_what_a_hint_can_not_say_stands_in_the_description(
    schema: dict[str, Any], hint: Any, text: str
) -> None:
    parameters = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    method = method_of({"type": "function", "name": "f", "parameters": parameters}, print)

    assert inspect.signature(method).parameters["x"].annotation == hint
    assert method.__doc__ == f"f\n\nArgs:\n    x: {text}"


def test_a_parameter_that_python_does_not_have_is_refused() -> None:
    parameters = {"type": "object", "properties": {"from": {}}}
    with pytest.raises(UsageError, match="tool f: Python has no parameter with the name 'from'"):
        method_of({"type": "function", "name": "f", "parameters": parameters}, print)


def test_the_samples_of_the_worker_are_the_sequences() -> None:
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        rows = gym.dataset(n=2)
        worker = AsyncWorker(gym, rows, repeats=3, in_flight=1)
        worker.start()
        samples = [worker.rollout_buffer.get(timeout=60) for _ in range(6)]
        worker.stop()
        rollouts = gym.collect_sync(rows, repeats=3)

    for sample, rollout in zip(samples, rollouts, strict=True):
        (sequence,) = rollout.sequences
        start = len(sequence.prompt_ids)
        assert sample.input_ids.tolist() == sequence.ids.tolist()
        assert sample.completion_mask.tolist() == [0] * start + [int(one) for one in sequence.loss_mask]
        assert sample.old_log_probs.tolist() == [0.0] * start + sequence.logprobs.tolist()
        assert (sample.advantage, sample.model_version) == (0.0, 0)
        assert sample.prompt[-1]["content"] == f"{rollout.group} + 2 = ?"
        assert [message["role"] for message in sample.completion] == ["assistant", "tool", "assistant"]
        assert sample.metrics == {"reward": 1.0, "reward_std": 0.0}
    assert [sample.group_id for sample in samples] == [1, 1, 1, 2, 2, 2]


class Examined(Adder):
    """Verifies every third rollout not at all, and of the others one as right."""

    async def verify(self, task: Adder.Task, response: Response, session: Session) -> dict[str, float]:
        number = session.row[keys.ROLLOUT_INDEX]
        if number == 2:
            raise RuntimeError("the examiner is ill")
        return {"right": float(number == 0)}


def test_a_rollout_that_can_not_be_trained_on_is_left_out_of_its_group_and_counted() -> None:
    with Rollouts(Examined, policy=ScriptedPolicy(solve)) as gym:
        worker = AsyncWorker(gym, gym.dataset(n=1), repeats=3)
        worker.start()
        samples = [worker.rollout_buffer.get(timeout=60) for _ in range(2)]
        counts = worker.metrics_queue.get(timeout=60)
        worker.stop()

    assert [sample.advantage for sample in samples] == pytest.approx([1.0, -1.0])
    assert [sample.metrics for sample in samples] == [
        {"reward": reward, "reward_std": 0.5, "rewards/right": reward} for reward in (1.0, 0.0)
    ]
    assert counts == {"rollout/untrainable_failed_total": 1.0, "rollout/groups_delivered_total": 1.0}
    assert worker.metrics_queue.empty()


def test_a_full_buffer_lets_no_further_group_start() -> None:
    started: list[int] = []

    def tasks(rows: list[Any]) -> Iterator[Any]:
        for number, row in enumerate(cycle(rows)):
            started.append(number)
            yield row

    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        rows = gym.dataset(n=2)
        worker = AsyncWorker(gym, tasks(rows), repeats=2, in_flight=1, buffer_size=2)
        worker.start()
        for taken in range(1, 9):
            gym.collect_sync(rows, repeats=8)  # time in which the worker could start more
            assert worker.rollout_buffer.get(timeout=60).enqueued_at is not None
            # Taken, in the buffer, in the group that is being put there, and in flight.
            assert len(started) <= (taken + 2) / 2 + 1 + 1
        worker.stop()
        assert worker.rollout_buffer.qsize() <= 2


class Ages(ScriptedPolicy):
    """Its second answer is of newer weights than the first."""

    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        answers = await super().generate(prompts, sampling)
        turn = 1 + any(
            "<|im_start|>tool" in self.tokenizer.decode(one, skip_special_tokens=False) for one in prompts
        )
        return [replace(one, version=turn + 3) for one in answers]


def test_a_sample_is_of_the_oldest_version_of_its_tokens() -> None:
    with Rollouts(Adder, policy=Ages(solve)) as gym:
        worker = AsyncWorker(gym, gym.dataset(n=1), repeats=1)
        worker.start()
        assert worker.rollout_buffer.get(timeout=60).model_version == 4
        worker.stop()


def illness(worker: AsyncWorker, gym: Rollouts) -> str:
    """What `check_health` raises, once it does."""
    while True:
        try:
            worker.check_health(60.0)
        except RuntimeError as error:
            return str(error)
        gym.collect_sync([0])


def test_the_worker_says_why_no_sample_comes_any_more() -> None:
    def broken() -> Iterator[int]:
        yield 0
        raise OSError("the disk is full")

    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        gym.dataset(n=1)
        for tasks, reason in (([0], "the tasks have ended"), (broken(), "it has failed")):
            worker = AsyncWorker(gym, tasks, repeats=1, in_flight=1)
            worker.start()
            worker.rollout_buffer.get(timeout=60)
            assert reason in illness(worker, gym)
            worker.stop()
            worker.stop()
        worker = AsyncWorker(gym, cycle([0]), repeats=1, buffer_size=1)
        worker.start()
        with pytest.raises(RuntimeError, match="no sample for"):
            worker.check_health(-1.0)
        worker.stop()


def test_the_policy_takes_the_weights_of_the_trainer_by_their_versions() -> None:
    taken: list[tuple[Any, int]] = []

    class Learner(ScriptedPolicy):
        async def update(self, weights: Any, version: int) -> None:
            taken.append((weights, version))

    policy = Learner(solve)
    with Rollouts(Adder, policy=policy) as gym:
        weights, worker = PolicyWeights(gym), AsyncWorker(gym, [], repeats=1)
        weights.init_weight_transfer()
        for version in (1, 2):
            weights.pause()
            weights.send_weights(iter([("w", version)]))
            weights.resume()
            assert policy.version == version
            worker.update_model_version(version)
            assert policy.version == version
        weights.destroy()

    assert taken == [({"w": 1}, 1), ({"w": 2}, 2)]


def test_the_worker_needs_a_policy() -> None:
    with Rollouts(Adder, model="random") as gym, pytest.raises(UsageError, match="the tokens of a policy"):
        AsyncWorker(gym, [], repeats=1)


def test_the_end_of_the_rollouts_ends_a_worker_that_nobody_stopped() -> None:
    threads = set(threading.enumerate())
    with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        worker = AsyncWorker(gym, cycle(gym.dataset(n=2)), repeats=2, buffer_size=1)
        worker.start()
        worker.rollout_buffer.get(timeout=60)

    assert set(threading.enumerate()) <= threads
    while not worker.rollout_buffer.empty():
        worker.check_health(60.0)
        worker.rollout_buffer.get_nowait()
    with pytest.raises(RuntimeError, match="no sample comes any more"):
        worker.check_health(60.0)
