"""SkyRL's trainer takes rollouts of this package: `make test-trainers-skyrl`.

Its engines' client, data set, checks and advantages are the real ones; the engine is a server that answers by
script. Its models and its Ray workers need GPUs, so no step is trained.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import on_python_311  # noqa: F401
import pytest
from adder import Adder, call, question, result_of
from skyrl.backends.skyrl_train.inference_servers.engine_utils import get_sampling_params_for_backend
from skyrl.backends.skyrl_train.inference_servers.remote_inference_client import RemoteInferenceClient
from skyrl.train.config import SkyRLTrainConfig
from skyrl.train.dataset import PromptDataset
from skyrl.train.generators.utils import concatenate_generator_outputs, prepare_generator_input
from skyrl.train.trainer import RayPPOTrainer

from nemo_gym import Environment, Response, Session, Task
from nemo_gym.agents.tool_loop import SingleCall
from nemo_gym.agents.trajectory import Trajectory, outcome_of
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.runs.plan import task_rows
from nemo_gym.training.trainers.skyrl import SkyRLGenerator, dataset_rows
from nemo_gym.wire.errors import ModelError, UsageError
from nemo_gym.wire.jsonl import encode
from tests.support.chatml import chatml_tokenizer
from tests.support.generate_server import Engine, logprob, serving

pytestmark = pytest.mark.filterwarnings("default")  # those of the trainers are theirs
REPEATS = 4


class Play:
    """Calls the tool, then gives its result; every second answer to a task is wrong."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.breaks_always = False
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, prompt: str) -> str:
        result = result_of(prompt, "<|im_start|>tool\n", "<|im_end|>")
        if result is None:
            return call(question(prompt))
        with self._lock:
            count = self._counts[result] = self._counts.get(result, -1) + 1
        if question(prompt) in self.broken and (count % 2 or self.breaks_always):
            raise RuntimeError("out of memory")
        return result if count in (0, 3) else "no idea"


class Guess(Environment):
    """Repeat a number."""

    class Task(Task):
        a: int

    tasks = Adder.tasks

    async def verify(self, task: Guess.Task, response: Response, session: Session) -> float:
        return float(response.final_text.startswith(str(task.a)))


class Closing(Adder):
    """Counts the sessions that are closed."""

    closed = 0

    async def close(self, session: Session) -> None:
        Closing.closed += 1


class Twice(SingleCall):
    """Asks twice, each time with nothing but the task."""

    async def act(self, trajectory: Trajectory, session: Session, environment: EnvironmentLink) -> str:
        await trajectory.ask()
        known, trajectory.items = trajectory.items, []
        outcome = outcome_of(await trajectory.ask())
        trajectory.items = known + trajectory.items
        return outcome


class Rig:
    """A trainer of SkyRL with its client, beside the engine that it asks."""

    def __init__(self, url: str, engine: Engine, folder: Path, **options: Any) -> None:
        self.engine = engine
        self.tokenizer = engine.tokenizer
        self.config = SkyRLTrainConfig()
        self.config.trainer.enable_ray_gpu_monitor = False
        self.config.generator.inference_engine.enable_ray_prometheus_stats = False
        self.config.trainer.train_batch_size = self.config.trainer.policy_mini_batch_size = 3
        self.config.generator.n_samples_per_prompt = REPEATS
        self.config.generator.step_wise_trajectories = options.pop("step_wise", False)
        self.client = RemoteInferenceClient(
            proxy_url=url, server_urls=[url], data_parallel_size=1, tokenizer=self.tokenizer
        )
        environment = build_environment(options.pop("environment", Adder))
        self.config.generator.max_turns = options.pop("max_turns", 4)
        self.config.generator.apply_overlong_filtering = options.pop("apply_overlong_filtering", False)
        generator = self.config.generator
        self.generator = SkyRLGenerator.of(generator, environment, self.tokenizer, self.client, **options)
        rows = dataset_rows(task_rows(environment, None, limit=3))
        (folder / "train.jsonl").write_bytes(b"".join(encode(row) + b"\n" for row in rows))
        self.dataset = PromptDataset(str(folder / "train.jsonl"), self.tokenizer, 4096, num_workers=1)
        self.trainer = RayPPOTrainer(self.config, None, self.tokenizer, None, self.client, self.generator)
        self.trainer.dispatch = SimpleNamespace(get_lcm_dp_size=lambda: 1)  # its workers need GPUs

    def batch(self) -> tuple[dict[str, Any], list[str]]:
        """The input of a step, and the ids of the groups."""
        sampling = get_sampling_params_for_backend("vllm", self.config.generator.sampling_params)
        prompts = self.dataset.collate_fn([self.dataset[place] for place in range(len(self.dataset))])
        return prepare_generator_input(prompts, REPEATS, sampling, "nemo_gym", "train", 1)

    async def generate(self) -> dict[str, Any]:
        """What the trainer has after its own checks."""
        try:
            return await self.trainer.generate(self.batch()[0])
        finally:
            await self.generator.aclose()
            await self.client.teardown()

    def learn(self, output: dict[str, Any], uids: list[str]) -> tuple[dict[str, Any], Any]:
        """The output with rewards for each token, and the tensors with advantages."""
        output, uids = self.trainer.postprocess_generator_output(output, uids)
        data = self.trainer.convert_to_training_input(output, uids)
        data["values"] = None  # no critic
        return output, self.trainer.compute_advantages_and_returns(data)


@pytest.fixture
def engine() -> Engine:
    return Engine(chatml_tokenizer(), Play())


@pytest.fixture
def url(engine: Engine) -> Iterator[str]:
    with serving(engine) as url:
        yield url


async def test_the_trainer_gets_the_tokens_of_its_engines_in_input_order(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    rig = Rig(url, engine, tmp_path)

    output = await rig.generate()

    sampled = {
        tuple(request["token_ids"]): ids for request, ids in zip(engine.requests, engine.answers, strict=True)
    }
    assert len(output["response_ids"]) == 3 * REPEATS
    for place in range(3 * REPEATS):
        prompt, ids = output["prompt_token_ids"][place], output["response_ids"][place]
        mask, logprobs = output["loss_masks"][place], output["rollout_logprobs"][place]
        text = rig.tokenizer.decode(prompt + ids, skip_special_tokens=False)
        assert question(text) == str(place // REPEATS)
        first = sampled[tuple(prompt)]
        assert ids[: len(first)] == first
        start = ids.index(rig.tokenizer.eos_token_id, len(first))
        answer = [token for token, own in zip(ids[start:], mask[start:], strict=True) if own]
        assert answer in engine.answers
        assert mask == [1] * len(first) + [0] * (len(ids) - len(first) - len(answer)) + [1] * len(answer)
        assert logprobs == [
            logprob(len(prompt) + at, token) if own else 0.0
            for at, (token, own) in enumerate(zip(ids, mask, strict=True))
        ]
    assert sorted(output["rewards"]) == [0.125] * 6 + [1.125] * 6
    assert output["stop_reasons"] == ["stop"] * 12
    assert {request["sampling_params"]["temperature"] for request in engine.requests} == {1.0}
    sessions = {f"{place}_{repeat}" for place in range(3) for repeat in range(REPEATS)}
    assert set(engine.headers) - {None} == set(engine.finished) == sessions
    assert rig.trainer.all_metrics["environment/right"] == 0.5
    assert rig.trainer.all_metrics["nemo_gym/untrainable"] == 0


async def test_the_trainer_makes_its_tensors_and_advantages_of_them(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    rig = Rig(url, engine, tmp_path)

    output = await rig.generate()
    rewards = list(output["rewards"])
    output, data = rig.learn(output, rig.batch()[1])

    assert rig.trainer.all_metrics["reward/avg_raw_reward"] == pytest.approx(0.625)
    assert data["loss_mask"].sum().item() == sum(map(sum, output["loss_masks"]))
    for place, reward in enumerate(rewards):
        own = data["advantages"][place][data["loss_mask"][place].bool()]
        assert (own > 0).all() if reward > 1 else (own < 0).all()


async def test_a_rollout_that_fails_is_masked_and_moves_no_baseline(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    engine.answer.broken = {"1"}
    rig = Rig(url, engine, tmp_path)

    output = await rig.generate()
    output, data = rig.learn(output, rig.batch()[1])

    failed = [place for place, reason in enumerate(output["stop_reasons"]) if reason == "error"]
    assert len(failed) == 2
    assert all(place // REPEATS == 1 for place in failed)
    for place in failed:
        assert sum(output["loss_masks"][place]) == 0
        assert sum(output["rewards"][place]) == 0.625, "the mean of the others of its group"
        assert data["advantages"][place].abs().max().item() < 1e-6
    assert rig.trainer.all_metrics["nemo_gym/untrainable/failed"] == 2


async def test_the_asynchronous_trainer_gets_a_masked_group_when_all_of_it_fails(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    rig = Rig(url, engine, tmp_path)
    batch, _ = rig.batch()
    groups = [
        {
            name: value[at : at + REPEATS] if isinstance(value, list) else value
            for name, value in batch.items()
        }
        for at in range(0, 3 * REPEATS, REPEATS)
    ]

    outputs = [await rig.generator.generate(groups[0], disable_tqdm=True)]
    engine.answer.broken = {"1"}
    engine.answer.breaks_always = True
    outputs += [await rig.generator.generate(group, disable_tqdm=True) for group in groups[1:]]
    await rig.generator.aclose()
    await rig.client.teardown()
    whole = concatenate_generator_outputs(outputs)
    _, data = rig.learn(whole, rig.batch()[1])

    assert outputs[1]["rewards"] == [0.625] * 4, "the mean of the group before"
    assert not any(map(sum, outputs[1]["loss_masks"]))
    assert sorted(outputs[2]["rewards"]) == [0.125, 0.125, 1.125, 1.125]
    assert data["loss_mask"][REPEATS : 2 * REPEATS].sum().item() == 0


async def test_a_batch_without_any_rollout_to_train_on_is_an_error(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    rig = Rig(url, engine, tmp_path, context=8)

    with pytest.raises(ModelError, match="none of the 12 rollouts of the batch can be trained on"):
        await rig.generate()


async def test_a_rollout_that_rewrites_its_history_is_masked_or_several_step_wise_rows(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    engine.answer = lambda prompt: question(prompt)
    rig = Rig(url, engine, tmp_path, step_wise=True, agent=Twice(), max_steps=None, environment=Guess)

    output = await rig.generate()
    rewards = list(output["rewards"])
    uids = [one.instance_id for one in output["trajectory_ids"]]
    output, data = rig.learn(output, uids)

    assert output["is_last_step"] == [False, True] * 12
    assert [one.to_string() for one in output["trajectory_ids"]] == [
        f"{place}_{repeat}" for place in range(3) for repeat in range(REPEATS) for _ in range(2)
    ]
    assert rewards == [0.0, 1.0] * 12
    assert output["loss_masks"] == [[1, 1]] * 24
    assert data["loss_mask"].sum().item() == 48
    with pytest.raises(ModelError, match="none of the 12"):
        await Rig(url, engine, tmp_path, agent=Twice(), max_steps=None, environment=Guess).generate()


async def test_the_settings_of_the_generator_hold(url: str, engine: Engine, tmp_path: Path) -> None:
    rig = Rig(url, engine, tmp_path, max_turns=1, apply_overlong_filtering=True)

    output = await rig.generate()

    assert output["stop_reasons"] == ["length"] * 12
    assert output["rewards"] == [0.125] * 12
    assert not any(map(sum, output["loss_masks"]))
    rig.config.generator.zero_reward_on_non_stop = True
    with pytest.raises(UsageError, match="zero_reward_on_non_stop can't be honoured"):
        SkyRLGenerator.of(rig.config.generator, Adder, rig.tokenizer, rig.client)


def test_the_end_of_the_event_loop_closes_the_environment(url: str, engine: Engine, tmp_path: Path) -> None:
    rig = Rig(url, engine, tmp_path, environment=Closing)

    async def step() -> dict[str, Any]:
        try:
            return await rig.generator.generate(rig.batch()[0])
        finally:
            await rig.client.teardown()

    for number in (1, 2):
        output = asyncio.run(step())
        assert len(output["response_ids"]) == 12
        assert Closing.closed == 12 * number


async def test_several_batches_at_the_same_time_share_the_environment(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    rig = Rig(url, engine, tmp_path)

    outputs = await asyncio.gather(*(rig.generator.generate(rig.batch()[0]) for _ in range(3)))
    await rig.generator.aclose()
    await rig.client.teardown()

    assert [len(output["response_ids"]) for output in outputs] == [12] * 3


async def test_rows_of_another_origin_are_refused_in_one_line(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    rig = Rig(url, engine, tmp_path)
    batch = {**rig.batch()[0], "env_extras": [{}] * 12}

    with pytest.raises(UsageError, match="the column 'task' of the data set"):
        await rig.generator.generate(batch)
    await rig.generator.aclose()
