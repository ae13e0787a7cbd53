"""SkyRL's own generator plays environments of this package through skyrl-gym: `make test-trainers-skyrl`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import on_python_311  # noqa: F401
import pytest
import skyrl_gym
from adder import Adder, call, question, result_of
from skyrl.backends.skyrl_train.inference_servers.engine_utils import get_sampling_params_for_backend
from skyrl.backends.skyrl_train.inference_servers.remote_inference_client import RemoteInferenceClient
from skyrl.train.config import SkyRLTrainConfig
from skyrl.train.generators import SkyRLGymGenerator
from skyrl.train.generators.base import TrajectoryID
from skyrl.train.utils.trainer_utils import validate_generator_output

from nemo_gym import Task, ask
from nemo_gym.environments.base import Observation, Step, StepEnvironment
from nemo_gym.training import Rollouts
from nemo_gym.training.trainers.skyrl import dataset_rows
from nemo_gym.training.trainers.skyrl_gym import registered
from nemo_gym.wire.errors import RolloutError, UsageError
from tests.support.chatml import chatml_tokenizer
from tests.support.generate_server import Engine, logprob, serving

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs


class Countdown(StepEnvironment):
    """Name the numbers down to zero, one in each answer."""

    class Task(Task):
        a: int

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        return ({"responses_create_params": ask("Count down."), "a": a} for a in range(1, (n or 4) + 1))

    async def reset(self, task: Any, session: Any) -> Observation:
        session.state["left"] = task.a
        return Observation(f"Begin with {task.a}")

    async def step(self, action: Any, session: Any) -> Step:
        left = session.state["left"]
        session.state["left"] = left - 1
        right = action.final_text == str(left)
        return Step(f"{left - 1} next", reward=float(right), terminated=left == 1)


class Broken(Adder):
    """Its verifier fails."""

    async def verify(self, task: Any, response: Any, session: Any) -> float:
        raise RuntimeError("the judge is away")


def play(prompt: str) -> str:
    result = result_of(prompt, "<tool_response>\n", "\n</tool_response>")
    return call(question(prompt)) if result is None else result


@pytest.fixture
def engine() -> Engine:
    return Engine(chatml_tokenizer(), play)


@pytest.fixture
def url(engine: Engine) -> Iterator[str]:
    with serving(engine) as url:
        yield url


def inputs(gym: Rollouts, n: int, repeats: int) -> dict[str, Any]:
    rows = [row for row in dataset_rows(gym.own_tasks(n=n)) for _ in range(repeats)]
    ids = [TrajectoryID(str(place // repeats), place % repeats) for place in range(n * repeats)]
    return {
        "prompts": [row["prompt"] for row in rows],
        "env_classes": [row["env_class"] for row in rows],
        "env_extras": [{"task": row["task"]} for row in rows],
        "sampling_params": get_sampling_params_for_backend(
            "vllm", SkyRLTrainConfig().generator.sampling_params
        ),
        "trajectory_ids": ids,
        "batch_metadata": None,
    }


async def generate(url: str, engine: Engine, batch: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """What SkyRL's generator makes of a batch, after the trainer's checks."""
    config = SkyRLTrainConfig()
    for name, value in {"batched": False, "max_turns": 4, "max_input_length": 8192, **settings}.items():
        setattr(config.generator, name, value)
    client = RemoteInferenceClient(
        proxy_url=url, server_urls=[url], data_parallel_size=1, tokenizer=engine.tokenizer
    )
    generator = SkyRLGymGenerator(config.generator, config.environment.skyrl_gym, client, engine.tokenizer)
    try:
        output = await generator.generate(batch, disable_tqdm=True)
    finally:
        await client.teardown()
    validate_generator_output(len(batch["prompts"]), output)
    return output


async def test_skyrls_own_generator_plays_a_tool_environment(url: str, engine: Engine) -> None:
    with registered(Adder) as gym:
        output = await generate(url, engine, inputs(gym, 3, 2))

    tokenizer = engine.tokenizer
    for place in range(6):
        prompt, ids = output["prompt_token_ids"][place], output["response_ids"][place]
        mask, logprobs = output["loss_masks"][place], output["rollout_logprobs"][place]
        assert '{"name": "add"' in tokenizer.decode(prompt), "the tools are in the prompt"
        turns = [tokenizer.encode(text, add_special_tokens=False) for text in (
            f"{call(str(place // 2))}<|im_end|>", f"{place // 2 + 2}<|im_end|>",
        )]  # fmt: skip
        assert [token for token, own in zip(ids, mask, strict=True) if own] == turns[0] + turns[1]
        told = tokenizer.decode([token for token, own in zip(ids, mask, strict=True) if not own])
        assert f"<tool_response>\n{place // 2 + 2}\n</tool_response>" in told
        assert [value for value, own in zip(logprobs, mask, strict=True) if own] == [
            logprob(len(prompt) + at, token)
            for at, (token, own) in enumerate(zip(ids, mask, strict=True))
            if own
        ]
        assert output["rewards"][place][-1] == 1.125
        assert sum(output["rewards"][place]) == 1.125
    assert output["env_metrics"] == [{"right": 1.0, "calls": 0.125}] * 6
    assert output["rollout_metrics"]["environment/right"] == 1.0


async def test_the_turns_of_skyrl_end_the_rollout_which_is_then_scored(url: str, engine: Engine) -> None:
    engine.answer = lambda prompt: call("1")

    with registered(Adder) as gym:
        output = await generate(url, engine, inputs(gym, 1, 2), max_turns=3)

    assert [sum(rewards) for rewards in output["rewards"]] == [0.375, 0.375]


async def test_an_environment_of_steps_gets_every_answer(url: str, engine: Engine) -> None:
    def count(prompt: str) -> str:
        return (
            prompt.rsplit("<|im_start|>user\n", 1)[1].removeprefix("Begin with ").split(" ")[0].split("<")[0]
        )

    engine.answer = count
    with registered(Countdown) as gym:
        output = await generate(url, engine, inputs(gym, 3, 1), max_turns=8)

    assert [sum(rewards) for rewards in output["rewards"]] == [1.0, 2.0, 3.0]


async def test_a_rollout_that_fails_raises_and_is_no_reward_of_zero(url: str, engine: Engine) -> None:
    with registered(Broken) as gym, pytest.raises(RolloutError, match="the judge is away"):
        await generate(url, engine, inputs(gym, 1, 1))


def test_threads_play_several_episodes_at_the_same_time_and_one_may_be_left_early() -> None:
    rewards: dict[int, float] = {}

    def run(place: int, row: dict[str, Any]) -> None:
        env = skyrl_gym.make("nemo_gym", env_config={}, extras={"task": row["task"], "max_turns": 4})
        messages, _ = env.init(row["prompt"])
        assert messages[-1]["content"] == f"{place} + 2 = ?"
        both.wait()
        step = env.step(call(str(place)))
        assert not step["done"]
        if place:
            rewards[place] = env.step(str(place + 2))["reward"]
        env.close()

    with registered(Adder) as gym:
        rows = dataset_rows(gym.own_tasks(n=4))
        both = threading.Barrier(len(rows), timeout=60)
        threads = [threading.Thread(target=run, args=item) for item in enumerate(rows)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert rewards == {1: 1.125, 2: 1.125, 3: 1.125}
    assert "nemo_gym" not in skyrl_gym.envs.registration.registry


def test_an_environment_without_its_task_is_refused_in_one_line() -> None:
    with registered(Adder), pytest.raises(UsageError, match="the column 'task' of the data set"):
        skyrl_gym.make("nemo_gym", env_config={}, extras={})
