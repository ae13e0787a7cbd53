"""`nemo_gym.collect`: rollouts from Python."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO, StartEndpoint, write_echo_tasks

import nemo_gym as gym
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.assembly import collect as api
from nemo_gym.assembly import ready_components
from nemo_gym.runs import component_specs
from nemo_gym.wire.errors import DataError, GymError, ModelError, UsageError
from nemo_gym.wire.items import assistant, message_text
from nemo_gym.wire.params import RequestParams


class Doubles(gym.Environment):
    """Double a number."""

    class Task(gym.Task):
        number: int

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.open = 0

    def tasks(self, split: str, seed: int, n: int | None) -> Any:
        for number in range(n or 6):
            yield self.Task(responses_create_params=gym.ask(f"double {number}"), number=number)

    def seed(self, task: Any, session: gym.Session) -> None:
        self.open += 1
        session.state["drawn"] = session.rng.random()

    def verify(self, task: Any, response: gym.Response, session: gym.Session) -> gym.Reward:
        right = response.final_text == str(2 * task.number)
        return gym.Reward(float(right), details={"drawn": session.state["drawn"]})

    def close(self, session: gym.Session) -> None:
        self.open -= 1


class Doubler(gym.Model):
    """Doubles; waits for ever from the call `stuck_from` on."""

    def __init__(self, stuck_from: int = 1 << 30) -> None:
        self.asked: list[RequestParams] = []
        self.stuck_from = stuck_from
        self.closed = 0

    async def responses(self, params: RequestParams) -> gym.Response:
        self.asked.append(params)
        if len(self.asked) > self.stuck_from:
            await asyncio.Event().wait()
        prompt = message_text(params["input"][-1])  # type: ignore[arg-type, index]
        return gym.Response.of([assistant(str(2 * int(prompt.removeprefix("double "))))])

    async def aclose(self) -> None:
        self.closed += 1


async def test_three_lines_are_enough() -> None:
    rewards = []
    async for rollout in gym.collect(Doubles, Doubler(), limit=6):
        rewards.append(rollout.reward)

    assert rewards == [1.0] * 6


async def test_every_task_and_repeat_comes_exactly_once() -> None:
    counts = Counter(
        [
            (rollout.task_index, rollout.rollout_index)
            async for rollout in gym.collect(Doubles(), Doubler(), num_repeats=3, limit=50, concurrency=4)
        ]
    )

    assert counts == {(task, repeat): 1 for task in range(50) for repeat in range(3)}


async def test_failed_rollouts_come_too() -> None:
    class Moody(Doubler):
        async def responses(self, params: RequestParams) -> gym.Response:
            if len(self.asked) % 2:
                self.asked.append(params)
                raise ModelError("not today")
            return await super().responses(params)

    rollouts = [rollout async for rollout in gym.collect(Doubles, Moody(), limit=10, concurrency=1)]

    assert [rollout.reward for rollout in rollouts] == [1.0, None] * 5
    assert str(rollouts[1].failure) == "not today"


async def test_tasks_may_be_rows_task_objects_or_a_file(tmp_path: Path) -> None:
    row = {"responses_create_params": gym.ask("double 4"), "number": 4}
    task = Doubles.Task(responses_create_params=gym.ask("double 5"), number=5)

    rollouts = [rollout async for rollout in gym.collect(Doubles, Doubler(), [row, task])]
    path = write_echo_tasks(tmp_path / "tasks.jsonl", 4, right_every=1)
    read = [rollout async for rollout in gym.collect(ECHO, Doubler(), str(path), limit=0)]

    assert [rollout.reward for rollout in rollouts] == [1.0, 1.0]
    assert read == []


async def test_sampling_seed_and_repeats_reach_the_model_and_the_sessions() -> None:
    async def drawn(seed: int) -> list[Any]:
        model = Doubler()
        run = gym.collect(Doubles, model, limit=2, num_repeats=2, seed=seed, concurrency=1, temperature=0.25)
        rollouts = [rollout async for rollout in run]
        assert {request["temperature"] for request in model.asked} == {0.25}  # type: ignore[typeddict-item]
        extras = [request["metadata"]["extra_body"] for request in model.asked]  # type: ignore[typeddict-item, index]
        return [*extras, *(rollout.details["drawn"] for rollout in rollouts)]

    first, again, other = await drawn(1), await drawn(1), await drawn(2)

    assert first == again
    assert len(set(first)) == 8
    assert not set(first) & set(other)


async def test_closing_early_cancels_what_is_in_flight_and_closes_its_sessions() -> None:
    environment, model = Doubles(), Doubler(stuck_from=3)
    async with aclosing(gym.collect(environment, model, limit=100, concurrency=8)) as rollouts:
        async for _ in rollouts:
            break
        assert environment.open > 0

    assert environment.open == 0
    assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_slow_reader_slows_the_collector_down() -> None:
    model = Doubler()
    async with aclosing(gym.collect(Doubles, model, limit=1000, concurrency=2)) as rollouts:
        read = 0
        async for _ in rollouts:
            read += 1
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(model.asked) <= read + 10
            if read == 20:
                break


async def test_a_model_given_as_an_object_stays_the_caller_s_to_close() -> None:
    model = Doubler()
    async for _ in gym.collect(Doubles, model):
        pass

    assert model.closed == 0


async def test_a_model_made_by_name_is_closed_however_the_reading_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Doubler()
    monkeypatch.setattr(component_specs, "build_model", lambda type, **options: model)
    async for _ in gym.collect(Doubles, "doubler"):
        pass
    assert model.closed == 1

    async with aclosing(gym.collect(Doubles, "doubler")) as rollouts:
        async for _ in rollouts:
            break

    assert model.closed == 2


async def test_a_task_that_does_not_fit_is_one_clear_line() -> None:
    with pytest.raises(DataError, match=r"task 1 of doubles: missing column `number`"):
        async for _ in gym.collect(Doubles, Doubler(), [{"responses_create_params": gym.ask("x")}]):
            pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_such_environment", Doubler()), "no environment named 'no_such_environment'"),
        ((Doubles, "embeded"), "no model type 'embeded'. Did you mean 'embedded'?"),
    ],
)
async def test_an_unknown_name_is_one_clear_line(arguments: tuple[Any, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        async for _ in gym.collect(*arguments):
            pass
    assert message in str(caught.value)


async def test_an_unknown_agent_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match="no agent named 'toolloop'"):
        async for _ in gym.collect(Doubles, Doubler(), agent="toolloop"):
            pass


async def test_an_agent_may_be_an_object() -> None:
    class Mute(gym.Agent):
        async def run(self, row: Any, environment: Any, model: gym.Model) -> gym.Rollout:
            return gym.Rollout.scored(row, gym.Response.of([]), gym.Reward(0.5))

    rewards = [rollout.reward async for rollout in gym.collect(Doubles, Doubler(), agent=Mute(), limit=6)]

    assert rewards == [0.5] * 6


@pytest.mark.parametrize(
    ("keyword", "nearest"),
    [
        ("repeat", "num_repeats"),
        ("repeats", "num_repeats"),
        ("temprature", "temperature"),
        ("concurency", "concurrency"),
    ],
)
async def test_an_unknown_keyword_is_refused_with_the_nearest(keyword: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=rf"collect\(\) takes no '{keyword}'.* Did you mean '{nearest}'"):
        async for _ in gym.collect("string_match", "random", **{keyword: 4}):
            pass


async def test_a_setting_as_a_keyword_is_refused_with_its_place() -> None:
    with pytest.raises(
        UsageError, match=r"takes no 'level'.*An environment takes it as settings=\{'level': 2\}"
    ):
        async for _ in gym.collect("reasoning", "random", level=2):
            pass


async def test_settings_reach_an_environment_by_class_and_by_name() -> None:
    class Tuned(Doubles):
        class Config(gym.Environment.Config):
            bonus: int = 0

        def verify(self, task: Any, response: gym.Response, session: gym.Session) -> gym.Reward:
            return gym.Reward(float(self.config.bonus))

    tuned = [one.reward async for one in gym.collect(Tuned, Doubler(), limit=1, settings={"bonus": 3})]
    levels = [
        [
            one.row["responses_create_params"]
            async for one in gym.collect("reasoning", "random", limit=3, settings=settings)
        ]
        for settings in ({}, {"level": 4})
    ]

    assert tuned == [3.0]
    assert levels[0] != levels[1]


async def test_settings_for_an_object_or_a_server_are_refused() -> None:
    for environment in (Doubles(), "http://127.0.0.1:1"):
        with pytest.raises(UsageError, match="settings can't be honoured"):
            async for _ in gym.collect(environment, Doubler(), settings={"bonus": 3}):
                pass
    with pytest.raises(UsageError, match="agent_settings can't be honoured"):
        async for _ in gym.collect(Doubles, Doubler(), agent=ToolLoop(), agent_settings={"max_steps": 3}):
            pass


async def test_a_model_by_url_is_opened_and_closed_by_each_run(start_endpoint: StartEndpoint) -> None:
    model = gym.model(start_endpoint(), "echo")
    for _ in range(2):
        rollouts = [one async for one in gym.collect(Doubles, model, limit=2, max_output_tokens=8)]
        assert [one.failure for one in rollouts] == [None, None]


async def test_what_can_not_be_reached_is_said_before_the_first_rollout() -> None:
    with pytest.raises(GymError, match="no model endpoint at http://127"):
        async for _ in gym.collect(Doubles, gym.model("http://127.0.0.1:9/v1", "m")):
            pass


async def test_all_tasks_of_a_file_are_checked_before_the_model_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"responses_create_params": {"input": "double 1"}, "number": 1}\n' * 3 + "{}\n")
    model = Doubler()
    with pytest.raises(DataError, match=r"tasks\.jsonl:4: "):
        async for _ in gym.collect(Doubles, model, path, concurrency=1):
            pass
    assert model.asked == []


async def test_captured_calls_are_kept_in_a_folder_and_noted_in_the_rows(tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    rollouts = [one async for one in gym.collect(Doubles, Doubler(), limit=2, capture_dir=folder)]

    assert [one.reward for one in rollouts] == [1.0, 1.0]
    assert any(folder.rglob("*.json*"))


async def test_an_agent_that_is_a_program_reaches_a_model_that_stays_its_owner_s() -> None:
    class Visitor(gym.Agent):
        needs_served_model = True

        async def run(self, row: Any, environment: Any, model: Any) -> gym.Rollout:
            async with model.visit("one", {}) as visit:
                assert visit.base_url.startswith("http://127.0.0.1:")
            return gym.Rollout.scored(row, gym.Response.of([]), gym.Reward(1.0))

    model = Doubler()
    rewards = [one.reward async for one in gym.collect(Doubles, model, agent=Visitor(), limit=1)]

    assert rewards == [1.0]
    assert model.closed == 0


async def test_the_embedded_model_stays_loaded_for_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Doubler] = []

    class Loading(Doubler):
        def __init__(self) -> None:
            super().__init__()
            loaded.append(self)

        def close(self) -> None:
            self.closed += 1

    monkeypatch.setattr(ready_components, "EmbeddedModel", Loading)
    monkeypatch.setattr(
        ready_components, "embedded_model", functools.cache(ready_components.embedded_model.__wrapped__)
    )
    monkeypatch.setattr(api, "embedded_model", ready_components.embedded_model)
    for _ in range(2):
        assert [one.reward async for one in gym.collect(Doubles, "embedded", limit=1)] == [1.0]

    (model,) = loaded
    assert model.closed == 0


async def test_without_environment_and_agent_the_environment_is_asked_for() -> None:
    with pytest.raises(UsageError, match=r"^which environment\? Name one"):
        async for _ in gym.collect(None, Doubler(), []):
            pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_repeats": "4"}, r"num_repeats: expected a whole number from 1, got '4'"),
        ({"num_repeats": 0}, r"num_repeats: expected a whole number from 1, got 0"),
        ({"limit": -1}, r"limit: expected a whole number from 1, got -1"),
        ({"limit": "x"}, r"limit: expected a whole number from 1, got 'x'"),
        ({"seed": 1.5}, r"seed: expected a whole number, got 1\.5"),
        ({"concurrency": 0}, r"concurrency: expected a whole number from 1, got 0"),
        ({"rollout_timeout": "1"}, r"rollout_timeout: expected seconds above 0, got '1'"),
        ({"split": 3}, r"split: expected text, got 3"),
        ({"environment": 3}, r"environment: expected an Environment, its class, a name or a URL, got 3"),
        ({"environment": dict}, r"environment: expected an Environment"),
        ({"model": 3}, r"model: expected a Model or the name of a type, got 3"),
        ({"tasks": 3}, r"tasks: expected an iterable of tasks, or the path of a JSONL file, got 3"),
        ({"tasks": {"a": 1}}, r"tasks: expected an iterable of tasks, got one task: put it into a list"),
        ({"agent": 3}, r"agent: expected an Agent or a name, got 3"),
        ({"temperature": "hot"}, r"responses_create_params.temperature: Expected `float \| null`, got `str`"),
        ({"tools": "x"}, r"responses_create_params.tools: expected a list of tools"),
    ],
)
async def test_an_argument_of_the_wrong_type_is_one_clear_line(
    arguments: dict[str, Any], message: str
) -> None:
    keywords: dict[str, Any] = {"environment": Doubles, "model": Doubler(), **arguments}
    with pytest.raises(UsageError, match=rf"^{message}"):
        [rollout async for rollout in gym.collect(**keywords)]


class Judged(Doubles):
    """Double a number, and let a judge decide."""

    asks = ("judge",)


@pytest.mark.parametrize("wrong", [{"model": {"no_such_setting": 1}}, {"agent": {"no_such_argument": 1}}])
async def test_a_failed_start_leaves_no_models_on_the_environment(wrong: dict[str, Any]) -> None:
    environment, judge = Judged(), Doubler()
    model = gym.model("http://127.0.0.1:1/v1", "policy", **wrong.get("model", {}))
    keywords: dict[str, Any] = {"agent": "tool_loop", "agent_settings": wrong.get("agent", {})}
    before = environment.resources
    with pytest.raises(UsageError, match="no_such"):
        await anext(gym.collect(environment, model, models={"judge": judge}, **keywords))
    assert environment.resources is before
    assert judge.closed == 0
    with pytest.raises(UsageError, match="judge"):
        await anext(gym.collect(environment, Doubler()))


async def test_models_that_a_failed_start_has_opened_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Chat(Doubler):
        async def aclose(self) -> None:
            closed.append("judge")

    monkeypatch.setattr(
        component_specs, "build_model", lambda type, *_, **__: Chat() if type == "chat" else 1 / 0
    )
    models = {"judge": {"url": "http://127.0.0.1:1/v1", "model": "judge"}}
    with pytest.raises(ZeroDivisionError):
        await anext(
            gym.collect(Judged(), gym.model("http://127.0.0.1:1/v1", "p", type="vllm"), models=models)
        )
    assert closed == ["judge"]


async def test_the_sandbox_provider_reaches_the_pool_and_a_wrong_one_is_refused() -> None:
    class Provider(Doubles):
        def verify(self, task: Any, response: gym.Response, session: gym.Session) -> gym.Reward:
            return gym.Reward(1.0, details={"provider": self.resources.sandboxes.provider().name})

    rollouts = gym.collect(Provider(), Doubler(), limit=1, sandbox_provider="apptainer", max_sandboxes=3)
    assert [rollout.details["provider"] async for rollout in rollouts] == ["apptainer"]
    for wrong, message in (
        ("apptainr", "sandbox provider 'apptainr'"),
        (7, "sandbox_provider: expected text, got 7"),
    ):
        with pytest.raises(UsageError, match=message):
            await anext(gym.collect(Provider(), Doubler(), sandbox_provider=wrong))  # type: ignore[arg-type]
